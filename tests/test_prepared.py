"""What PostgreSQL has prepared outlives transactions that only read, and no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from ensora_plugin import configure_engine

#: psycopg prepares what it was asked more often than this.
_OFTEN = 8


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    engine = create_engine(postgres_url, pool_size=1)
    configure_engine(engine)
    with engine.begin() as db:
        db.execute(text("CREATE TABLE kept (id integer PRIMARY KEY)"))
    yield engine
    engine.dispose()


def read(engine: Engine) -> None:
    """Read in a transaction that ends without a COMMIT, as a page does."""
    with engine.connect() as db:
        db.execute(text("SELECT count(*) FROM kept"))


def prepared(db: Connection) -> int:
    counted = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM kept'")
    return int(db.scalar(counted) or 0)


def end(engine: Engine, backend: int | None) -> None:
    """End a connection from the server's side."""
    other = create_engine(engine.url)
    with other.connect() as second:
        second.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
    other.dispose()


def test_what_pages_ask_again_and_again_stays_prepared(engine: Engine) -> None:
    for _ in range(_OFTEN):
        read(engine)
    with engine.connect() as db:
        assert prepared(db) == 1


def test_an_engine_that_is_not_configured_prepares_nothing(engine: Engine) -> None:
    plain = create_engine(engine.url, pool_size=1)
    for _ in range(_OFTEN):
        read(plain)
    with plain.connect() as db:
        assert prepared(db) == 0
    plain.dispose()


def test_what_was_written_is_rolled_back_as_before(engine: Engine) -> None:
    with engine.connect() as db:
        db.execute(text("SELECT count(*) FROM kept"))
        db.execute(text("INSERT INTO kept VALUES (1)"))
    with engine.connect() as db:
        db.execute(text("INSERT INTO kept VALUES (2)"))
        db.rollback()
        nested = db.begin_nested()
        db.execute(text("INSERT INTO kept VALUES (3)"))
        nested.rollback()
    with engine.connect() as db:
        assert db.scalar(text("SELECT count(*) FROM kept")) == 0


def test_a_setting_goes_with_its_transaction_as_before(engine: Engine) -> None:
    with engine.connect() as db:
        db.execute(text("SET search_path = elsewhere"))
    with engine.connect() as db:
        assert "elsewhere" not in str(db.scalar(text("SHOW search_path")))


def test_a_transaction_that_failed_ends_as_before(engine: Engine) -> None:
    with engine.connect() as db:
        with pytest.raises(Exception, match="division by zero"):
            db.execute(text("SELECT 1 / 0"))
        db.rollback()
        assert db.scalar(text("SELECT 1")) == 1


def test_a_server_that_is_gone_is_told_by_what_is_asked_next(engine: Engine) -> None:
    with engine.connect() as db:
        end(engine, db.scalar(text("SELECT pg_backend_pid()")))
        with pytest.raises(OperationalError):
            db.execute(text("SELECT 1"))
    with engine.connect() as db:
        assert db.scalar(text("SELECT 1")) == 1


def test_one_that_is_gone_at_the_end_is_told_and_replaced(engine: Engine) -> None:
    db = engine.connect()
    own = db.scalar(text("SELECT pg_backend_pid()"))
    end(engine, own)
    with pytest.raises(OperationalError):
        db.close()
    with engine.connect() as db:
        assert db.scalar(text("SELECT pg_backend_pid()")) != own
