"""Disks that are full, migrations that were killed, backups that come back, clocks that step."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from ensora_plugin import configure_engine
from ensora_plugin.errors import Fenced
from ensora_plugin.migrating import VERSION_TABLE, require_migrated, upgrade
from ensora_plugin.models import Base, Run
from ensora_plugin.runs.jobs import JobFailed, work_run
from ensora_plugin.runs.runs import claim
from ensora_plugin.runs.schedule import claimable_runs, request_run
from ensora_plugin.runs.sync import perform
from tests.canonical import Told, canonical, sha256
from tests.meddling import hours
from tests.opened import Mortal, open_small
from tests.practices import Practice
from tests.running import LEASE, claimed, due, filled, later, run_of
from tests.servers import Postgres
from tests.small import ACCOUNT, Small
from tests.test_migrations import differences


def told(practice: Practice) -> Told:
    practice.session.rollback()
    return canonical(practice.state.engine, practice.state.sealer)


def twin(folder: Path, small: Small) -> str:
    """What a practice holds that nothing happened to."""
    with open_small(f"sqlite:///{folder / 'twin.db'}", small) as practice:
        practice.run()
        return sha256(told(practice))


def written(text_bytes: int = 40_000) -> Small:
    """Notes that need room."""
    small = Small()
    small.trio()
    for hour in range(9, 15):
        small.note(f"{hour:02}:00", f"{hour:02}:50", text="w" * text_bytes)
        small.appointment(f"{hour:02}:00", f"{hour:02}:50")
    return small


@contextmanager
def no_more_pages(engine: Engine) -> Iterator[None]:
    """SQLite may not grow its file any more."""

    def bound(connection: Any, *_: Any) -> None:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count}")

    engine.dispose()
    event.listen(engine, "connect", bound)
    yield
    event.remove(engine, "connect", bound)
    engine.dispose()


@contextmanager
def no_more_room(folder: Path) -> Iterator[None]:
    """A file takes all the room that is left under a folder."""
    filler = folder / "filler"
    with filler.open("wb") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), b"0" * 4096)
    yield
    filler.unlink()


def survives_a_full_disk(practice: Practice, full: Any, folder: Path, small: Small) -> None:
    practice.run(ACCOUNT, "automap")
    run_id = request_run(practice.session, practice.account_id(ACCOUNT), "ada")
    with full:
        with pytest.raises(JobFailed) as raised:
            work_run(run_id)
        assert raised.value.code == "database"
        # What is there can be read.
        assert run_of(practice, run_id).state in ("running", "failed", "due")
    with later(seconds=LEASE + 1):
        if run_of(practice, run_id).ended_at is not None:
            run_id = request_run(practice.session, practice.account_id(ACCOUNT), "ada")
        work_run(run_id)
        assert run_of(practice, run_id).state == "done"
    assert sha256(told(practice)) == twin(folder, small)


def test_a_full_sqlite_fails_in_a_code_and_goes_on_when_there_is_room(
    tmp_path: Path, sqlite_url: str
) -> None:
    small = written()
    with open_small(sqlite_url, small) as practice:
        full = no_more_pages(practice.state.engine)
        survives_a_full_disk(practice, full, tmp_path, small)


@pytest.fixture
def small_disk(postgres_server: Postgres) -> Iterator[str]:
    """A PostgreSQL database in a file system of 40 MB; its URL."""
    folder = postgres_server.folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=0777", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("this machine mounts no file system for us")
    try:
        space = folder / "space"
        space.mkdir()
        shutil.chown(space, postgres_server.folder.owner())
        with closing(postgres_server.connect()) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
            connection.execute("CREATE DATABASE small TABLESPACE small TEMPLATE template0")
        yield postgres_server.url("small")
        with closing(postgres_server.connect()) as connection:
            connection.execute("DROP DATABASE small WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def test_a_full_postgresql_fails_in_a_code_and_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: str, postgres_server: Postgres
) -> None:
    # What does not compress, so that it needs its room.
    small = written()
    for note in small.vendor["notes"]:
        for field in note["fields"]:
            if field["name"] == "Notes":
                field["value"] = os.urandom(20_000).hex()
    with open_small(small_disk, small) as practice:
        full = no_more_room(postgres_server.folder / "small")
        survives_a_full_disk(practice, full, tmp_path, small)


@pytest.mark.parametrize("statements", [1, 30])
def test_a_migration_that_was_killed_is_done_by_the_next_one(
    database_url: str, statements: int
) -> None:
    pid = os.fork()
    if not pid:
        _migrate_and_die(database_url, statements)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    engine = create_engine(database_url)
    configure_engine(engine)
    assert upgrade(engine)
    require_migrated(engine)
    assert differences(engine, Base.metadata, version_table=VERSION_TABLE) == []
    engine.dispose()


def _migrate_and_die(url: str, statements: int) -> None:
    try:
        engine, left = create_engine(url), [statements]
        configure_engine(engine)

        @event.listens_for(engine, "after_cursor_execute")
        def _die(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            left[0] -= statement.lstrip().startswith("CREATE")
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        upgrade(engine)
    finally:
        os._exit(1)


def back_up(url: str, folder: Path, server: Any) -> str:
    """Copy a database as it stands now; return the copy's URL."""
    if url.startswith("sqlite"):
        with (
            closing(sqlite3.connect(str(make_url(url).database))) as live,
            closing(sqlite3.connect(folder / "backup.db")) as copy,
        ):
            live.backup(copy)
        return f"sqlite:///{folder / 'backup.db'}"
    name = make_url(url).database
    with closing(server().connect()) as connection:
        connection.execute(f'CREATE DATABASE "{name}_backup" TEMPLATE "{name}"')
    return server().url(f"{name}_backup")


def test_a_backup_of_the_middle_of_a_pull_heals_with_the_next_one(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> None:
    def server() -> Postgres:
        return request.getfixturevalue("postgres_server")

    small = hours(6)
    with open_small(database_url, small, ENSORA_PAGE_SIZE="2") as practice:
        alive = practice.state.transport
        practice.state.transport = Mortal(alive, 6)
        run_id = due(practice)
        with pytest.raises(KeyboardInterrupt):
            perform(practice.state.services(), claimed(practice, run_id))
        practice.session.close()
        practice.state.engine.dispose()
        copy = back_up(database_url, tmp_path, server)
        practice.state.transport = alive
        with later(seconds=LEASE + 1):
            perform(practice.state.services(), claimed(practice, run_id))
        whole = sha256(told(practice))
        practice.session.close()
        # Everything since the backup is lost: the host's rows and ours together.
        engine = practice.app.extensions["sqlalchemy"].engines
        restored = create_engine(copy, hide_parameters=True)
        configure_engine(restored)
        live, engine[None] = engine[None], restored
        try:
            with later(seconds=LEASE + 1):
                perform(practice.state.services(), claimed(practice, run_id))
            assert sha256(told(practice)) == whole
            doubled = practice.session.execute(text("SELECT count(*) FROM appointment_signature"))
            assert doubled.scalar() == 6
        finally:
            practice.session.close()
            restored.dispose()
            engine[None] = live
    if copy.startswith("postgresql"):
        with closing(server().connect()) as connection:
            connection.execute(f'DROP DATABASE "{make_url(copy).database}" WITH (FORCE)')


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, filled()) as practice:
        yield practice


def test_a_clock_that_steps_ahead_lets_nobody_write_under_an_old_claim(practice: Practice) -> None:
    run_id = due(practice)
    first = claimed(practice, run_id)
    with later(hours=1):
        second = claimed(practice, run_id)
    # The first one goes on, and its clock is right.
    with pytest.raises(Fenced):
        perform(practice.state.services(), first)
    perform(practice.state.services(), second)
    run = run_of(practice, run_id)
    assert (run.state, run.fence) == ("done", 2)


def test_a_clock_that_steps_back_holds_a_run_for_no_more_than_its_step(practice: Practice) -> None:
    with later(hours=1):
        run_id = due(practice)
        claimed(practice, run_id)
    # Its worker dies, and the clock is an hour behind what it wrote.
    assert claim(practice.session, run_id, LEASE) is None
    with later(minutes=61, seconds=1):
        assert claimable_runs(practice.session) == [(run_id, 1)]
        perform(practice.state.services(), claimed(practice, run_id))
    assert run_of(practice, run_id).state == "done"
    live = practice.session.scalars(select(Run).where(Run.ended_at.is_(None))).all()
    assert live == []


def test_a_full_disk_is_an_error_of_the_database(tmp_path: Path) -> None:
    """The bound that the tests above set is the real thing: SQLITE_FULL."""
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    configure_engine(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x TEXT)"))
    with (
        no_more_pages(engine),
        pytest.raises(DBAPIError) as raised,
        engine.begin() as connection,
    ):
        connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": "x" * 100_000})
    assert getattr(raised.value.orig, "sqlite_errorname", "") == "SQLITE_FULL"
    engine.dispose()
