"""Map, unmap, ignore: what a person may do to a mapping, its consequences, and its history row.

The rules are those of the seed's Action columns and of the domain. Every verb checks that the
person saw the
mapping as it stands (`seen`, its version, 0 for none): of two people in one row the second is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, delete, exists, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from .clock import utcnow
from .database import AnySession, upsert
from .errors import NotAllowed
from .history import write_history
from .host import HostAdapter
from .kinds import NOTE, SITE, STUDENT, USER, Kind
from .models import Connection, History, Mapping, Membership, Note, Record, Rejected
from .trying import groups_of, notes_of, touch
from .withdrawing import Desk, withdraw_note


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
    _forget_rejection(desk, kind, record.vendor_id, host_id)
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


def dependents(desk: Desk, kind: Kind, record: Record) -> int:
    """Count the mappings that stand on the mapping of a record."""
    return (
        desk.session.scalar(
            select(dependents_of(kind)).where(
                kind.model.account_id == desk.account_id, kind.model.vendor_id == record.vendor_id
            )
        )
        or 0
    )


def dependents_of(kind: Kind) -> Any:
    """Return, for a SELECT over the kind's records, how many mappings stand on each one's."""
    record = kind.model
    if kind is NOTE:
        return literal(0)
    notes = _depending(NOTE, Note, _NOTES_OF[kind.name], record)
    if kind is not SITE:
        return notes
    people = [
        _depending(
            person,
            Membership,
            and_(Membership.kind == person.name, Membership.site_id == record.vendor_id),
            record,
        )
        for person in (STUDENT, USER)
    ]
    return notes + people[0] + people[1]


_NOTES_OF = {
    SITE.name: Note.site_id == SITE.model.vendor_id,
    STUDENT.name: Note.student_id == STUDENT.model.vendor_id,
    USER.name: Note.user_id == USER.model.vendor_id,
}


def _depending(of: Kind, table: Any, belongs: Any, record: Any) -> Any:
    stands = aliased(Mapping, name=f"{of.name}_standing")
    return (
        select(func.count())
        .select_from(table)
        .join(
            stands,
            and_(
                stands.account_id == table.account_id,
                stands.kind == of.name,
                stands.vendor_id == table.vendor_id,
                stands.host_id.is_not(None),
            ),
        )
        .where(table.account_id == record.account_id, belongs)
        .correlate(record)
        .scalar_subquery()
    )


def release(
    desk: Desk, kind: Kind, record: Record, mapping: Mapping, *, must: bool = False
) -> Consequences:
    """Let go of a pair: reject it, remove the automatic mappings that stand on it, withdraw notes.

    What is locked or made by a person stays and is counted. With `must` a refused withdrawal of the
    note
    itself raises `NotAllowed` in the host's words.
    """
    happened = Consequences()
    if mapping.host_id is None:
        return happened
    _reject(desk, kind, record.vendor_id, mapping.host_id)
    if kind is NOTE:
        _withdraw(desk, mapping, happened, must=must)
    _release_all_on(desk, kind, record, happened)
    return happened


def _release_all_on(desk: Desk, kind: Kind, record: Record, happened: Consequences) -> None:
    """Release what stands on a record's mapping, and what stands on that in its turn."""
    if kind is NOTE:
        return
    stands = [notes_of(kind, [record.vendor_id])]
    for person, people in _people_of(desk, kind, record).items():
        # Older notes of a student who moved here name another site.
        stands.append(notes_of(person, _release_standing(desk, person, people, happened)))
    notes = select(Note.vendor_id).where(Note.account_id == desk.account_id, or_(*stands))
    released = _release_standing(desk, NOTE, notes, happened)
    touch(desk.session, desk.account_id, Note.vendor_id.in_(released))


def _people_of(desk: Desk, kind: Kind, record: Record) -> dict[Kind, Any]:
    """Return, of a site, a SELECT of the vendor ids of the students and users that need it."""
    if kind is not SITE:
        return {}
    other = aliased(Membership, name="other_site")
    site = aliased(Mapping, name="other_mapping")
    # A person of several sites stays as long as another one of them is mapped.
    elsewhere = exists().where(
        other.account_id == Membership.account_id,
        other.kind == Membership.kind,
        other.vendor_id == Membership.vendor_id,
        other.site_id != record.vendor_id,
        site.account_id == other.account_id,
        site.kind == SITE.name,
        site.vendor_id == other.site_id,
        site.host_id.is_not(None),
    )
    return {
        person: select(Membership.vendor_id).where(
            Membership.account_id == desk.account_id,
            Membership.kind == person.name,
            Membership.site_id == record.vendor_id,
            ~elsewhere,
        )
        for person in (STUDENT, USER)
    }


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


def host_entity(host: HostAdapter, account: str, kind: Kind) -> Any:
    """Return the host's SELECT of a kind's entities as a named subquery."""
    selects = {
        "agency": host.agencies,
        "client": host.clients,
        "staff": host.staff,
        "appointment": host.appointments,
    }
    return selects[kind.entity](account).subquery(kind.entity)


def find_entity(session: AnySession, entity: Any, host_id: str) -> Any:
    """Return the row of a host's entity by our text id, None where there is none."""
    try:
        native = entity.c.id.type.python_type(host_id)
    except ValueError:
        return None
    # " 12" and "012" are 12 to Python, but not to the unique constraint.
    if str(native) != host_id or (isinstance(native, int) and abs(native) >= 2**63):
        return None
    return session.execute(select(entity).where(entity.c.id == native)).first()


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


def _reject(desk: Desk, kind: Kind, vendor_id: str, host_id: str) -> None:
    key = {
        "account_id": desk.account_id,
        "kind": kind.name,
        "vendor_id": vendor_id,
        "host_id": host_id,
    }
    upsert(desk.session, Rejected.__table__, [key | {"by": desk.by, "at": utcnow()}], list(key))


def _forget_rejection(desk: Desk, kind: Kind, vendor_id: str, host_id: str) -> None:
    desk.session.execute(
        delete(Rejected).where(
            Rejected.account_id == desk.account_id,
            Rejected.kind == kind.name,
            Rejected.vendor_id == vendor_id,
            Rejected.host_id == host_id,
        )
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
