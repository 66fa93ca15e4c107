"""What every change of a mapping by a person has in common: checks, its sign, its history row.

Every change checks that the person saw the mapping as it stands (its version, 0 for none): of two
people in one row the second is told.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_

from ..automap.trying import groups_of, mark, notes_of
from ..clock import utcnow
from ..errors import NotAllowed
from ..history import write_history
from ..kinds import NOTE, Kind
from ..models import Mapping, Note, Record
from ..rendering.withdrawing import Desk
from .cases import Case


class Stale(NotAllowed):
    """Raised where somebody else changed the mapping meanwhile; nothing is overwritten unseen."""

    code = "stale"


class Taken(NotAllowed):
    """Raised where the entity stands for another record already; one to one."""

    code = "taken"


def check_seen(case: Case, seen: int) -> None:
    """Raise `Stale` where a mapping is not the version that the person saw."""
    if case.version != seen:
        mapping = case.mapping
        who = (mapping.by or "automap") if mapping else "somebody"
        what = "changed" if mapping else "deleted"
        raise Stale(
            f"{who} {what} this mapping while you had it open. Look at it as it stands now."
        )


def check_entity(kind: Kind, case: Case) -> None:
    """Raise `NotAllowed` where the host has no such entity."""
    if not case.offered:
        raise NotAllowed(f"There is no such {kind.entity_noun.lower()} any more.")


def check_free(kind: Kind, case: Case) -> None:
    """Raise `Taken` where an entity stands for another record."""
    if case.rival is not None:
        raise Taken(
            f"This {kind.entity_noun.lower()} is mapped to another {kind.noun.lower()} already; "
            "change that one first."
        )


def sign(desk: Desk, mapping: Mapping, case: Case) -> None:
    """Write down who made a mapping, and when; its version grows."""
    mapping.by, mapping.at, mapping.run_id = desk.by, utcnow(), None
    mapping.unrendered = mapping.host_id is not None
    mapping.version = case.next_version


def said(mapping: Mapping | None) -> dict[str, Any] | None:
    """Return what the history keeps of a mapping."""
    if mapping is None:
        return None
    told = {"host_id": mapping.host_id, "state": mapping.state}
    return told | {"run_id": mapping.run_id} if mapping.run_id else told


def write_change(
    desk: Desk,
    action: str,
    mapping: Mapping,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None = None,
) -> None:
    """Append a change to the history."""
    write_history(
        desk.session,
        desk.account_id,
        action=action,
        by=desk.by,
        kind=mapping.kind,
        vendor_id=mapping.vendor_id,
        version=mapping.version,
        before=before,
        after=said(mapping) if after is None else after,
    )


def try_again(desk: Desk, kind: Kind, case: Case) -> None:
    """Let the notes be tried again that a changed mapping may let map."""
    ids = [case.record.vendor_id]
    which = groups_of(desk.account_id, ids) if kind is NOTE else notes_of(kind, ids)
    if kind is NOTE:
        which = or_(which, Note.vendor_id == case.record.vendor_id)
    mark(desk.session, desk.account_id, which, case.generation)


def forget_reason(record: Record) -> None:
    """Forget why a record does not map, once it does."""
    record.why = record.why_minutes = record.nearest = record.rival = None
