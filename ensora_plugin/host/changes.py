"""What the host changed, and which notes may map by it: they are tried again at the next pass.

The host tells it by `ensora.changed`, or by `updated_at` in its SELECT of appointments. Only notes
that do not map are touched: a mapping that stands is never undone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, exists, select, union
from sqlalchemy.orm import aliased

from ..automap.trying import touch
from ..database import AnySelect, AnySession
from ..dialect import as_text, pinned_join
from ..kinds import KINDS, NOTE, SITE, STUDENT, USER, Kind
from ..models import Mapping, Note
from .directory import refresh_some
from .ids import of_ids
from .marks import latest, move_mark, read_mark
from .port import Entity, HostAdapter

#: So many ids are asked of the host at once.
_CHUNK = 500


def touch_changed_appointments(
    session: AnySession, account_id: int, account: str, host: HostAdapter
) -> bool:
    """Touch the notes that the appointments changed since the last pass may let map; flushes.

    Returns whether that was all that changed. Else, and once a day, the pass has to try the
    unmapped notes of the last days again: where the host offers no `updated_at`, and because an
    appointment that was deleted tells nothing.
    """
    statement = host.appointments(account)
    mark = read_mark(session, account_id, NOTE.entity, statement)
    rows = statement.subquery("appointment")
    seen = latest(session, rows, mark.since)
    if mark.since is not None and seen is not None:
        changed = select(rows).where(rows.c.updated_at >= mark.since).subquery("changed")
        ids = select(as_text(changed.c.id))
        touch(session, account_id, Note.id.in_(_may_map(account_id, changed, ids)))
    move_mark(session, mark, seen)
    return not mark.whole


def bring_up_to_date(
    session: AnySession,
    account_id: int,
    account: str,
    host: HostAdapter,
    entity: Entity,
    ids: Iterable[Any],
) -> None:
    """Take over what the host changed of some entities, and touch the notes that may map by it;
    flushes.
    """
    texts = [str(id) for id in ids]
    if entity != NOTE.entity:
        kind = next(kind for kind in KINDS if kind.entity == entity)
        refresh_some(session, account_id, account, host, kind, texts)
        if kind is SITE:
            touch(session, account_id, Note.id.in_(_of_agencies(account_id, texts)))
        return
    rows = host.appointments(account).subquery("appointment")
    for at in range(0, len(texts), _CHUNK):
        some = texts[at : at + _CHUNK]
        changed = of_ids(session, rows, some).subquery("changed")
        # By their ids, since those that are gone are in no SELECT of the host any more.
        touch(session, account_id, Note.id.in_(_may_map(account_id, changed, some)))


def _may_map(account_id: int, changed: Any, host_ids: Any) -> Any:
    """SELECT the ids of the unmapped notes that some appointments concern."""
    return union(
        _of_people(account_id, changed),
        _beside_holders(account_id, host_ids),
        select(Note.id).where(
            Note.account_id == account_id, Note.why.is_not(None), Note.nearest.in_(host_ids)
        ),
    )


def _of_people(account_id: int, changed: Any) -> AnySelect:
    """SELECT the unmapped notes of the appointments' clients and staff, of whatever day: on which
    the appointment was before, nobody tells.
    """
    client, staff = aliased(Mapping, name="client_mapping"), aliased(Mapping, name="staff_mapping")

    def of(mapping: Any, kind: Kind, id: Any) -> Any:
        return and_(
            mapping.account_id == account_id,
            mapping.kind == kind.name,
            mapping.host_id == as_text(id),
        )

    people = pinned_join(changed, client, of(client, STUDENT, changed.c.client_id))
    people = pinned_join(people, staff, of(staff, USER, changed.c.staff_id))
    theirs = and_(
        Note.account_id == account_id,
        Note.student_id == client.vendor_id,
        Note.user_id == staff.vendor_id,
    )
    found = pinned_join(people, Note.__table__, theirs)
    return select(Note.id).select_from(found).where(Note.why.is_not(None))


def _beside_holders(account_id: int, host_ids: Any) -> AnySelect:
    """SELECT the unmapped notes in the groups (student, user, day) of those that hold some
    appointments.
    """
    held, holder = aliased(Mapping, name="held_mapping"), aliased(Note, name="holder")
    return (
        select(Note.id)
        .select_from(held)
        .join(
            holder,
            and_(holder.account_id == account_id, holder.vendor_id == held.vendor_id),
        )
        .join(
            Note,
            and_(
                Note.account_id == account_id,
                Note.student_id == holder.student_id,
                Note.user_id == holder.user_id,
                Note.date == holder.date,
            ),
        )
        .where(
            held.account_id == account_id,
            held.kind == NOTE.name,
            held.host_id.in_(host_ids),
            Note.why.is_not(None),
        )
    )


def _of_agencies(account_id: int, agency_ids: list[str]) -> AnySelect:
    """SELECT the unmapped notes of the sites of some agencies, whose time zone may be another."""
    return select(Note.id).where(
        Note.account_id == account_id,
        Note.why.is_not(None),
        exists().where(
            Mapping.account_id == account_id,
            Mapping.kind == SITE.name,
            Mapping.vendor_id == Note.site_id,
            Mapping.host_id.in_(agency_ids),
        ),
    )
