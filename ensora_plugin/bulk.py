"""Many rows into tables at once, the quickest way that each database's driver has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Boolean, DateTime, Dialect, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.types import LargeBinary, TypeEngine

from .database import INSERTS, AnySession, upsert

#: So many rows SQLite gets in one statement: a page of the vendor's, and fewer parameters than the
#: 32,766 that it takes.
_ROWS_AT_ONCE = 100
#: What quotes names, and says a type.
_POSTGRES: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_quote = _POSTGRES.identifier_preparer.quote_identifier


def insert_rows(
    session: AnySession, table: Table, rows: Sequence[dict[str, Any]], *, doubles: bool = False
) -> None:
    """Insert rows with the same columns each; `doubles`: those that are there already stay so."""
    writes = Writes(session)
    writes.put(table, rows, doubles=doubles)
    writes.send()


@contextmanager
def last_writes(session: AnySession) -> Iterator[Writes]:
    """Collect what a transaction writes before its commit, and send it when the block ends.

    PostgreSQL gets one statement, and plans the check of a foreign key once, not for every row.
    """
    writes = Writes(session)
    yield writes
    writes.send(last=True)


@dataclass(frozen=True)
class _Target:
    """Which columns of which table are written, and what happens to rows that are there already.

    They stay where they are `doubles`; with a `key` they take the new values, to which what they
    have in the columns `adding` is added.
    """

    table: Table
    names: tuple[str, ...]
    doubles: bool
    key: tuple[str, ...]
    adding: tuple[str, ...]


class Writes:
    """Rows that are written together, in no order that counts.

    The driver gets them without a detour: what a model fills in by itself has to stand in them.
    """

    def __init__(self, session: AnySession) -> None:
        self.session = session
        self._waiting: list[tuple[_Target, Sequence[dict[str, Any]]]] = []

    def put(
        self,
        table: Table,
        rows: Sequence[dict[str, Any]],
        *,
        doubles: bool = False,
        key: tuple[str, ...] = (),
        adding: tuple[str, ...] = (),
    ) -> None:
        """Add rows with the same columns each; what the rest means says `_Target`."""
        if rows:
            self._waiting.append((_Target(table, tuple(rows[0]), doubles, key, adding), rows))

    def send(self, *, last: bool = False) -> None:
        """Write what was put; `last`: nothing else comes in this transaction."""
        connection, waiting = self.session.connection(), self._waiting
        self._waiting = []
        if not waiting:
            return
        if connection.dialect.driver == "psycopg":
            values = [value for target, rows in waiting for value in _documents(target, rows)]
            statement = _together(tuple(target for target, _ in waiting), last)
            connection.exec_driver_sql(statement, tuple(values)).close()
            return
        for target, rows in waiting:
            if connection.dialect.driver == "pysqlite":
                _send_marked(connection, target, rows)
            elif target.key:
                upsert(self.session, target.table, rows, target.key, adding=target.adding)
            else:
                insert = INSERTS[connection.dialect.name](target.table)
                connection.execute(
                    insert.on_conflict_do_nothing() if target.doubles else insert, rows
                )


def _documents(target: _Target, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Return rows as one JSON array, and beside it their columns of bytes.

    The server reads it in a fraction of the time in which the driver writes arrays of texts.
    """
    binary = _binary(target)
    bodies = [[row[name] for row in rows] for name in binary]
    if binary:
        rows = [{name: row[name] for name in target.names if name not in binary} for row in rows]
    return [msgspec.json.encode(rows).decode(), *bodies]


@lru_cache(maxsize=64)
def _binary(target: _Target) -> tuple[str, ...]:
    return tuple(
        name for name in target.names if isinstance(target.table.c[name].type, LargeBinary)
    )


@lru_cache(maxsize=64)
def _together(targets: tuple[_Target, ...], last: bool) -> str:
    """Return one statement that writes what comes as `_documents` gives it."""
    *before, end = map(_from_documents, targets)
    parts = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(before))
    # Foreign keys are checked after the statement: by then this is in force.
    kept = " RETURNING set_config('plan_cache_mode', 'auto', true)" if last else ""
    return (f"WITH {parts} " if parts else "") + end + kept


def _from_documents(target: _Target) -> str:
    binary = _binary(target)
    columns = [name for name in target.names if name not in binary]
    types = ", ".join(f"{_quote(name)} {_type(target.table, name)}" for name in columns)
    # Bytes travel as they are, not in digits.
    arrays = "".join(", unnest(%b::bytea[])" for _ in binary)
    into, beside = _into(target, [*columns, *binary]), _on_conflict(target)
    rows = f"ROWS FROM (json_to_recordset(%s::json) AS ({types}){arrays})"
    return f"{into} SELECT * FROM {rows}{beside}"  # noqa: S608 - names of tables and columns


def _type(table: Table, name: str) -> str:
    # What is read has no collation, its column has.
    return table.c[name].type.compile(_POSTGRES).partition(" COLLATE ")[0]


def _into(target: _Target, names: Sequence[str]) -> str:
    return f"INSERT INTO {_quote(target.table.name)} ({', '.join(map(_quote, names))})"


def _on_conflict(target: _Target) -> str:
    if not target.key:
        return " ON CONFLICT DO NOTHING" if target.doubles else ""
    own = _quote(target.table.name)
    changes = ", ".join(
        f"{_quote(name)} = "
        + (f"{own}.{_quote(name)} + " if name in target.adding else "")
        + f"excluded.{_quote(name)}"
        for name in target.names
        if name not in target.key
    )
    return f" ON CONFLICT ({', '.join(map(_quote, target.key))}) DO UPDATE SET {changes}"


def _send_marked(connection: Connection, target: _Target, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows, many by each statement.

    The driver gives other threads their turn around each statement: row by row, the writer would
    wait for the reader of the next page at every one of them. What is left over goes row by row:
    the driver keeps a statement of each length.
    """
    bound = _bound(connection.dialect, target, rows)
    whole = len(bound) - len(bound) % _ROWS_AT_ONCE
    for at in range(0, whole, _ROWS_AT_ONCE):
        values = tuple(chain.from_iterable(bound[at : at + _ROWS_AT_ONCE]))
        connection.exec_driver_sql(_marked(target, _ROWS_AT_ONCE), values).close()
    if bound[whole:]:
        connection.exec_driver_sql(_marked(target, 1), bound[whole:]).close()


@lru_cache(maxsize=64)
def _marked(target: _Target, rows: int) -> str:
    marks = ", ".join("?" * len(target.names))
    all_marks = ", ".join([f"({marks})"] * rows)
    return f"{_into(target, target.names)} VALUES {all_marks}{_on_conflict(target)}"


def _bound(
    dialect: Dialect, target: _Target, rows: Sequence[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """Return the rows as the driver wants them."""
    columns = []
    for name, process in zip(target.names, _processes(dialect, target), strict=True):
        values = [row[name] for row in rows]
        columns.append(list(map(process, values)) if process else values)
    return list(zip(*columns, strict=True))


@lru_cache(maxsize=64)
def _processes(dialect: Dialect, target: _Target) -> list[Any]:
    """Return what makes each column's values ready for the driver, None where nothing has to."""
    return [_process(dialect, target.table.c[name].type) for name in target.names]


def _process(dialect: Dialect, kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, DateTime):
        return _moment_text
    # The driver knows truth by itself.
    return None if isinstance(kind, Boolean) else kind.dialect_impl(dialect).bind_processor(dialect)


def _moment_text(moment: datetime | None) -> str | None:
    # As SQLAlchemy writes it, in a fraction of its time.
    return None if moment is None else moment.isoformat(" ", "microseconds")
