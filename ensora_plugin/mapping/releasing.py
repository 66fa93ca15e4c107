"""Let go of a pair: what stood on it is removed and tried again, or stays and is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, or_, select

from ..automap.trying import notes_of, touch
from ..clock import utcnow
from ..database import upsert
from ..errors import NotAllowed
from ..host.entities import find_entity, host_entity
from ..kinds import NOTE, Kind
from ..models import Mapping, Note, Record, Rejected
from ..rendering.withdrawing import Desk, withdraw_note
from .depending import people_of


@dataclass
class Consequences:
    """What a change of a mapping brings about for what depends on it."""

    #: Kind -> automatic mappings that are removed and tried again.
    removed: dict[str, int] = field(default_factory=dict)
    #: Kind -> mappings of people that stay, and are flagged.
    kept: dict[str, int] = field(default_factory=dict)
    #: Appointments that lose their note, and those that are locked and keep it.
    withdrawn: int = 0
    locked: int = 0

    def __bool__(self) -> bool:
        return bool(self.removed or self.kept or self.withdrawn or self.locked)


def release(
    desk: Desk,
    kind: Kind,
    record: Record,
    mapping: Mapping,
    *,
    must: bool = False,
    rejects: bool = True,
) -> Consequences:
    """Let go of a pair: reject it, remove the automatic mappings that stand on it, withdraw notes.

    What is locked or made by a person stays and is counted. With `must` a refused withdrawal of
    the note itself raises `NotAllowed` in the host's words. Without `rejects` the pair may come
    back.
    """
    happened = Consequences()
    if mapping.host_id is None:
        return happened
    if rejects:
        reject(desk, kind, record.vendor_id, mapping.host_id)
    if kind is NOTE:
        _withdraw(desk, mapping, happened, must=must)
    _release_all_on(desk, kind, record, happened)
    return happened


def _release_all_on(desk: Desk, kind: Kind, record: Record, happened: Consequences) -> None:
    """Release what stands on a record's mapping, and what stands on that in its turn."""
    if kind is NOTE:
        return
    stands = [notes_of(kind, [record.vendor_id])]
    for person, people in people_of(desk, kind, record).items():
        # Older notes of a student who moved here name another site.
        stands.append(notes_of(person, _release_standing(desk, person, people, happened)))
    notes = select(Note.vendor_id).where(Note.account_id == desk.account_id, or_(*stands))
    released = _release_standing(desk, NOTE, notes, happened)
    touch(desk.session, desk.account_id, Note.vendor_id.in_(released))


def _release_standing(desk: Desk, of: Kind, vendor_ids: Any, happened: Consequences) -> list[str]:
    """Remove the automatic mappings among some records'; return whose were removed."""
    rows = desk.session.scalars(
        select(Mapping)
        .where(
            Mapping.account_id == desk.account_id,
            Mapping.kind == of.name,
            Mapping.vendor_id.in_(vendor_ids),
            Mapping.host_id.is_not(None),
        )
        .order_by(Mapping.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    removed = []
    for row in rows:
        kept = row.state != "auto" or (of is NOTE and not _withdraw(desk, row, happened))
        counts = happened.kept if kept else happened.removed
        counts[of.name] = counts.get(of.name, 0) + 1
        if not kept:
            removed.append(row.vendor_id)
            desk.session.delete(row)
    desk.session.flush()
    return removed


def _withdraw(desk: Desk, mapping: Mapping, happened: Consequences, *, must: bool = False) -> bool:
    """Take an applied note out of its appointment; return whether it is out."""
    appointment = find_entity(
        desk.session, host_entity(desk.host, desk.account, NOTE), mapping.host_id or ""
    )
    said = withdraw_note(desk, mapping, appointment.id if appointment else None)
    if said is None:
        return True
    if said.stored:
        happened.withdrawn += 1
        return True
    if must:
        told = " ".join(refusal.text for refusal in said.refusals) or "The host refuses it."
        raise NotAllowed(f"The note stays in its appointment: {told}")
    happened.locked += 1
    return False


def reject(desk: Desk, kind: Kind, vendor_id: str, host_id: str) -> None:
    """Keep a pair from being made by automap."""
    key = {
        "account_id": desk.account_id,
        "kind": kind.name,
        "vendor_id": vendor_id,
        "host_id": host_id,
    }
    upsert(desk.session, Rejected.__table__, [key | {"by": desk.by, "at": utcnow()}], list(key))


def forget_rejection(desk: Desk, kind: Kind, vendor_id: str, host_id: str) -> None:
    """Take the rejection of a pair back."""
    desk.session.execute(
        delete(Rejected).where(
            Rejected.account_id == desk.account_id,
            Rejected.kind == kind.name,
            Rejected.vendor_id == vendor_id,
            Rejected.host_id == host_id,
        )
    )
