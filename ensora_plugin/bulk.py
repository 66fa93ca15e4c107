"""Many rows into a table at once, the quickest way that each database's driver has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import DateTime, Dialect, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import LargeBinary

from .database import INSERTS, AnySession

#: What quotes names, and says a type.
_POSTGRES: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_quote = _POSTGRES.identifier_preparer.quote_identifier


def insert_rows(
    session: AnySession, table: Table, rows: Sequence[dict[str, Any]], *, doubles: bool = False
) -> None:
    """Insert rows with the same columns each; `doubles`: those that are there already stay so.

    For many rows at once, so the driver gets them without a detour: what a model fills in by
    itself has to stand in the rows.
    """
    if not rows:
        return
    connection = session.connection()
    names = tuple(rows[0])
    if connection.dialect.driver == "psycopg":
        documents, bodies = _documents(table, names, rows)
        connection.exec_driver_sql(_of_documents(table, names, doubles), (documents, *bodies))
    elif connection.dialect.driver == "pysqlite":
        bound = _bound(connection.dialect, table, names, rows)
        connection.exec_driver_sql(_marked(table, names, doubles), bound)
    else:
        connection.execute(_insert(connection.dialect.name, table, doubles), rows)


def _documents(
    table: Table, names: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> tuple[str, list[list[bytes]]]:
    """Return rows as one JSON array, and beside it their columns of bytes.

    The server reads it in a fraction of the time in which the driver writes arrays of texts.
    """
    binary = _binary(table, names)
    bodies = [[row[name] for row in rows] for name in binary]
    if binary:
        rows = [{name: row[name] for name in names if name not in binary} for row in rows]
    return msgspec.json.encode(rows).decode(), bodies


@lru_cache(maxsize=64)
def _of_documents(table: Table, names: tuple[str, ...], doubles: bool) -> str:
    """Return the INSERT of rows that come as `_documents` gives them."""
    binary = _binary(table, names)
    columns = [name for name in names if name not in binary]
    types = ", ".join(f"{_quote(name)} {_type(table, name)}" for name in columns)
    # Bytes travel as they are, not in digits.
    arrays = "".join(", unnest(%b::bytea[])" for _ in binary)
    into = ", ".join(map(_quote, [*columns, *binary]))
    return (
        f"INSERT INTO {_quote(table.name)} ({into}) "  # noqa: S608 - names
        f"SELECT * FROM ROWS FROM (json_to_recordset(%s::json) AS ({types}){arrays})"
        + " ON CONFLICT DO NOTHING"
        * doubles
    )


@lru_cache(maxsize=64)
def _binary(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(table.c[name].type, LargeBinary))


def _type(table: Table, name: str) -> str:
    # What is read has no collation, its column has.
    return table.c[name].type.compile(_POSTGRES).partition(" COLLATE ")[0]


def _bound(
    dialect: Dialect, table: Table, names: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """Return the rows as the driver wants them."""
    columns = []
    for name, process in zip(names, _processes(dialect, table, names), strict=True):
        values = [row[name] for row in rows]
        columns.append(list(map(process, values)) if process else values)
    return list(zip(*columns, strict=True))


@lru_cache(maxsize=64)
def _processes(dialect: Dialect, table: Table, names: tuple[str, ...]) -> list[Any]:
    """Return what makes each column's values ready for the driver, None where nothing has to."""
    return [
        _moment_text
        if isinstance(table.c[name].type, DateTime)
        else table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        for name in names
    ]


def _moment_text(moment: datetime | None) -> str | None:
    # As SQLAlchemy writes it, in a fraction of its time.
    return None if moment is None else moment.isoformat(" ", "microseconds")


@lru_cache(maxsize=64)
def _marked(table: Table, names: tuple[str, ...], doubles: bool) -> str:
    return (
        f"INSERT INTO {_quote(table.name)} ({', '.join(map(_quote, names))}) "  # noqa: S608 - names
        f"VALUES ({', '.join('?' * len(names))})" + " ON CONFLICT DO NOTHING" * doubles
    )


@lru_cache(maxsize=64)
def _insert(dialect: str, table: Table, doubles: bool) -> Any:
    statement = INSERTS[dialect](table)
    return statement.on_conflict_do_nothing() if doubles else statement
