"""The rows of a tab: filter, search and keyset pages over the records of any kind, in one SELECT.

The page is cut out of the record table first, by an index that ends in the sort key; only its rows
are joined
with mappings, with the host's own SELECTs and with what else a row shows.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, true, tuple_

from .access import Scope
from .columns import own_mapping, with_columns
from .database import AnySession
from .host import HostAdapter
from .kinds import NOTE, Kind
from .models import Mapping
from .searching import found

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
    statement = with_columns(scope, host, kind).join(keys, keys.c.id == kind.model.id)
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
    statement = with_columns(scope, host, kind).where(
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
        .outerjoin(Mapping, own_mapping(kind))
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
        .outerjoin(Mapping, own_mapping(kind))
        .where(model.account_id == scope.account_id, scope.sees(kind), _in_state(kind, filters))
    )
    if filters.search.strip():
        statement = statement.where(found(scope, kind, filters.search))
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
