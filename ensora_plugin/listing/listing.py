"""The rows of a tab: filter, search and keyset pages over the records of any kind, in one SELECT.

The page is cut out of the record table first, by an index that ends in the sort key; only its rows
are joined with mappings, with the host's own SELECTs and with what else a row shows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    case,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)

from ..access import Scope
from ..database import AnySession
from ..dialect import among, pinned_join
from ..host.port import HostAdapter
from ..joins import mapping_of
from ..kept import kept
from ..kinds import Kind
from ..models import Mapping
from .columns import home_agency, with_columns
from .conditions import bounds_of, let_through
from .filters import Filters
from .searching import sought, words_of

PAGE = 50
#: What stands for a row in an address beside its sort key: a record's number, or a host's id.
Id = TypeVar("Id", int, str)


@dataclass(frozen=True)
class ListPage:
    """A page of rows with the cursors of its neighbours, empty where there is none."""

    rows: list[Any]
    previous: str
    next: str
    #: The number of the first row, counted from 1 on the way that led here.
    first: int = 1


#: Makes the SELECT of a page's rows of the SELECT of their keys.
Columns = Callable[[Scope, HostAdapter, Kind, Select[Any]], Select[Any]]


def list_page(
    session: AnySession,
    scope: Scope,
    host: HostAdapter,
    kind: Kind,
    filters: Filters,
    *,
    size: int = PAGE,
    columns: Columns = with_columns,
) -> ListPage:
    """Return a page of at most `size` rows that the actor may see."""
    position = read_cursor(filters.before or filters.after)
    statement = _kept_page(scope, host, kind, filters, position, size, columns)
    rows = _read(session, statement, _values(filters, position))
    column = filters.order(kind).column

    def cursor(row: Any, number: int) -> str:
        return write_cursor(getattr(row, column), row.id, number)

    return cut_page(rows, filters, size, position[2] if position else None, cursor)


def cut_page(
    rows: list[Any],
    filters: Filters,
    size: int,
    number: int | None,
    cursor: Callable[[Any, int], str],
) -> ListPage:
    """Cut a page out of one row more, and name its neighbours.

    `number` is that of the row at which the page was asked for, None for the first page.
    """
    backwards = bool(filters.before)
    more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    first = 1
    if number is not None:
        first = max(number - len(rows), 1) if backwards else number + 1
    is_first = not filters.after if not backwards else not more
    is_last = not more if not backwards else False
    return ListPage(
        rows,
        previous="" if is_first or not rows else cursor(rows[0], first),
        next="" if is_last or not rows else cursor(rows[-1], first + len(rows) - 1),
        first=first,
    )


def list_row(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, record_id: int
) -> Any:
    """Return one row by the record's id, None where there is none that the actor may see."""

    def build() -> Any:
        one = _columns(kind).where(
            kind.model.id == bindparam("record_id"),
            kind.model.account_id == scope.account_id,
            scope.sees(kind),
        )
        return with_columns(scope, host, kind, one, lambda _entity: home_agency(kind))

    statement = kept(scope, host, (kind.name, "row"), build)
    return next(iter(_read(session, statement, {"record_id": record_id})), None)


def list_some(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, ids: Collection[int]
) -> list[Any]:
    """Return the rows of some records, in the order of the list, as far as the actor sees them."""
    some = _columns(kind).where(
        kind.model.id.in_(ids), kind.model.account_id == scope.account_id, scope.sees(kind)
    )
    rows = with_columns(scope, host, kind, some)
    return _read(session, _ordered(rows, kind, Filters()))


def _read(session: AnySession, statement: Any, values: dict[str, Any] | None = None) -> list[Any]:
    """Return the rows as the database has them: the ORM would make each once more."""
    return list(session.connection().execute(statement, values).all())


def _kept_page(
    scope: Scope,
    host: HostAdapter,
    kind: Kind,
    filters: Filters,
    position: tuple[str, int, int] | None,
    size: int,
    columns: Columns,
) -> Any:
    """Return the SELECT of a page; one is kept for all pages that only have other `_values`."""
    typed, days = bool(filters.search.strip()), bool(words_of(filters.search)["days"])
    form = (filters.state, filters.inactive, filters.agency, filters.rendering, filters.sort)
    place = (position is not None, bool(filters.before))
    bounds = (filters.since is not None, filters.until is not None)
    report = (filters.why, filters.site, filters.refusal, size, columns)
    key = (kind.name, form, report, place, bounds, typed, days)

    def build() -> Any:
        # As a parameter it would be taken for many rows by every plan that PostgreSQL keeps.
        most: Any = literal_column(str(size + 1))
        keys = _keys(scope, kind, filters, position, most)
        return _ordered(columns(scope, host, kind, keys), kind, filters)

    return kept(scope, host, key, build)


def _values(filters: Filters, position: tuple[str, int, int] | None) -> dict[str, Any]:
    """Return the values of a kept SELECT that are this request's."""
    values: dict[str, Any] = words_of(filters.search) | bounds_of(filters)
    if position is not None:
        values |= {"place_key": position[0], "place_id": position[1]}
    return values


def _keys(
    scope: Scope, kind: Kind, filters: Filters, position: tuple[str, int, int] | None, most: Any
) -> Any:
    """SELECT the ids of at most so many of the page's records, in the order of the list (or against
    it).
    """

    def page(rows: Select[Any], most: Any) -> Select[Any]:
        rows = rows.outerjoin(Mapping, mapping_of(kind)).where(
            let_through(scope, kind, filters), _behind(kind, filters, position)
        )
        return _ordered(rows, kind, filters).limit(most)

    rows = _columns(kind)
    if not filters.search.strip():
        return page(rows, most)
    # Either way by itself is slow where the other one is quick; a page of none costs nothing.
    wanted = sought(scope, kind, filters.search)
    table = kind.model.__table__
    found = pinned_join(wanted.ids, table, table.c.id == wanted.ids.c.id)
    # The join makes SQLite begin with what was found; the condition, PostgreSQL.
    those = rows.select_from(found).where(among(table.c.id, select(wanted.ids.c.id)))
    few = page(those, case((wanted.few, most), else_=0))
    many = page(rows.where(wanted.met), case((wanted.few, 0), else_=most))
    either = union_all(*(select(part.subquery()) for part in (few, many))).subquery("either")
    # What is joined with a page has to be planned for a page.
    return select(either).limit(most)


def _behind(
    kind: Kind, filters: Filters, position: tuple[str, int, int] | None
) -> ColumnElement[bool]:
    """Return the condition that a record comes after (or before) the page that led here."""
    if position is None:
        return true()
    order = filters.order(kind)
    here = tuple_(getattr(kind.model, order.column), kind.model.id)
    there = tuple_(bindparam("place_key", position[0]), bindparam("place_id", position[1]))
    return here < there if order.descending != bool(filters.before) else here > there


def _columns(kind: Kind) -> Select[Any]:
    """SELECT what the rows of a page are found by, in its record table and beside it."""
    model: Any = kind.model
    return select(model.id, model.vendor_id, model.nearest)


def _ordered(statement: Select[Any], kind: Kind, filters: Filters) -> Select[Any]:
    order = filters.order(kind)
    descending = order.descending != bool(filters.before)
    for column in (getattr(kind.model, order.column), kind.model.id):
        statement = statement.order_by(column.desc() if descending else column)
    return statement


def write_cursor(key: str, row_id: int | str, number: int) -> str:
    """Return the cursor of a row by its sort key, id and number, for an address."""
    place = [key, row_id, number]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def read_cursor(cursor: str, ids: type[Id] = int) -> tuple[str, Id, int] | None:  # type: ignore[assignment]
    """Return key, id and number of a row; None for no cursor, and for one that nobody gave out."""
    try:
        key, row_id, number = json.loads(base64.urlsafe_b64decode(cursor))
        key.encode()
        str(row_id).encode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if type(row_id) is not ids or type(number) is not int or "\0" in f"{key}{row_id}":
        return None
    ours = 0 <= number < 2**63 and (type(row_id) is not int or 0 <= row_id < 2**63)
    return (key, row_id, number) if ours else None
