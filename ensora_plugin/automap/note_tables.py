"""The temporary tables of a pass over session notes: what is tried, left open, and said.

They are made once for each set of types that a host's ids have: a statement over a new Table would
be compiled anew at each pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Dialect,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.types import TypeEngine

from ..database import AnySession
from ..models import BigId


@dataclass(frozen=True)
class Pass:
    """A run's pass over the notes of an account that were touched in a generation."""

    session: AnySession
    account_id: int
    #: The host's appointments as a named subquery.
    appointment: Any
    generation: int
    run_id: int


@dataclass(frozen=True)
class Tried(Pass):
    """A pass with notes of it in a temporary table."""

    table: Table


def notes_table(name: str, appointment: Any) -> Table:
    """Return a table of notes with the ids that their people have in the host."""
    a = appointment.c
    return _notes_table(name, a.client_id.type, a.staff_id.type, a.agency_id.type)


@lru_cache(maxsize=64)
def _notes_table(
    name: str, client: TypeEngine[Any], staff: TypeEngine[Any], agency: TypeEngine[Any]
) -> Table:
    return Table(
        name,
        MetaData(),
        Column("note_id", BigInteger),
        Column("vendor_id", String(64)),
        Column("status", String(12)),
        Column("client", client),
        Column("staff", staff),
        Column("agency", agency),
        Column("date", Date),
        Column("start", SmallInteger),
        Column("end", SmallInteger),
        Column("zone", String(64)),
        #: The appointment that a mapped note of the group holds; None for what is to be mapped.
        Column("own", String(64)),
        #: The appointment that the therapist picked.
        Column("picked", String(64)),
        #: Whether a reason stands beside the note from before.
        Column("told", Boolean),
        #: Whether its times have to be compared one by one.
        Column("apart", Boolean),
        prefixes=["TEMPORARY"],
    )


#: The reasons that change with the pass; NULL where the note maps now.
VERDICTS = Table(
    "ensora_verdict",
    MetaData(),
    #: A key, so that the notes are updated in the order in which they lie.
    Column("note_id", BigId, primary_key=True, autoincrement=False),
    Column("why", String(40)),
    Column("why_minutes", Integer),
    Column("nearest", String(64)),
    Column("rival", String(64)),
    Column("seen", Text),
    prefixes=["TEMPORARY"],
)


@contextmanager
def temporary(session: AnySession, table: Table) -> Iterator[Table]:
    """Create the table, and drop it afterwards; a failed transaction takes it along by itself."""
    connection = session.connection()
    create, drop = _made_and_dropped(table, connection.dialect)
    connection.exec_driver_sql(create)
    yield table
    session.connection().exec_driver_sql(drop)


@lru_cache(maxsize=64)
def _made_and_dropped(table: Table, dialect: Dialect) -> tuple[str, str]:
    """Return the statements that create and drop a table; SQLAlchemy keeps only others compiled."""
    create, drop = CreateTable(table), DropTable(table)
    return str(create.compile(dialect=dialect)), str(drop.compile(dialect=dialect))
