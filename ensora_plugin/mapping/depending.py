"""What stands on a mapping: how much, and which mappings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, exists, func, literal, select
from sqlalchemy.orm import aliased

from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from ..models import Mapping, Membership, Note, Record
from ..rendering.withdrawing import Desk


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
    # An EXISTS keeps databases from coming in by all the mappings of a kind.
    mapped = exists().where(
        stands.account_id == table.account_id,
        stands.kind == of.name,
        stands.vendor_id == table.vendor_id,
        stands.host_id.is_not(None),
    )
    return (
        select(func.count())
        .select_from(table)
        .where(table.account_id == record.account_id, belongs, mapped)
        .correlate(record)
        .scalar_subquery()
    )


def people_of(desk: Desk, kind: Kind, record: Record) -> dict[Kind, Any]:
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
