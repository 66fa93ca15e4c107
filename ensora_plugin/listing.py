"""The rows of a tab: filter, search and keyset pages over the records of any kind, in one SELECT.

The page is cut out of the record table first, by an index that ends in the sort key; only its rows
are joined
with mappings, with the host's own SELECTs and with what else a row shows.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import aliased

from .access import Scope
from .applying import standing_version
from .database import AnySession, as_host_id
from .host import HostAdapter
from .joins import mapping_of, person_of_note, rendering_of_note, student_of_note
from .kinds import NOTE, SITE, STUDENT, USER, Kind
from .mapping import dependents_of, host_entity
from .models import (
    Directory,
    DirectoryAgency,
    Mapping,
    Membership,
    Note,
    RenderingRow,
    Site,
    Student,
    User,
)
from .text import text_key
from .vendor import checked_date

PAGE = 50
#: The filters by the state of the mapping, as they stand in the address, with their words.
STATES = {"to-map": "To map", "auto": "Auto", "user": "User", "ignored": "Ignored", "all": "All"}


@dataclass(frozen=True)
class Filters:
    """What a person asked to see; stands in the address."""

    state: str = "all"
    search: str = ""
    #: Show inactive records as well, which nobody has to map.
    inactive: bool = False
    #: Cursor of the row behind which (`after`) or before which (`before`) the page lies.
    after: str = ""
    before: str = ""


@dataclass(frozen=True)
class ListPage:
    """A page of rows with the cursors of its neighbours, empty where there is none."""

    rows: list[Any]
    previous: str
    next: str


def list_page(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, filters: Filters
) -> ListPage:
    """Return a page of at most `PAGE` rows that the actor may see."""
    backwards = bool(filters.before)
    keys = _keys(scope, kind, filters, backwards).limit(PAGE + 1).subquery("page")
    statement = _with_columns(scope, host, kind).join(keys, keys.c.id == kind.model.id)
    descending = kind.newest_first != backwards
    for column in (kind.model.sort_key, kind.model.id):
        statement = statement.order_by(column.desc() if descending else column)
    rows = list(session.execute(statement))
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    if backwards:
        rows.reverse()
    is_first = not filters.after if not backwards else not more
    is_last = not more if not backwards else False
    return ListPage(
        rows,
        previous="" if is_first or not rows else _cursor(rows[0]),
        next="" if is_last or not rows else _cursor(rows[-1]),
    )


def list_row(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, record_id: int
) -> Any:
    """Return one row by the record's id, None where there is none that the actor may see."""
    statement = _with_columns(scope, host, kind).where(
        kind.model.id == record_id,
        kind.model.account_id == scope.account_id,
        scope.sees(kind),
    )
    return session.execute(statement).first()


def counts(
    session: AnySession, scope: Scope, kind: Kind, *, inactive: bool = False
) -> dict[str, int]:
    """Count the records that the actor sees by the filters of `STATES`."""
    rows = session.execute(
        select(Mapping.state, kind.settled, func.count())
        .select_from(kind.model)
        .outerjoin(Mapping, mapping_of(kind))
        .where(
            kind.model.account_id == scope.account_id,
            scope.sees(kind),
            true() if inactive else _shown(kind),
        )
        .group_by(Mapping.state, kind.settled)
    )
    found = dict.fromkeys(STATES, 0)
    for state, settled, count in rows:
        found["all"] += count
        if state or not settled:
            found[state or "to-map"] += count
    return found


def _keys(scope: Scope, kind: Kind, filters: Filters, backwards: bool) -> Select[Any]:
    """SELECT the ids of the page's records, in the order of the list (or against it)."""
    model = kind.model
    statement = (
        select(model.id)
        .outerjoin(Mapping, mapping_of(kind))
        .where(model.account_id == scope.account_id, scope.sees(kind), _in_state(kind, filters))
    )
    if filters.search.strip():
        statement = statement.where(_found(scope, kind, filters.search))
    position = read_cursor(filters.before or filters.after)
    descending = kind.newest_first != backwards
    if position is not None:
        here = tuple_(model.sort_key, model.id)
        there = tuple_(literal(position[0]), literal(position[1]))
        statement = statement.where(here < there if descending else here > there)
    for column in (model.sort_key, model.id):
        statement = statement.order_by(column.desc() if descending else column)
    return statement


def _in_state(kind: Kind, filters: Filters) -> ColumnElement[bool]:
    if filters.state == "to-map":
        return and_(Mapping.id.is_(None), ~kind.settled)
    shown = true() if filters.inactive else _shown(kind)
    return shown if filters.state == "all" else and_(shown, Mapping.state == filters.state)


def _shown(kind: Kind) -> ColumnElement[bool]:
    """The condition that a record is shown unasked: active ones, and every note that is mapped."""
    return or_(~kind.settled, Mapping.id.is_not(None)) if kind is NOTE else ~kind.settled


def _found(scope: Scope, kind: Kind, search: str) -> ColumnElement[bool]:
    """Search by the beginning of a name, either way round, or a day; notes by their people."""
    if kind is NOTE:
        people = [
            column.in_(
                select(of.model.vendor_id).where(
                    of.model.account_id == scope.account_id, _named(of, search)
                )
            )
            for of, column in ((STUDENT, Note.student_id), (USER, Note.user_id))
        ]
        day = checked_date(search.strip())
        return or_(*people, Note.date == day.date()) if day else or_(*people)
    return _named(kind, search)


def _named(kind: Kind, search: str) -> ColumnElement[bool]:
    key = text_key(search)
    model: Any = kind.model
    wanted = [starts_with(model.sort_key, key), starts_with(model.name_key, key)]
    day = checked_date(search.strip())
    if kind is STUDENT and day:
        wanted.append(Student.date_of_birth == day.date())
    if kind is USER:
        wanted.append(User.email == search.strip())
    return or_(*wanted)


def starts_with(column: Any, key: str) -> ColumnElement[bool]:
    """Return the condition that a key begins with `key`, in the form that an index serves."""
    return and_(column >= key, column < key + "\U0010ffff")


def _cursor(row: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.sort_key, row.id]).encode()).decode()


def read_cursor(cursor: str) -> tuple[str, int] | None:
    """Return where a page begins; None for no cursor, and for one that nobody gave out."""
    try:
        key, record_id = json.loads(base64.urlsafe_b64decode(cursor))
        key.encode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    ours = type(record_id) is int and 0 <= record_id < 2**63 and "\0" not in key
    return (key, record_id) if ours else None


def _with_columns(scope: Scope, host: HostAdapter, kind: Kind) -> Select[Any]:
    """SELECT what the rows of a kind show, without the choice of rows."""
    model = kind.model
    entity = host_entity(host, scope.account, kind)
    statement = (
        select(
            model,
            model.id.label("id"),
            model.sort_key.label("sort_key"),
            kind.settled.label("settled"),
            Mapping.state.label("state"),
            Mapping.host_id.label("host_id"),
            Mapping.by.label("by"),
            Mapping.at.label("at"),
            func.coalesce(Mapping.version, 0).label("version"),
            dependents_of(kind).label("dependents"),
            *(column.label(f"entity_{column.key}") for column in entity.c),
        )
        .outerjoin(Mapping, mapping_of(kind))
        .outerjoin(entity, entity.c.id == as_host_id(Mapping.host_id, entity.c.id))
    )
    if kind is NOTE:
        return _with_note(statement, scope, host, entity)
    return _with_directory(statement, scope, kind)


def _with_directory(statement: Select[Any], scope: Scope, kind: Kind) -> Select[Any]:
    """Add whether the names differ now, whether the entity is of the actor's agencies, and the
    site.
    """
    model: Any = kind.model
    differs = case((Directory.match_key == model.match_key, False), else_=True)
    statement = statement.add_columns(
        differs.label("names_differ"), _within(scope, kind).label("within")
    ).outerjoin(
        Directory,
        and_(
            Directory.account_id == model.account_id,
            Directory.entity == kind.entity,
            Directory.host_id == Mapping.host_id,
        ),
    )
    if kind.by_site:
        statement = statement.add_columns(_home_agency(kind).label("home_agency"))
    if kind is STUDENT:
        statement = statement.add_columns(Site.name.label("site_name")).outerjoin(
            Site, and_(Site.account_id == Student.account_id, Site.vendor_id == Student.site_id)
        )
    return statement


def _home_agency(kind: Kind) -> Any:
    """The agency that a site of the record is mapped to: where a new entity would belong."""
    home = aliased(Mapping, name="home_mapping")
    return (
        select(func.min(home.host_id))
        .join(
            Membership,
            and_(
                Membership.account_id == home.account_id,
                Membership.site_id == home.vendor_id,
                Membership.kind == kind.name,
            ),
        )
        .where(
            home.account_id == kind.model.account_id,
            home.kind == SITE.name,
            Membership.vendor_id == kind.model.vendor_id,
        )
        .correlate(kind.model)
        .scalar_subquery()
    )


def _within(scope: Scope, kind: Kind) -> ColumnElement[bool]:
    if scope.agencies is None:
        return literal(True)
    if kind is SITE:
        return Mapping.host_id.in_(scope.agencies)
    return exists().where(
        DirectoryAgency.account_id == scope.account_id,
        DirectoryAgency.entity == kind.entity,
        DirectoryAgency.host_id == Mapping.host_id,
        DirectoryAgency.agency_id.in_(scope.agencies),
    )


def in_agencies(scope: Scope, agency_id: Any) -> ColumnElement[bool]:
    """Return the condition that a host's column holds one of the actor's agencies."""
    if scope.agencies is None:
        return literal(True)
    own = [agency_id.type.python_type(agency) for agency in scope.agencies]
    return cast(ColumnElement[bool], agency_id.in_(own))


def _with_note(statement: Select[Any], scope: Scope, host: HostAdapter, entity: Any) -> Select[Any]:
    """Add a note's people and site, the nearest appointment, and what was rendered."""
    nearest = aliased(host_entity(host, scope.account, NOTE), name="nearest")
    taken = aliased(Mapping, name="nearest_taken")
    client, staff, agency = (
        aliased(Mapping, name=f"{of}_is") for of in ("client", "staff", "agency")
    )
    return (
        statement.add_columns(
            Student.first_name.label("student_first"),
            Student.last_name.label("student_last"),
            User.first_name.label("user_first"),
            User.last_name.label("user_last"),
            Site.name.label("site_name"),
            nearest.c.date.label("nearest_date"),
            nearest.c.start.label("nearest_start"),
            nearest.c.end.label("nearest_end"),
            nearest.c.time_zone.label("nearest_time_zone"),
            nearest.c.eligible.label("nearest_eligible"),
            Student.time_zone.label("student_zone"),
            taken.vendor_id.label("nearest_holder"),
            RenderingRow.state.label("rendering"),
            RenderingRow.refusals.label("refusals"),
            RenderingRow.at.label("rendering_at"),
            RenderingRow.applied.label("applied"),
            RenderingRow.signatures.label("signatures"),
            standing_version(Note.account_id, Note.vendor_id, Mapping.host_id).label("standing"),
            Note.date.label("date"),
            client.host_id.label("client_is"),
            staff.host_id.label("staff_is"),
            agency.host_id.label("agency_is"),
            literal(False).label("names_differ"),
            in_agencies(scope, entity.c.agency_id).label("within"),
            in_agencies(scope, nearest.c.agency_id).label("nearest_within"),
        )
        .outerjoin(client, person_of_note(STUDENT, client, Note.student_id))
        .outerjoin(staff, person_of_note(USER, staff, Note.user_id))
        .outerjoin(agency, person_of_note(SITE, agency, Note.site_id))
        .outerjoin(Student, student_of_note())
        .outerjoin(User, and_(User.account_id == Note.account_id, User.vendor_id == Note.user_id))
        .outerjoin(Site, and_(Site.account_id == Note.account_id, Site.vendor_id == Note.site_id))
        .outerjoin(nearest, nearest.c.id == as_host_id(Note.nearest, nearest.c.id))
        .outerjoin(
            taken,
            and_(
                taken.account_id == Note.account_id,
                taken.kind == NOTE.name,
                taken.host_id == Note.nearest,
            ),
        )
        .outerjoin(
            RenderingRow,
            and_(rendering_of_note(Mapping.host_id), RenderingRow.version == Note.version),
        )
    )


def sites_of_users(
    session: AnySession, scope: Scope, vendor_ids: list[str]
) -> dict[str, list[str]]:
    """Return the names of the sites of users that the actor sees, by the users' vendor ids."""
    found: dict[str, list[str]] = {}
    rows = session.execute(
        select(Membership.vendor_id, Site.name)
        .join(
            Site,
            and_(Site.account_id == Membership.account_id, Site.vendor_id == Membership.site_id),
        )
        .where(
            Membership.account_id == scope.account_id,
            Membership.kind == USER.name,
            Membership.vendor_id.in_(vendor_ids),
            scope.sees(SITE),
        )
        .order_by(Site.sort_key)
    )
    for vendor_id, name in rows:
        found.setdefault(vendor_id, []).append(name)
    return found
