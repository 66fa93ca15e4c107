"""What a row's drop-down offers: entities the actor may choose, 20 at a time, free ones first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, false, func, or_, select
from sqlalchemy.orm import aliased

from .access import Scope
from .database import AnySession, as_host_id, as_text
from .host import HostAdapter
from .kinds import NOTE, SITE, STUDENT, Kind
from .listing import in_agencies, starts_with
from .mapping import find_entity, host_entity
from .models import Directory, DirectoryAgency, Mapping, Note, Record
from .records import checked_date
from .rows import day_text, time_text
from .text import text_key

PAGE = 20
#: Appointments of so many days around the note's day are offered.
_NEAR = timedelta(days=7)


@dataclass(frozen=True)
class Option:
    """An entity that may be chosen; `taken` says by whom it is taken, or is empty."""

    id: str
    label: str
    sub: str
    taken: bool


def options(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, record: Record, search: str
) -> list[Option]:
    """Return at most 20 entities for a record; without a search those that look like it."""
    if kind is NOTE:
        return _appointments(session, scope, host, record, search)
    found = _named(session, scope, host, kind, _searched(kind, search or _own_name(record)))
    if not search and len(found) < PAGE:
        known = {option.id for option in found}
        everyone = _named(session, scope, host, kind, None)
        found += [option for option in everyone if option.id not in known][: PAGE - len(found)]
    return found


def _own_name(record: Any) -> str:
    return str(getattr(record, "last_name", None) or getattr(record, "name", ""))


def _searched(kind: Kind, search: str) -> ColumnElement[bool]:
    key = text_key(search)
    day = checked_date(search.strip())
    if kind is STUDENT and day:
        return Directory.match_key.endswith(f"\x1f{day:%Y-%m-%d}")
    return or_(starts_with(Directory.name_key, key), starts_with(Directory.sort_key, key))


def _named(
    session: AnySession,
    scope: Scope,
    host: HostAdapter,
    kind: Kind,
    wanted: ColumnElement[bool] | None,
) -> list[Option]:
    taken = aliased(Mapping, name="taken")
    held = and_(
        taken.account_id == Directory.account_id,
        taken.kind == kind.name,
        taken.host_id == Directory.host_id,
    )
    order = (taken.id.is_not(None), ~Directory.active, Directory.sort_key, Directory.host_id)
    page = (
        select(
            Directory.host_id,
            taken.id.label("taken"),
            func.row_number().over(order_by=order).label("place"),
        )
        .outerjoin(taken, held)
        .where(
            Directory.account_id == scope.account_id,
            Directory.entity == kind.entity,
            _in_agencies(scope, kind),
        )
        .order_by(*order)
        .limit(PAGE)
    )
    if wanted is not None:
        page = page.where(wanted)
    chosen = page.subquery("chosen")
    entity = host_entity(host, scope.account, kind)
    statement = (
        select(entity, chosen.c.host_id.label("option_id"), chosen.c.taken)
        .join(chosen, entity.c.id == as_host_id(chosen.c.host_id, entity.c.id))
        .order_by(chosen.c.place)
    )
    if kind is STUDENT:
        agency = host_entity(host, scope.account, SITE)
        statement = statement.add_columns(agency.c.name.label("agency_name")).outerjoin(
            agency, agency.c.id == entity.c.agency_id
        )
    rows = session.execute(statement)
    found = [Option(row.option_id, *_say(kind, row), row.taken is not None) for row in rows]
    return _told_apart(found)


def _told_apart(found: list[Option]) -> list[Option]:
    """Add the host's number to options that would read the same."""
    times = Counter((option.label, option.sub) for option in found)
    return [
        replace(option, sub=f"{option.sub} · no. {option.id}".removeprefix(" · "))
        if times[option.label, option.sub] > 1
        else option
        for option in found
    ]


def _say(kind: Kind, entity: Any) -> tuple[str, str]:
    if kind is SITE:
        return entity.name, ""
    if kind is STUDENT:
        facts = [f"born {day_text(entity.date_of_birth)}", entity.agency_name]
    else:
        facts = [entity.email]
    facts.append("" if entity.active else "inactive")
    return f"{entity.first_name} {entity.last_name}", " · ".join(filter(None, facts))


def _in_agencies(scope: Scope, kind: Kind) -> ColumnElement[bool]:
    if scope.agencies is None:
        return Directory.account_id == scope.account_id
    if not scope.agencies:
        return false()
    if kind is SITE:
        return Directory.host_id.in_(scope.agencies)
    return exists().where(
        DirectoryAgency.account_id == Directory.account_id,
        DirectoryAgency.entity == Directory.entity,
        DirectoryAgency.host_id == Directory.host_id,
        DirectoryAgency.agency_id.in_(scope.agencies),
    )


def may_choose(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, host_id: str
) -> bool:
    """Tell whether an entity is one of the account's and of the actor's agencies."""
    if kind is NOTE:
        found = find_entity(session, host_entity(host, scope.account, kind), host_id)
        return found is not None and scope.holds(found.agency_id)
    return (
        session.scalar(
            select(Directory.host_id).where(
                Directory.account_id == scope.account_id,
                Directory.entity == kind.entity,
                Directory.host_id == host_id,
                _in_agencies(scope, kind),
            )
        )
        is not None
    )


def _appointments(
    session: AnySession, scope: Scope, host: HostAdapter, record: Any, search: str
) -> list[Option]:
    """Offer appointments near the note's day, of its client or its staff member, the likely ones
    first.
    """
    note: Note = record
    asked = checked_date(search.strip())
    day = asked.date() if asked else note.date
    if day is None:
        return []
    a = host_entity(host, scope.account, NOTE)
    clients, staff = host_people(host, scope.account)
    client_is, staff_is = (
        _party(scope, "student", note.student_id),
        _party(scope, "user", note.user_id),
    )
    same_client = a.c.client_id == as_host_id(client_is, a.c.client_id)
    same_staff = a.c.staff_id == as_host_id(staff_is, a.c.staff_id)
    near = timedelta(0) if asked else _NEAR
    taken = aliased(Mapping, name="taken")
    statement = (
        select(
            a,
            as_text(a.c.id).label("option_id"),
            taken.id.label("taken"),
            clients.c.first_name.label("client_first"),
            clients.c.last_name.label("client_last"),
            staff.c.first_name.label("staff_first"),
            staff.c.last_name.label("staff_last"),
        )
        .join(clients, clients.c.id == a.c.client_id)
        .join(staff, staff.c.id == a.c.staff_id)
        .outerjoin(
            taken,
            and_(
                taken.account_id == scope.account_id,
                taken.kind == NOTE.name,
                taken.host_id == as_text(a.c.id),
            ),
        )
        .where(
            a.c.date.between(day - near, day + near),
            a.c.eligible,
            in_agencies(scope, a.c.agency_id),
        )
        .order_by(
            taken.id.is_not(None),
            case((and_(same_client, same_staff), 0), (same_client, 1), else_=2),
            case((a.c.date == day, 0), else_=1),
            a.c.date,
            a.c.start,
        )
        .limit(PAGE)
    )
    statement = statement.where(
        _people_found(clients, staff, search, same_client, same_staff, asked)
    )
    return [_appointment(row) for row in session.execute(statement)]


def _people_found(
    clients: Any, staff: Any, search: str, same_client: Any, same_staff: Any, asked: Any
) -> ColumnElement[bool]:
    """Without a search: of the note's client or staff; with one: of people whose names begin like
    it.
    """
    if not search.strip() or asked:
        return or_(same_client, same_staff)
    names = (clients.c.first_name, clients.c.last_name, staff.c.first_name, staff.c.last_name)
    return or_(*(name.istartswith(search.strip(), autoescape=True) for name in names))


def host_people(host: HostAdapter, account: str) -> tuple[Any, Any]:
    """Return the host's SELECTs of clients and staff as named subqueries."""
    return host.clients(account).subquery("option_client"), host.staff(account).subquery(
        "option_staff"
    )


def _party(scope: Scope, kind: str, vendor_id: str) -> Any:
    party = aliased(Mapping, name=f"{kind}_party")
    return (
        select(party.host_id)
        .where(
            party.account_id == scope.account_id,
            party.kind == kind,
            party.vendor_id == vendor_id,
        )
        .scalar_subquery()
    )


def _appointment(row: Any) -> Option:
    people = f"{row.client_first} {row.client_last} with {row.staff_first} {row.staff_last}"
    span = f"{time_text(row.start)}–{time_text(row.end)}"
    return Option(
        row.option_id, f"{row.date:%a} {day_text(row.date)}, {span}", people, row.taken is not None
    )
