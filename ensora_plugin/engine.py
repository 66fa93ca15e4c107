"""A host's engine made fit for the plugin: what each of its connections does beside its work."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, event

from .database import IMMEDIATE

#: SQLite's write-ahead log has a rare corruption fault with several processes below these versions.
_SAFE_WAL = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


def safe_journal_mode(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> str:
    """Return the SQLite journal mode that processes may share: WAL where sound, else DELETE."""
    sound = version >= _SAFE_WAL[0] or any(
        version[:2] == fixed[:2] and version >= fixed for fixed in _SAFE_WAL[1:]
    )
    return "WAL" if sound else "DELETE"


def configure_engine(engine: Engine, *, busy_seconds: float = 10.0) -> None:
    """Make a host's engine fit for the plugin: SQLite for several processes that write, and
    PostgreSQL for pages that are asked for again and again; leaves others alone.

    SQLite: foreign keys on, a busy timeout, a sound journal mode, and real transactions:
    `begin_write` then starts with BEGIN IMMEDIATE, since a transaction that reads first and writes
    later fails at once when another one wrote. PostgreSQL by psycopg 3: statements stay prepared
    after transactions that only read.
    """
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine, busy_seconds)
    elif engine.dialect.driver == "psycopg":
        event.listen(engine, "rollback", _keep_prepared)


def _configure_sqlite(engine: Engine, busy_seconds: float) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA journal_mode = {safe_journal_mode()}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _keep_prepared(connection: Connection) -> None:
    """Roll a transaction back that wrote nothing, just before psycopg does, past its eyes.

    At each ROLLBACK that it sends it forgets all that the server has prepared, since the tables of
    some statements may have gone with it; planning them anew is most of what a page costs. Where
    nothing was written no table went, and where there is nothing to roll back it sends nothing.
    """
    driver: Any = None if connection.invalidated else connection.connection.dbapi_connection
    if driver is None or driver.info.transaction_status != _IN_TRANSACTION:
        return
    # Where the server is gone, psycopg's own ROLLBACK says so.
    with suppress(connection.dialect.loaded_dbapi.Error):
        if driver.execute(_WROTE_NOTHING).fetchone() == (True,):
            driver.pgconn.exec_(b"ROLLBACK")


#: A transaction has a number once it wrote.
_WROTE_NOTHING = "SELECT pg_current_xact_id_if_assigned() IS NULL"
#: As libpq numbers it; a failed transaction is in another one.
_IN_TRANSACTION = 2
