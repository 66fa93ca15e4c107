"""Databases to measure in: SQLite in a temporary file, or PostgreSQL out of the wheel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, create_engine, text

from ensora_plugin import configure_engine
from tests.servers import fresh_database, postgres

KINDS = ("sqlite", "postgres")


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Callable[[], str]]:
    """Yield a function that makes an empty database and returns its URL; all go with the block."""
    with ExitStack() as stack:
        if kind == "sqlite":
            numbers = count(1)
            yield lambda: f"sqlite:///{folder / f'host-{next(numbers)}.db'}"
            return
        server = stack.enter_context(postgres())
        yield lambda: stack.enter_context(fresh_database(server))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder for databases, which is removed afterwards."""
    with TemporaryDirectory(prefix="ensora-bench-") as folder:
        yield Path(folder)


def engine_for(url: str) -> Engine:
    """Return an engine as a host has it that follows the README."""
    engine = create_engine(url)
    configure_engine(engine)
    return engine


def settle(engine: Engine) -> None:
    """Give the planner what PostgreSQL finds out by itself in time; SQLite never asks."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
