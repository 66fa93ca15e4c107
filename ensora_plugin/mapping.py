"""Map, unmap, ignore: what a person may do to a mapping, its consequences, and its history row.

The rules are those of the seed's Action columns and of the domain. Every verb checks that the
person saw the
mapping as it stands (`seen`, its version, 0 for none): of two people in one row the second is told.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from .clock import utcnow
from .depending import dependents
from .entities import find_entity, host_entity
from .errors import NotAllowed
from .history import write_history
from .kinds import NOTE, SITE, STUDENT, USER, Kind
from .models import Connection, History, Mapping, Note, Record
from .releasing import Consequences, forget_rejection, release
from .trying import groups_of, notes_of, touch
from .withdrawing import Desk


class Stale(NotAllowed):
    """Raised where somebody else changed the mapping meanwhile; nothing is overwritten unseen."""

    code = "stale"


class Taken(NotAllowed):
    """Raised where the entity stands for another record already; one to one."""

    code = "taken"


def lock_account(session: Session, account_id: int) -> None:
    """Hold the account's row until the end of the transaction.

    People and runs take it before they change a mapping: in one order, so that they never wait for
    each other in a ring (PostgreSQL; SQLite has one writer).
    """
    account = select(Connection.id).where(Connection.id == account_id)
    # Rows that refer to the account may be written meanwhile.
    session.execute(account.with_for_update(key_share=True))


def current(desk: Desk, kind: Kind, vendor_id: str) -> Mapping | None:
    """Return the mapping of a record as it stands now, None where there is none."""
    return desk.session.scalar(
        select(Mapping)
        .where(
            Mapping.account_id == desk.account_id,
            Mapping.kind == kind.name,
            Mapping.vendor_id == vendor_id,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def map_record(desk: Desk, kind: Kind, record: Record, host_id: str, *, seen: int) -> Consequences:
    """Map a record to a host's entity, in the place of what it was mapped to; the mapping becomes
    User.

    Returns the consequences. Raises `Stale`, `Taken`, and `NotAllowed` where there is no such
    entity.
    """
    mapping = _as_seen(desk, kind, record.vendor_id, seen)
    _check_entity(desk, kind, host_id)
    _check_free(desk, kind, record.vendor_id, host_id)
    before = _said(mapping)
    happened = Consequences()
    if mapping is not None and mapping.host_id != host_id:
        # A note that cannot leave its appointment must not go into a second one as well.
        happened = release(desk, kind, record, mapping, must=kind is NOTE)
    forget_rejection(desk, kind, record.vendor_id, host_id)
    if mapping is None:
        mapping = Mapping(
            account_id=desk.account_id, kind=kind.name, vendor_id=record.vendor_id, version=0
        )
        desk.session.add(mapping)
    mapping.host_id, mapping.state, mapping.reason = host_id, "user", None
    _sign(desk, mapping)
    _write(desk, "map", mapping, before)
    _forget_reason(record)
    _touch(desk, kind, record)
    return happened


def unmap_record(desk: Desk, kind: Kind, record: Record, *, seen: int) -> Consequences:
    """Delete a mapping that a person made and that nothing depends on; the pair counts as rejected.

    Raises `Stale`, and `NotAllowed` with the reason where the Delete icon is disabled.
    """
    mapping = _as_seen(desk, kind, record.vendor_id, seen)
    if mapping is None:
        raise NotAllowed("There is no mapping to delete.")
    if reason := why_not_deleted(kind, mapping.state, dependents(desk, kind, record)):
        raise NotAllowed(reason)
    before = _said(mapping)
    happened = release(desk, kind, record, mapping, must=True)
    mapping.version = _next_version(desk, mapping)
    _write(desk, "unmap", mapping, before, after={})
    desk.session.flush()
    desk.session.delete(mapping)
    desk.session.flush()
    _touch(desk, kind, record)
    return happened


def why_not_deleted(kind: Kind, state: str | None, depending: int) -> str | None:
    """Return why the Delete icon of a row is disabled, None where it is active (seed)."""
    if state is None:
        return "Nothing to delete"
    if state == "ignored":
        return "This record is ignored; there is no mapping to delete"
    if state == "auto":
        return (
            f"Automatic mappings can't be deleted; choose another {kind.entity_noun.lower()} "
            "to replace it"
        )
    if depending:
        what = "appointments" if kind in (STUDENT, USER) else "entities"
        are = f"{depending} {what} are" if depending > 1 else f"1 {what[:-1]} is"
        if kind is SITE:
            return f"{depending} clients, staff or appointments are mapped from this agency"
        return f"{are} mapped for this {kind.entity_noun.lower()}"
    return None


def _as_seen(desk: Desk, kind: Kind, vendor_id: str, seen: int) -> Mapping | None:
    mapping = current(desk, kind, vendor_id)
    version = mapping.version if mapping else 0
    if version != seen:
        who = (mapping.by or "automap") if mapping else "somebody"
        what = "changed" if mapping else "deleted"
        raise Stale(
            f"{who} {what} this mapping while you had it open. Look at it as it stands now."
        )
    return mapping


def _check_entity(desk: Desk, kind: Kind, host_id: str) -> None:
    entity = host_entity(desk.host, desk.account, kind)
    if not find_entity(desk.session, entity, host_id):
        raise NotAllowed(f"There is no such {kind.entity_noun.lower()} any more.")


def _check_free(desk: Desk, kind: Kind, vendor_id: str, host_id: str) -> None:
    rival = desk.session.scalar(
        select(Mapping.vendor_id).where(
            Mapping.account_id == desk.account_id,
            Mapping.kind == kind.name,
            Mapping.host_id == host_id,
            Mapping.vendor_id != vendor_id,
        )
    )
    if rival is not None:
        raise Taken(
            f"This {kind.entity_noun.lower()} is mapped to another {kind.noun.lower()} already; "
            "change that one first."
        )


def _sign(desk: Desk, mapping: Mapping) -> None:
    mapping.by, mapping.at, mapping.run_id = desk.by, utcnow(), None
    mapping.version = _next_version(desk, mapping)


def _next_version(desk: Desk, mapping: Mapping) -> int:
    """Return the version after this change; it goes on growing when a mapping is deleted and made
    anew.
    """
    told = desk.session.scalar(
        select(func.max(History.version)).where(
            History.account_id == desk.account_id,
            History.kind == mapping.kind,
            History.vendor_id == mapping.vendor_id,
        )
    )
    return max(told or 0, mapping.version or 0) + 1


def _said(mapping: Mapping | None) -> dict[str, Any] | None:
    if mapping is None:
        return None
    return {"host_id": mapping.host_id, "state": mapping.state}


def _write(
    desk: Desk,
    action: str,
    mapping: Mapping,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None = None,
) -> None:
    write_history(
        desk.session,
        desk.account_id,
        action=action,
        by=desk.by,
        kind=mapping.kind,
        vendor_id=mapping.vendor_id,
        version=mapping.version,
        before=before,
        after=_said(mapping) if after is None else after,
    )


def _touch(desk: Desk, kind: Kind, record: Record) -> None:
    """Let the notes be tried again that a changed mapping may let map."""
    ids = [record.vendor_id]
    which = groups_of(desk.account_id, ids) if kind is NOTE else notes_of(kind, ids)
    if kind is NOTE:
        which = or_(which, Note.vendor_id == record.vendor_id)
    touch(desk.session, desk.account_id, which)


def _forget_reason(record: Record) -> None:
    record.why = record.why_minutes = record.nearest = record.rival = None
