"""What SQLite and PostgreSQL need said differently in a statement: joins, times, texts, ids."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import (
    Boolean,
    Date,
    SQLColumnExpression,
    String,
    Time,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.expression import FunctionElement, Join
from sqlalchemy.types import Integer


def one_of(column: SQLColumnExpression[str], name: str, dialect: str) -> ColumnElement[bool]:
    """Return the condition that a column holds one of the texts of the parameter `name`."""
    if dialect == "postgresql":
        # One parameter, and one text of the statement, for any number of them.
        return column == any_(bindparam(name, type_=postgresql.ARRAY(String)))
    return column.in_(bindparam(name, expanding=True))


def both_one_of(
    column: SQLColumnExpression[str], equal: Any, name: str, dialect: str
) -> ColumnElement[bool]:
    """Return the condition that a column, and another one that is equal to it, hold one of the
    texts of the parameter `name`.

    PostgreSQL would read a table whole of which that is not said. SQLite looks rows up by the first
    one alone; where it is said of both, it looks each text up for each row.
    """
    found = one_of(column, name, dialect)
    return and_(found, one_of(equal, name, dialect)) if dialect == "postgresql" else found


def each_of(
    rows: Any,
    account: SQLColumnExpression[int],
    column: SQLColumnExpression[str],
    name: str,
    dialect: str,
) -> Any:
    """Return a SELECT of the rows of the parameter `account` whose `column`, unique in it, holds
    one of the texts of the parameter `name`.

    PostgreSQL is made to look each of them up. Rows that came after it took its statistics it takes
    for one or none, and then any index that begins with the account for as good as the unique one.
    """
    if dialect != "postgresql":
        return rows.where(account == bindparam("account"), one_of(column, name, dialect))
    texts = func.unnest(bindparam(name, type_=postgresql.ARRAY(String)))
    wanted = texts.table_valued("text").render_derived(name="wanted")
    # A value that no statistics can be asked about.
    own = account == select(bindparam("account")).scalar_subquery()
    # Without the limit it would be a join like any other; without the order, which a condition of
    # equality makes void, another index might do.
    one = rows.where(own, column.between(wanted.c.text, wanted.c.text)).order_by(column).limit(1)
    found = one.lateral("found")
    return select(found).select_from(wanted).join(found, true())


class _Among(FunctionElement[bool]):
    """That a column holds one of the values that a subquery finds, which stands by itself."""

    type = Boolean()
    inherit_cache = True
    name = "ensora_among"


@compiles(_Among, "sqlite")
def _among_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    column, some = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} IN {some}"


@compiles(_Among)
def _among(element: Any, compiler: Any, **kw: Any) -> str:
    # Found first, and taken for few: as a join they are guessed at, and read for every row.
    column, some = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} = ANY (ARRAY{some})"


def among(column: SQLColumnExpression[Any], some: Any) -> ColumnElement[bool]:
    """Return the condition that a column holds one of few values that a SELECT of one column finds,
    whatever stands in the row.
    """
    return _Among(column, some.scalar_subquery())


class _TextOf(FunctionElement[str]):
    """A host's UUID column as the text that Python gives it: 36 characters, with dashes."""

    type = String()
    inherit_cache = True
    name = "ensora_text_of"


@compiles(_TextOf, "sqlite")
def _text_of_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    inner = compiler.process(element.clauses, **kw)
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return "(" + " || '-' || ".join(f"substr({inner}, {at}, {n})" for at, n in cuts) + ")"


@compiles(_TextOf)
def _text_of(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS VARCHAR)"


class _UuidOf(FunctionElement[Any]):
    """Our text as the value that a UUID column of the host holds."""

    type = Uuid()
    inherit_cache = True
    name = "ensora_uuid_of"


@compiles(_UuidOf, "sqlite")
def _uuid_of_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"replace({compiler.process(element.clauses, **kw)}, '-', '')"


@compiles(_UuidOf)
def _uuid_of(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS UUID)"


class _PinnedJoin(Join):
    """An inner join whose left side SQLite reads first; without statistics its planner errs."""

    inherit_cache = True


@compiles(_PinnedJoin, "sqlite")
def _pinned_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    kw["asfrom"] = True
    left, right = compiler.process(element.left, **kw), compiler.process(element.right, **kw)
    kw["asfrom"] = False
    return f"{left} CROSS JOIN {right} ON {compiler.process(element.onclause, **kw)}"


@compiles(_PinnedJoin)
def _pinned(element: Any, compiler: Any, **kw: Any) -> str:
    return str(compiler.visit_join(element, **kw))


def pinned_join(left: Any, right: Any, onclause: ColumnElement[bool]) -> Any:
    """Return an inner join in which the left side is read first, wherever that can be said."""
    return _PinnedJoin(left, right, onclause)


class _MinuteOfDay(FunctionElement[int]):
    """A TIME column as whole minutes since midnight; seconds are dropped, as the domain says."""

    type = Integer()
    inherit_cache = True
    name = "ensora_minute_of_day"


@compiles(_MinuteOfDay, "sqlite")
def _minute_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    inner = compiler.process(element.clauses, **kw)
    return f"(substr({inner}, 1, 2) * 60 + substr({inner}, 4, 2))"


@compiles(_MinuteOfDay)
def _minute(element: Any, compiler: Any, **kw: Any) -> str:
    inner = compiler.process(element.clauses, **kw)
    return f"CAST(EXTRACT(HOUR FROM {inner}) * 60 + EXTRACT(MINUTE FROM {inner}) AS INTEGER)"


class _DaysLater(FunctionElement[date]):
    """A date, so many days later."""

    type = Date()
    inherit_cache = True
    name = "ensora_days_later"


@compiles(_DaysLater, "sqlite")
def _days_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    day, days = (compiler.process(part, **kw) for part in element.clauses)
    return f"date({day}, {days} || ' days')"


@compiles(_DaysLater)
def _days(element: Any, compiler: Any, **kw: Any) -> str:
    day, days = (compiler.process(part, **kw) for part in element.clauses)
    return f"({day} + CAST({days} AS INTEGER))"


def days_later(column: SQLColumnExpression[Any], days: int) -> SQLColumnExpression[Any]:
    """Return the SQL for a date of ours, so many days later; negative for earlier."""
    return _DaysLater(column, literal(days)) if days else column


def minute_of_day(column: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the SQL for minutes since midnight of a host's time column."""
    if not isinstance(column.type, Time):
        raise TypeError("start and end of an appointment must be columns of type Time")
    return _MinuteOfDay(column)


class _ByCodePoint(FunctionElement[str]):
    """Text that compares by code point, as Python's does and SQLite's by itself."""

    type = String()
    inherit_cache = True
    name = "ensora_by_code_point"


@compiles(_ByCodePoint, "sqlite")
def _code_point_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)})"


@compiles(_ByCodePoint)
def _code_point(element: Any, compiler: Any, **kw: Any) -> str:
    return f'(({compiler.process(element.clauses, **kw)}) COLLATE "C")'


def by_code_point(column: ColumnElement[str]) -> ColumnElement[str]:
    """Return the SQL for text whose least and greatest are those that Python finds."""
    return _ByCodePoint(column)


def as_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return a host's id column as text, equal to `str()` of its Python value."""
    if isinstance(column.type, Uuid):
        return _TextOf(column) if column.type.as_uuid else cast(column, String)
    return column if isinstance(column.type, String) else cast(column, String)


def as_host_id(
    ours: SQLColumnExpression[Any], column: ColumnElement[Any]
) -> SQLColumnExpression[Any]:
    """Return our text id in the type of the host's `column`: a cast on the host's side would hide
    its index.
    """
    if isinstance(column.type, Uuid):
        return _UuidOf(ours) if column.type.as_uuid else ours
    return ours if isinstance(column.type, String) else cast(ours, column.type)
