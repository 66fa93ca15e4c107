"""The emulator's file: tables, one connection for all threads, transactions."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A record's `seq` is its place in its feed; the index ending in it makes every page cost the same.
SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS organization (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS login (
    username TEXT PRIMARY KEY, organization INTEGER NOT NULL REFERENCES organization,
    id TEXT NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL, password_hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS token (
    digest BLOB PRIMARY KEY, organization INTEGER NOT NULL REFERENCES organization,
    username TEXT NOT NULL REFERENCES login, application TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY, organization INTEGER NOT NULL REFERENCES organization,
    feed TEXT NOT NULL, id TEXT NOT NULL, twin TEXT, body BLOB NOT NULL,
    private TEXT NOT NULL DEFAULT '{}', UNIQUE (organization, feed, id));
CREATE INDEX IF NOT EXISTS record_by_change ON record (organization, feed, seq);
CREATE INDEX IF NOT EXISTS record_by_twin ON record (organization, feed, twin)
    WHERE twin IS NOT NULL;
CREATE TABLE IF NOT EXISTS answer (
    organization INTEGER NOT NULL REFERENCES organization, path TEXT NOT NULL, key TEXT NOT NULL,
    status INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (organization, path, key));
"""


class Database:
    """A SQLite file (or ":memory:") with the emulator's tables.

    All threads share one connection under a lock: a page takes a millisecond, and ":memory:" exists
    on one connection only. Other processes may open the same file; writers wait 10 s for it.
    """

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        # A note with its signatures fits into one page of 16 KiB, instead of a chain of small ones.
        self._db.execute("PRAGMA page_size = 16384")
        self._db.execute("PRAGMA foreign_keys = ON")
        # What a power cut could take is demo data; a killed process loses nothing.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(SCHEMA)
        self._db.execute(
            "INSERT OR IGNORE INTO setting VALUES ('secret', ?)", (secrets.token_bytes(32),)
        )

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Every row that a statement gives."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row that a statement gives, or None."""
        with self._lock:
            found: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
            return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; inside another transaction of the same thread it is part of that one."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # Does nothing where a full disk has rolled back already.
                self._db.rollback()
                raise

    def close(self) -> None:
        """Close the file. The store cannot be used any more."""
        with self._lock:
            self._db.close()
