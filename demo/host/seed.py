"""Fill the host's database with a made world."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from .models import Account, Base

#: Everybody's password in the demo.
PASSWORD = "demo"


class World(Protocol):
    """What the seeder reads: rows by table name, in an order that keeps foreign keys whole."""

    @property
    def host(self) -> dict[str, list[dict[str, Any]]]: ...


def seed(session: Session, world: World) -> int:
    """Create the tables if absent and insert the world; return how many rows were inserted.

    A database that holds an account already is left as it is (0). Commits.
    """
    Base.metadata.create_all(session.connection())
    if session.scalar(select(Account.id).limit(1)) is not None:
        session.commit()
        return 0
    for name, rows in world.host.items():
        if name == "login":
            rows = [{**row, "password_hash": _password_hash()} for row in rows]
        if rows:
            session.execute(insert(Base.metadata.tables[name]), rows)
    if session.get_bind().dialect.name == "postgresql":
        _advance_sequences(session, world)
    session.commit()
    return sum(len(rows) for rows in world.host.values())


@cache
def _password_hash() -> str:
    """One for all, since making one takes its time."""
    return generate_password_hash(PASSWORD)


def _advance_sequences(session: Session, world: World) -> None:
    """Move PostgreSQL's sequences past the ids that were given, which they do not notice."""
    quote = session.get_bind().dialect.identifier_preparer.quote
    for name, rows in world.host.items():
        if rows and isinstance(rows[0].get("id"), int):
            statement = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :highest)")
            highest = max(row["id"] for row in rows)
            session.execute(statement, {"name": quote(name), "highest": highest})
