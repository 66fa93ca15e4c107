"""What a row's drop-down offers: entities the actor may choose, 20 at a time, free ones first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, false, func, or_, select
from sqlalchemy.orm import aliased

from ..access import Scope
from ..database import AnySession
from ..dialect import as_host_id
from ..host.directory import refresh_some
from ..host.entities import host_entity, of_agencies
from ..host.port import HostAdapter
from ..kinds import NOTE, SITE, STUDENT, Kind
from ..models import Directory, DirectoryAgency, Mapping, Record
from ..text import text_key
from .choices_notes import appointment_options
from .dates import days_of
from .option import PAGE, Option, told_apart
from .row_words import agreeing, day_text
from .searching import starts_with


def entity_options(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, record: Record, search: str
) -> list[Option]:
    """Return at most 20 agencies, clients or staff; without a search those like the record first.

    The mapped one of the record itself is not among those that are taken.
    """
    wanted = _searched(search or _own_name(record))
    if not search:
        wanted = or_(wanted, Directory.host_id == record.nearest)
    found = _offered(session, scope, host, kind, record, wanted)
    if not search and len(found) < PAGE:
        known = {option.id for option in found}
        everyone = _offered(session, scope, host, kind, record, None)
        found += [option for option in everyone if option.id not in known][: PAGE - len(found)]
    return told_apart(found)


def find_at_host(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, search: str
) -> bool:
    """Bring the directory's entries in line for what the host has now under a search that found
    nothing; flushes, and tells whether any changed.

    The host may have made an entity and told nobody. Its rows are not indexed for this, so it is
    asked once for few of them, each word as the beginning of a name, an email or a birth date.
    """
    entity = host_entity(host, scope.account, kind)
    days = days_of(search)
    told = [_begins(entity, kind, word) for word in search.replace(",", " ").split()]
    wanted = [and_(*told)] if told else []
    if kind is STUDENT and days:
        wanted.append(entity.c.date_of_birth.in_(days))
    if not wanted:
        return False
    ids = session.scalars(select(entity.c.id).where(or_(*wanted)).limit(PAGE))
    host_ids = [str(id) for id in ids]
    return bool(refresh_some(session, scope.account_id, scope.account, host, kind, host_ids))


def _begins(entity: Any, kind: Kind, word: str) -> ColumnElement[bool]:
    names = [name for name in kind.compared if name != "date_of_birth"]
    return or_(
        *(
            condition
            for name in names
            for condition in (
                entity.c[name].istartswith(word, autoescape=True),
                # Of other letters than ASCII, SQLite knows no case.
                entity.c[name].startswith(word.title(), autoescape=True),
            )
        )
    )


def _own_name(record: Any) -> str:
    return str(getattr(record, "last_name", None) or getattr(record, "name", ""))


def _searched(search: str) -> ColumnElement[bool]:
    """Search by the beginning of a name, either way round, or of an email, a birth date, an id."""
    key = text_key(search.replace(",", " "))
    days = [day.isoformat() for day in days_of(search)]
    return or_(
        starts_with(Directory.name_key, key),
        starts_with(Directory.sort_key, key),
        starts_with(Directory.last_fact, key),
        Directory.last_fact.in_(days),
        Directory.host_id == search.strip(),
    )


def _offered(
    session: AnySession,
    scope: Scope,
    host: HostAdapter,
    kind: Kind,
    record: Any,
    wanted: ColumnElement[bool] | None,
) -> list[Option]:
    """Read a page of the directory, and of its entities what the host says now."""
    chosen = _page(scope, kind, record.vendor_id, wanted).subquery("chosen")
    entity = host_entity(host, scope.account, kind)
    holder: Any = kind.model
    names = (holder.name,) if kind is SITE else (holder.first_name, holder.last_name)
    statement = (
        select(
            entity,
            chosen.c.host_id.label("option_id"),
            chosen.c.taken,
            case((scope.sees(kind), True), else_=False).label("holder_seen"),
            *(name.label(f"holder_{name.key}") for name in names),
        )
        .join(chosen, entity.c.id == as_host_id(chosen.c.host_id, entity.c.id))
        .outerjoin(
            holder,
            and_(holder.account_id == scope.account_id, holder.vendor_id == chosen.c.taken),
        )
        .where(of_agencies(scope, host, kind, entity))
        .order_by(chosen.c.place)
    )
    if kind is STUDENT:
        agency = host_entity(host, scope.account, SITE)
        statement = statement.add_columns(agency.c.name.label("agency_name")).outerjoin(
            agency, agency.c.id == entity.c.agency_id
        )
    return [_option(kind, record, row) for row in session.execute(statement)]


def _page(scope: Scope, kind: Kind, own: str, wanted: ColumnElement[bool] | None) -> Any:
    taken = aliased(Mapping, name="taken")
    held = and_(
        taken.account_id == Directory.account_id,
        taken.kind == kind.name,
        taken.host_id == Directory.host_id,
        taken.vendor_id != own,
    )
    order = (taken.id.is_not(None), ~Directory.active, Directory.sort_key, Directory.host_id)
    page = (
        select(
            Directory.host_id,
            taken.vendor_id.label("taken"),
            func.row_number().over(order_by=order).label("place"),
        )
        .outerjoin(taken, held)
        .where(
            Directory.account_id == scope.account_id,
            Directory.entity == kind.entity,
            _listed_in_agencies(scope, kind),
        )
        .order_by(*order)
        .limit(PAGE)
    )
    return page if wanted is None else page.where(wanted)


def _listed_in_agencies(scope: Scope, kind: Kind) -> ColumnElement[bool]:
    """The condition that an entry of the directory is of the actor's agencies."""
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


def _option(kind: Kind, record: Any, row: Any) -> Option:
    taken = ""
    if row.taken is not None:
        taken = f"another {kind.noun.lower()}"
        if row.holder_seen:
            taken = row.holder_name if kind is SITE else _full(row, "holder_")
    if kind is SITE:
        return Option(row.option_id, row.name, "", taken)
    born = f"born {day_text(row.date_of_birth)}" if kind is STUDENT else row.email
    agency = row.agency_name if kind is STUDENT else ""
    facts = filter(None, (born, agency, "" if row.active else "inactive"))
    agrees = agreeing(kind, record, row)
    return Option(row.option_id, _full(row, ""), " · ".join(facts), taken, agrees)


def _full(row: Any, of: str) -> str:
    return f"{getattr(row, f'{of}first_name')} {getattr(row, f'{of}last_name')}".strip()


def options(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, record: Any, search: str
) -> list[Option]:
    """Return at most 20 entities that a record may be mapped to, free ones first."""
    if kind is NOTE:
        return told_apart(appointment_options(session, scope, host, record, search))
    return entity_options(session, scope, host, kind, record, search)
