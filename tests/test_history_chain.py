"""The history is a chain for each account: whoever changes it later is found."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest
from alembic import command
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ensora_plugin.database import begin_write
from ensora_plugin.history import lock_account, verify_history, write_history
from ensora_plugin.migrating import alembic_config, upgrade
from ensora_plugin.models import History
from tests.meddling import hours
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT

ROWS = 6
GONE = "DELETE FROM ensora_history WHERE id = {row}"


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, hours(2)) as practice:
        yield practice


@pytest.fixture
def written(practice: Practice) -> Practice:
    """An account with a few rows, beside those that are there already."""
    session, account_id = practice.session, practice.account_id(ACCOUNT)
    session.rollback()
    for number in range(ROWS):
        begin_write(session)
        lock_account(session, account_id)
        after = {"é": [number], "b": None, "a": "\u2028"}
        write_history(session, account_id, action="settings", by="ada", after=after)
        write_history(session, account_id, action="settings", run_id=7, kind="note", version=1)
        session.commit()
    return practice


def found(practice: Practice) -> tuple[int, int, int | None]:
    """Return how many rows hold, how many are from before the chain, and the first broken one."""
    practice.session.rollback()
    (one,) = [c for c in verify_history(practice.session) if c.account == ACCOUNT]
    return one.rows, one.unchained, one.broken


def ids(practice: Practice) -> list[int]:
    """Return the ids of the account's rows."""
    own = select(History.id).filter_by(account_id=practice.account_id(ACCOUNT))
    found = list(practice.session.scalars(own.order_by(History.id)))
    practice.session.rollback()
    return found


def meddle(practice: Practice, statement: str) -> None:
    """Change the history as somebody does who may do everything."""
    with practice.state.engine.begin() as db:
        if db.dialect.name == "postgresql":
            db.execute(text("ALTER TABLE ensora_history DISABLE TRIGGER USER"))
        else:
            for verb in ("update", "delete"):
                db.execute(text(f"DROP TRIGGER IF EXISTS ensora_history_no_{verb}"))
        db.execute(text(statement))


def test_rows_hold_as_they_were_written(written: Practice) -> None:
    rows = len(ids(written))
    assert found(written) == (rows, 0, None)
    assert rows >= 2 * ROWS


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE ensora_history SET \"by\" = 'bo' WHERE id = {row}", 0),
        ("UPDATE ensora_history SET \"after\" = '{{}}' WHERE id = {row}", 0),
        ("UPDATE ensora_history SET hash = NULL WHERE id = {row}", 0),
        (GONE, 1),
        (
            "INSERT INTO ensora_history (id, account_id, at, action, hash) SELECT {last} + 1, "
            "account_id, at, action, hash FROM ensora_history WHERE id = {row}",
            None,
        ),
    ],
)
def test_a_row_that_was_meddled_with_is_named(
    written: Practice, statement: str, broken: int | None
) -> None:
    all_ids = ids(written)
    at = all_ids.index(all_ids[-5])
    meddle(written, statement.format(row=all_ids[at], last=all_ids[-1]))
    first = all_ids[-1] + 1 if broken is None else all_ids[at + broken]
    held = len(all_ids) if broken is None else at
    assert found(written) == (held, 0, first)


def test_rows_from_before_the_chain_stay_before_it(practice: Practice) -> None:
    engine, account_id = practice.state.engine, practice.account_id(ACCOUNT)
    practice.session.close()
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0004")
        connection.commit()
    assert upgrade(engine)
    before = len(ids(practice))
    assert before > 0
    assert found(practice) == (0, before, None)
    begin_write(practice.session)
    lock_account(practice.session, account_id)
    write_history(practice.session, account_id, action="settings", by="ada")
    practice.session.commit()
    assert found(practice) == (1, before, None)


def test_many_at_once_write_one_chain(practice: Practice) -> None:
    engine, account_id = practice.state.engine, practice.account_id(ACCOUNT)
    practice.session.rollback()
    before, start = found(practice)[0], threading.Barrier(6)
    failed: list[BaseException] = []

    def write() -> None:
        try:
            with Session(engine) as session:
                start.wait()
                for _ in range(5):
                    begin_write(session)
                    lock_account(session, account_id)
                    write_history(session, account_id, action="settings", by="ada")
                    session.commit()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert found(practice) == (before + 30, 0, None)


def test_the_command_says_it_for_each_account(written: Practice) -> None:
    runner = written.app.test_cli_runner()
    with written.outside():
        whole = runner.invoke(args=["ensora", "audit", "verify"])
        assert whole.exit_code == 0
        assert f"{ACCOUNT}: " in whole.output
        assert "rows hold; the last one's hash is " in whole.output
    row = ids(written)[-3]
    meddle(written, GONE.format(row=row))
    with written.outside():
        broken = runner.invoke(args=["ensora", "audit", "verify"])
        assert broken.exit_code == 1
        assert f"row {row + 1} does not hold" in broken.output
        told = msgspec.json.decode(
            runner.invoke(args=["ensora", "audit", "verify", "--json"]).output
        )
    (one,) = [account for account in told["accounts"] if account["account"] == ACCOUNT]
    assert one["broken"] == row + 1
