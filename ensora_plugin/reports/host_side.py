"""The host's side of a report: every entity that the actor sees, mapped or not.

People and places are paged by the directory, where their names stand in the order of lists;
appointments by their own day and start. Only a page's entities are read from the host's SELECT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, or_, select, tuple_
from sqlalchemy.orm import aliased

from ..access import Scope
from ..database import AnySession
from ..dialect import as_host_id, as_text
from ..host.entities import host_entity, in_agencies
from ..host.ids import native_ids
from ..host.port import HostAdapter
from ..kept import kept
from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from ..listing.columns import few, labelled, record_columns, with_facts
from ..listing.filters import Filters
from ..listing.listing import ListPage, cut_page, read_cursor, write_cursor
from ..listing.searching import starts_with
from ..models import Directory, DirectoryAgency, Mapping, RenderingRow
from ..text import text_key

#: What else is wanted of the entities of a page.
More = Callable[[Scope, HostAdapter, Kind, Any], Iterable[ColumnElement[Any]]]
_MOMENT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Entities:
    """The host's entities that all filters let through, with their mappings beside them."""

    #: The directory, or the host's appointments.
    table: Any
    id: Any
    #: By what they are sorted, their id last.
    order: tuple[Any, ...]
    conditions: tuple[ColumnElement[bool], ...]
    beside: ColumnElement[bool]

    def select(self, *columns: Any) -> Select[Any]:
        """SELECT columns of them and of their mappings."""
        return (
            select(*columns)
            .select_from(self.table)
            .outerjoin(Mapping, self.beside)
            .where(*self.conditions)
        )

    def behind(self, *, descending: bool) -> ColumnElement[bool]:
        """Return the condition that a row stands behind the values of `place`."""
        here = tuple_(*self.order)
        pairs = zip(_PLACE, self.order, strict=False)
        there = tuple_(*(bindparam(name, type_=column.type) for name, column in pairs))
        return here < there if descending else here > there

    def place(self, key: str, host_id: str) -> dict[str, Any] | None:
        """Return where a row stands in the order, None for one that cannot stand there."""
        values: list[Any] = [key]
        if len(self.order) == 3:
            try:
                moment = datetime.strptime(key, _MOMENT)  # noqa: DTZ007 - of the host's own clock
            except ValueError:
                return None
            values = [moment.date(), moment.time()]
        natives = native_ids(self.id, [host_id])
        return dict(zip(_PLACE, [*values, natives[0]], strict=False)) if natives else None


#: The parameters of a place, of which an order by two columns has two.
_PLACE = ("place_0", "place_1", "place_2")


def host_page(
    session: AnySession,
    scope: Scope,
    host: HostAdapter,
    kind: Kind,
    filters: Filters,
    size: int,
    more: More,
) -> ListPage:
    """Return a page of entities; a row has what a row of the listing has."""
    position = read_cursor(filters.before or filters.after, str)
    descending = filters.order(kind).descending != bool(filters.before)
    asked = replace(filters, after="", before="")

    def build() -> tuple[Entities, Select[Any]]:
        found = host_matching(scope, host, kind, asked)
        keys = found.select(*(column.label(f"key_{n}") for n, column in enumerate(found.order)))
        if position:
            keys = keys.where(found.behind(descending=descending))
        for column in found.order:
            keys = keys.order_by(column.desc() if descending else column)
        page = keys.limit(size + 1).cte("page")
        statement = _rows(scope, host, kind, page, more)
        for column in page.c:
            statement = statement.order_by(column.desc() if descending else column)
        return found, statement

    if filters.search.strip():
        # Everybody searches for something else.
        found, statement = build()
    else:
        key = ("host", kind.name, asked, position is not None, descending, size, more)
        found, statement = kept(scope, host, key, build)
    place = found.place(position[0], position[1]) if position else {}
    if place is None:
        return host_page(session, scope, host, kind, asked, size, more)
    rows = list(session.connection().execute(statement, place))

    def cursor(row: Any, number: int) -> str:
        key = row.key_0
        if kind is NOTE:
            key = datetime.combine(row.key_0, row.key_1).strftime(_MOMENT)
        return write_cursor(key, row.host_id, number)

    return cut_page(rows, filters, size, position[2] if position else None, cursor)


def _rows(scope: Scope, host: HostAdapter, kind: Kind, page: Any, more: More) -> Select[Any]:
    """SELECT what the cells of a page read."""
    model: Any = kind.model
    every = host_entity(host, scope.account, kind)
    # The last column of a page is its entity's id, in the host's own type or as the directory's.
    key = list(page.c)[-1]
    native, ours = (key, as_text(key)) if kind is NOTE else (as_host_id(key, every.c.id), key)
    entity = few(every, select(native.label("id")), "entity")
    return with_facts(
        select(
            *record_columns(kind),
            kind.settled.label("settled"),
            Mapping.state.label("state"),
            ours.label("host_id"),
            Mapping.by.label("by"),
            Mapping.at.label("at"),
            Mapping.reason.label("reason"),
            *page.c,
            *labelled(entity),
            *more(scope, host, kind, entity),
        )
        .select_from(page)
        .outerjoin(Mapping, _mapping_of(scope, kind, ours))
        .outerjoin(
            model,
            and_(
                model.account_id == scope.account_id,
                model.vendor_id == Mapping.vendor_id,
                scope.sees(kind),
            ),
        )
        .outerjoin(entity, entity.c.id == native),
        scope,
        host,
        kind,
        entity,
    )


def _mapping_of(scope: Scope, kind: Kind, host_id: Any) -> ColumnElement[bool]:
    return and_(
        Mapping.account_id == scope.account_id,
        Mapping.kind == kind.name,
        Mapping.host_id == host_id,
    )


def host_matching(scope: Scope, host: HostAdapter, kind: Kind, filters: Filters) -> Entities:
    """Return the entities that the actor sees and all filters let through."""
    found = _visits(scope, host, filters) if kind is NOTE else _entries(scope, kind, filters)
    state: tuple[ColumnElement[bool], ...] = ()
    if filters.state == "to-map":
        state = (Mapping.id.is_(None),)
    elif filters.state != "all":
        state = (Mapping.state == filters.state,)
    return Entities(found.table, found.id, found.order, found.conditions + state, found.beside)


def _entries(scope: Scope, kind: Kind, filters: Filters) -> Entities:
    conditions: list[Any] = [
        Directory.account_id == scope.account_id,
        Directory.entity == kind.entity,
    ]
    if not filters.inactive:
        conditions.append(Directory.active)
    bounds = [scope.agencies] if scope.agencies is not None else []
    bounds += [frozenset({filters.agency})] if filters.agency else []
    conditions += [_of_agencies(kind, agencies) for agencies in bounds]
    if filters.search.strip():
        conditions.append(_named(filters.search))
    key = getattr(Directory, filters.order(kind).column)
    return Entities(
        Directory,
        Directory.host_id,
        (key, Directory.host_id),
        tuple(conditions),
        _mapping_of(scope, kind, Directory.host_id),
    )


def _of_agencies(kind: Kind, agencies: frozenset[str]) -> ColumnElement[bool]:
    if kind is SITE:
        return Directory.host_id.in_(agencies)
    # A grouping joins the same table beside.
    own = aliased(DirectoryAgency, name="own_agency")
    return exists().where(
        own.account_id == Directory.account_id,
        own.entity == Directory.entity,
        own.host_id == Directory.host_id,
        own.agency_id.in_(agencies),
    )


def _named(search: str) -> ColumnElement[bool]:
    key = text_key(search.replace(",", " "))
    return or_(
        starts_with(Directory.name_key, key),
        starts_with(Directory.sort_key, key),
        Directory.host_id == search.strip(),
    )


def _visits(scope: Scope, host: HostAdapter, filters: Filters) -> Entities:
    visit = host_entity(host, scope.account, NOTE)
    beside = _mapping_of(scope, NOTE, as_text(visit.c.id))
    conditions: list[ColumnElement[bool]] = [in_agencies(scope, visit.c.agency_id)]
    if filters.since:
        conditions.append(visit.c.date >= filters.since)
    if filters.until:
        conditions.append(visit.c.date <= filters.until)
    if filters.agency:
        conditions.append(visit.c.agency_id.in_(native_ids(visit.c.agency_id, [filters.agency])))
    if not filters.inactive:
        conditions.append(or_(visit.c.eligible, Mapping.id.is_not(None)))
    if filters.rendering:
        conditions.append(_rendered_as(filters.rendering, visit))
    if filters.search.strip():
        conditions.append(_of_people(scope, filters.search, visit))
    order = (visit.c.date, visit.c.start, visit.c.id)
    return Entities(visit, visit.c.id, order, tuple(conditions), beside)


def _rendered_as(rendering: str, visit: Any) -> ColumnElement[bool]:
    refused = exists().where(
        RenderingRow.account_id == Mapping.account_id,
        RenderingRow.note_id == Mapping.vendor_id,
        RenderingRow.appointment_id == Mapping.host_id,
        RenderingRow.state.in_(("refused", "failed")),
    )
    told: dict[str, ColumnElement[bool]]
    told = {"rendered": visit.c.rendered, "refused": and_(~visit.c.rendered, refused)}
    return told.get(rendering, and_(~visit.c.rendered, ~refused))


def _of_people(scope: Scope, search: str, visit: Any) -> ColumnElement[bool]:
    people = [
        column.in_(
            select(as_host_id(Directory.host_id, column)).where(
                Directory.account_id == scope.account_id,
                Directory.entity == kind.entity,
                _named(search),
            )
        )
        for kind, column in ((STUDENT, visit.c.client_id), (USER, visit.c.staff_id))
    ]
    return or_(*people, visit.c.id.in_(native_ids(visit.c.id, [search.strip()])))
