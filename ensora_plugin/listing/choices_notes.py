"""Which appointments a session note's drop-down offers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, select
from sqlalchemy.orm import aliased

from ..access import Scope
from ..database import AnySession
from ..dialect import as_host_id, as_text
from ..host.entities import host_entity, in_agencies
from ..host.port import HostAdapter
from ..kinds import NOTE
from ..models import Mapping, Note
from .dates import days_of
from .option import PAGE, Option
from .row_words import day_text, time_text

#: Appointments of so many days around the note's day are offered.
_NEAR = timedelta(days=7)


def appointment_options(
    session: AnySession, scope: Scope, host: HostAdapter, note: Note, search: str
) -> list[Option]:
    """Return at most 20 appointments near the note's day, free and likely ones first.

    Without a search those of its client or staff; with one those of people whose names begin like
    it, of a day, or the one of an id.
    """
    a = host_entity(host, scope.account, NOTE)
    client, staff = _people(host, scope.account)
    taken = aliased(Mapping, name="taken")
    same_client = _same(a.c.client_id, scope, "student", note.student_id)
    same_staff = _same(a.c.staff_id, scope, "user", note.user_id)
    statement = (
        select(
            a,
            as_text(a.c.id).label("option_id"),
            taken.vendor_id.label("taken"),
            client.c.first_name.label("client_first"),
            client.c.last_name.label("client_last"),
            staff.c.first_name.label("staff_first"),
            staff.c.last_name.label("staff_last"),
        )
        .join(client, client.c.id == a.c.client_id)
        .join(staff, staff.c.id == a.c.staff_id)
        .outerjoin(taken, _held(taken, scope, a, note))
        .where(
            a.c.eligible,
            in_agencies(scope, a.c.agency_id),
            _wanted(a, client, staff, note, search, or_(same_client, same_staff)),
        )
        .order_by(
            taken.id.is_not(None),
            case((and_(same_client, same_staff), 0), (same_client, 1), else_=2),
            case((a.c.date == note.date, 0), else_=1),
            a.c.date,
            a.c.start,
        )
        .limit(PAGE)
    )
    return [_option(row) for row in session.execute(statement)]


def _wanted(
    a: Any, client: Any, staff: Any, note: Note, search: str, same: ColumnElement[bool]
) -> ColumnElement[bool]:
    told = search.strip()
    if days := days_of(told):
        return and_(a.c.date.in_(days))
    if note.date is None:
        return as_text(a.c.id) == told
    near = a.c.date.between(note.date - _NEAR, note.date + _NEAR)
    if not told:
        return and_(near, same)
    names = (client.c.first_name, client.c.last_name, staff.c.first_name, staff.c.last_name)
    named = or_(*(name.istartswith(told, autoescape=True) for name in names))
    return and_(near, or_(named, as_text(a.c.id) == told))


def _held(taken: Any, scope: Scope, a: Any, note: Note) -> ColumnElement[bool]:
    return and_(
        taken.account_id == scope.account_id,
        taken.kind == NOTE.name,
        taken.host_id == as_text(a.c.id),
        taken.vendor_id != note.vendor_id,
    )


def _people(host: HostAdapter, account: str) -> tuple[Any, Any]:
    """Return the host's SELECTs of clients and staff as named subqueries."""
    client = host.clients(account).subquery("option_client")
    return client, host.staff(account).subquery("option_staff")


def _same(column: Any, scope: Scope, kind: str, vendor_id: str) -> ColumnElement[bool]:
    """The condition that a person of an appointment is the one that a record is mapped to."""
    party = aliased(Mapping, name=f"{kind}_party")
    mapped = select(party.host_id).where(
        party.account_id == scope.account_id, party.kind == kind, party.vendor_id == vendor_id
    )
    same: ColumnElement[bool] = column == as_host_id(mapped.scalar_subquery(), column)
    return same


def _option(row: Any) -> Option:
    people = f"{row.client_first} {row.client_last} with {row.staff_first} {row.staff_last}"
    span = f"{time_text(row.start)}–{time_text(row.end)}"
    taken = "another session note" if row.taken is not None else ""
    return Option(row.option_id, f"{row.date:%a} {day_text(row.date)}, {span}", people, taken)
