"""The rows of a report, of either side: the same row, found from the one end or from the other.

The vendor's side is the listing's own page, the host's that of `host_side.py`; both are joined with
the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select

from ..access import Scope
from ..database import AnySession
from ..host.entities import host_entity, in_agencies
from ..host.port import HostAdapter
from ..kinds import NOTE, SITE, USER, Kind
from ..listing.columns import with_columns
from ..listing.conditions import matching
from ..listing.filters import Filters
from ..listing.listing import PAGE, ListPage, list_page
from ..text import SEPARATOR
from .host_side import host_matching, host_page

#: So many rows are read at once for a file.
BATCH = 1000


@dataclass(frozen=True)
class Source:
    """Where the rows of a report come from, for whom."""

    session: AnySession
    scope: Scope
    host: HostAdapter
    kind: Kind
    #: "vendor" or "host".
    side: str


def page_of(source: Source, filters: Filters, size: int = PAGE) -> ListPage:
    """Return a page of rows, which `cells.py` reads."""
    if source.side == "host":
        return host_page(
            source.session, source.scope, source.host, source.kind, filters, size, _named
        )
    return list_page(
        source.session,
        source.scope,
        source.host,
        source.kind,
        filters,
        size=size,
        columns=_report_columns,
    )


def select_of(source: Source, filters: Filters, *columns: Any) -> Select[Any]:
    """SELECT columns of what all filters let through, beside the mappings."""
    if source.side == "host":
        return host_matching(source.scope, source.host, source.kind, filters).select(*columns)
    return matching(source.scope, source.kind, filters, *columns)


def count_of(source: Source, filters: Filters, most: int | None = None) -> int:
    """Count the rows, no further than to `most`."""
    some = select_of(source, filters, literal(1).label("one")).limit(most).subquery("some_rows")
    return source.session.scalar(select(func.count()).select_from(some)) or 0


def all_rows(source: Source, filters: Filters) -> Iterator[Any]:
    """Yield every row, read page by page: memory and transactions stay small."""
    filters = replace(filters, after="", before="")
    while True:
        page = page_of(source, filters, BATCH)
        yield from page.rows
        source.session.rollback()
        if not page.next:
            return
        filters = replace(filters, after=page.next)


def _report_columns(scope: Scope, host: HostAdapter, kind: Kind, keys: Select[Any]) -> Select[Any]:
    return with_columns(scope, host, kind, keys, lambda entity: _named(scope, host, kind, entity))


def _named(scope: Scope, host: HostAdapter, kind: Kind, entity: Any) -> list[ColumnElement[Any]]:
    """Return the names that belong to an entity by its ids: its agency, its client and staff."""
    account = scope.account
    agency = host_entity(host, account, SITE)
    if kind is USER:
        member = host.staff_agencies(account).subquery("member_of")
        places = (
            select(func.aggregate_strings(agency.c.name, SEPARATOR))
            .select_from(agency)
            .join(member, member.c.agency_id == agency.c.id)
            .where(member.c.staff_id == entity.c.id, in_agencies(scope, agency.c.id))
        )
        return [places.correlate(entity).scalar_subquery().label("agency_name")]
    if kind is SITE:
        return []
    found = [_looked_up(agency, "name", entity, "agency_id").label("agency_name")]
    if kind is NOTE:
        for of, person in (
            ("client", host.clients(account).subquery("client_of")),
            ("staff", host.staff(account).subquery("staff_of")),
        ):
            found += [
                _looked_up(person, f"{which}_name", entity, f"{of}_id").label(f"{of}_{which}")
                for which in ("first", "last")
            ]
    return found


def _looked_up(table: Any, column: str, entity: Any, by: str) -> Any:
    found = select(table.c[column]).where(table.c.id == entity.c[by])
    return found.correlate(entity).scalar_subquery()
