"""A database that is locked, read-only, exhausted or raced for: said in words, and nothing half."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from demo.host.models import Login
from ensora_plugin.database import begin_write, sqlstate
from ensora_plugin.host.port import PERMISSIONS
from ensora_plugin.models import History, Mapping, Run, Student
from ensora_plugin.runs.jobs import JobFailed, work_run
from ensora_plugin.runs.schedule import request_run
from tests.canonical import canonical, sha256
from tests.chaos.people import check_page
from tests.opened import open_small
from tests.practice import PASSWORD
from tests.practices import Practice
from tests.running import filled
from tests.small import ACCOUNT, ORGANIZATION, Small
from tests.window import Person, record

RAW = ("database is locked", "psycopg", "sqlite3.", "readonly", "read-only transaction")


def people() -> Small:
    """Four students of whom nobody knows a client by that name, and four clients who are free."""
    small = filled()
    for name in ("Bea Long", "Cal Rey", "Dot Moe", "Eli Fox"):
        small.student(name)
        small.client(f"{name}es")
    return small


@contextmanager
def opened(url: str) -> Iterator[Practice]:
    """The window of a small practice after its first pull; Ada may do everything."""
    with open_small(url, people()) as practice:
        permissions = " ".join(sorted(PERMISSIONS))
        ada = {"id": 1, "account_id": ACCOUNT, "name": "ada", "permissions": permissions}
        secret = generate_password_hash(PASSWORD, "scrypt:1024:8:1")
        practice.session.add(Login(**ada, password_hash=secret, all_agencies=True))
        practice.session.commit()
        practice.run()
        with practice.outside():
            yield practice


@pytest.fixture
def window(database_url: str) -> Iterator[Practice]:
    with opened(database_url) as practice:
        yield practice


@pytest.fixture
def sqlite_window(sqlite_url: str) -> Iterator[Practice]:
    with opened(sqlite_url) as practice:
        yield practice


def engine_of(practice: Practice) -> Engine:
    with practice.app.app_context():
        return practice.state.engine


def unmapped(practice: Practice) -> tuple[int, str]:
    """Return the id of a student who is not mapped, and of a client who is free."""
    return record(practice, "clients", Student.vendor_id == "student-2").id, "2"


@contextmanager
def impatient(engine: Engine) -> Iterator[None]:
    """Wait half a second for a lock where the product waits seconds, so that the test does not."""

    @event.listens_for(engine, "after_cursor_execute")
    def _hasten(_c: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "lock_timeout" in statement:
            cursor.connection.execute("SELECT set_config('lock_timeout', '500ms', true)")

    @event.listens_for(engine, "checkout")
    def _busy(connection: Any, *_: Any) -> None:
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA busy_timeout = 500")

    try:
        yield
    finally:
        event.remove(engine, "after_cursor_execute", _hasten)
        event.remove(engine, "checkout", _busy)


@contextmanager
def held(engine: Engine) -> Iterator[None]:
    """Somebody else holds what changes of an account wait for."""
    with engine.connect() as other:
        if engine.dialect.name == "sqlite":
            other.rollback()
            other.connection.execute("BEGIN IMMEDIATE")
        else:
            other.execute(text("SELECT * FROM ensora_connection FOR UPDATE"))
            other.execute(text("SELECT * FROM ensora_run FOR UPDATE"))
        yield
        other.connection.rollback()


def test_a_person_who_meets_a_lock_is_told_to_try_again(window: Practice) -> None:
    engine = engine_of(window)
    ada, (record_id, client) = Person(window.app, "ada"), unmapped(window)
    with impatient(engine), held(engine):
        answer = ada.send(f"/clients/{record_id}/map", host_id=client, seen="0")
        assert answer.status_code == 503
        check_page(answer.status_code, answer.text)
        assert not [raw for raw in RAW if raw in answer.text]
        assert int(answer.headers["Retry-After"]) > 0
    answer = ada.send(f"/clients/{record_id}/map", host_id=client, seen="0")
    assert answer.status_code == 200


def test_a_run_that_meets_a_lock_leaves_by_its_code_and_is_done_later(window: Practice) -> None:
    engine = engine_of(window)
    with window.app.app_context():
        told = canonical(engine, window.state.sealer)
        run_id = request_run(window.session, window.account_id(ACCOUNT), "ada")
        with impatient(engine), held(engine):
            with pytest.raises(JobFailed) as raised:
                work_run(run_id)
            assert raised.value.code == "database"
        work_run(run_id)
        assert window.session.get_one(Run, run_id).state == "done"
        window.session.rollback()
        assert sha256(canonical(engine, window.state.sealer)) == sha256(told)


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do something in so many threads at once; return what each gave."""
    start, answers = threading.Barrier(count), [None] * count

    def one(number: int) -> None:
        start.wait()
        answers[number] = work(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def copies(practice: Practice, count: int) -> tuple[list[Person], dict[str, str]]:
    """Ada in so many browsers at once, signed in once; and the headers that she sends."""
    ada = Person(practice.app, "ada")
    headers = {"HX-Request": "true", "X-CSRFToken": ada.token()}
    cookie = ada.http.get_cookie("practice_admin")
    assert cookie is not None
    people = []
    for _ in range(count):
        person = Person(practice.app)
        person.http.set_cookie("practice_admin", cookie.value)
        people.append(person)
    return people, headers


def test_of_fifty_who_map_one_record_at_once_one_wins(window: Practice) -> None:
    people, headers = copies(window, 50)
    record_id, client = unmapped(window)
    path = f"/synchronization/clients/{record_id}/map"
    fields = {"host_id": client, "seen": "0"}
    answers = together(
        len(people), lambda n: people[n].http.post(path, data=fields, headers=headers)
    )
    told = Counter(answer.status_code for answer in answers)
    # Who waited too long for a lock or a connection is told so, too.
    assert told[200] == 1, told
    assert set(told) <= {200, 409, 503}
    for answer in answers:
        check_page(answer.status_code, answer.text)
    with Session(engine_of(window)) as session:
        rows = session.scalars(select(Mapping).where(Mapping.by.is_not(None))).all()
        assert [(row.host_id, row.version) for row in rows] == [(client, 1)]
        written = session.scalars(select(History).where(History.action == "map")).all()
        assert len(written) == 1


def test_two_people_who_swap_two_rows_in_opposite_order_never_block_each_other(
    window: Practice,
) -> None:
    people, headers = copies(window, 2)
    pair = ["student-2", "student-3"]
    rows = [record(window, "clients", Student.vendor_id == id).id for id in pair]
    before = history_count(window)

    def change(number: int) -> list[int]:
        order = rows if number == 0 else rows[::-1]
        told = []
        for turn in range(12):
            with Session(engine_of(window)) as session:
                seen = session.scalars(
                    select(Mapping.version).where(
                        Mapping.kind == "student",
                        Mapping.vendor_id == pair[rows.index(order[turn % 2])],
                    )
                ).first()
            fields = {"host_id": str(free[number]), "seen": str(seen or 0), "confirmed": "1"}
            path = f"/synchronization/clients/{order[turn % 2]}/map"
            answer = people[number].http.post(path, data=fields, headers=headers)
            told.append(answer.status_code)
        return told

    free = (2, 3)
    answers = together(2, change)
    told = Counter(status for one in answers for status in one)
    assert set(told) <= {200, 409}, told
    assert told[200] >= 2
    # One row of history for each change that was made.
    assert history_count(window) - before == told[200]


def history_count(practice: Practice) -> int:
    with Session(engine_of(practice)) as session:
        return len(session.scalars(select(History).where(History.action == "map")).all())


@contextmanager
def read_only(engine: Engine) -> Iterator[None]:
    """The database takes no writes, as after a failover to a standby."""
    if engine.dialect.name == "postgresql":
        name = engine.url.database
        _administer(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        engine.dispose()
        yield
        engine.dispose()
        reset = f"SET default_transaction_read_only = off; ALTER DATABASE {name} RESET ALL"
        _administer(engine, reset)
        engine.dispose()
        return

    def refuse(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA query_only = ON")

    engine.dispose()
    event.listen(engine, "checkout", refuse)
    yield
    event.remove(engine, "checkout", refuse)
    engine.dispose()


def _administer(engine: Engine, statements: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements.split(";"):
            connection.execute(text(statement))


def test_a_database_that_takes_no_writes_is_read_and_changes_nothing(window: Practice) -> None:
    engine, ada = engine_of(window), Person(window.app, "ada")
    record_id, client = unmapped(window)
    with window.app.app_context():
        told = canonical(engine, window.state.sealer)
    with read_only(engine):
        assert ada.get("/synchronization/clients/").status_code == 200
        for path, fields in (
            (f"/clients/{record_id}/map", {"host_id": client, "seen": "0"}),
            ("/sync", {}),
        ):
            answer = ada.send(path, **fields)
            assert answer.status_code == 503, path
            assert not [raw for raw in RAW if raw in answer.text]
    with window.app.app_context():
        assert sha256(canonical(engine, window.state.sealer)) == sha256(told)
        assert window.run().state == "done"


def test_without_a_free_connection_a_person_is_told_to_try_again(database_url: str) -> None:
    with opened(database_url) as practice:
        engine = engine_of(practice)
        ada = Person(practice.app, "ada")
        engine.dispose()
        # The pool of a host that runs out: every connection is lent to somebody else.
        engine.pool._timeout = 0.3  # type: ignore[attr-defined]
        lent = [engine.connect() for _ in range(_most(engine))]
        answer = ada.get("/synchronization/clients/")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        for connection in lent:
            connection.close()
        assert ada.get("/synchronization/clients/").status_code == 200


def _most(engine: Engine) -> int:
    return engine.pool.size() + engine.pool._max_overflow  # type: ignore[attr-defined]


def test_on_sqlite_every_transaction_that_writes_took_the_lock_first(
    sqlite_window: Practice,
) -> None:
    """One that reads first fails at once where another one wrote meanwhile."""
    engine, wrong = engine_of(sqlite_window), []
    written = set()

    @event.listens_for(engine, "before_cursor_execute")
    def _look(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        verb, _, rest = statement.lstrip().partition(" ")
        if verb in ("INSERT", "UPDATE", "DELETE") and "ensora_" in rest:
            written.add(rest.removeprefix("INTO ").removeprefix("FROM ").split()[0])
            if not connection.get_execution_options().get("ensora_immediate"):
                wrong.append(statement[:80])

    ada, (record_id, client) = Person(sqlite_window.app, "ada"), unmapped(sqlite_window)
    assert ada.send(f"/clients/{record_id}/map", host_id=client, seen="0").status_code == 200
    assert ada.send(f"/clients/{record_id}/unmap", seen="1").status_code == 200
    assert ada.send("/sync").status_code == 200
    with sqlite_window.app.app_context():
        sqlite_window.session.execute(text("DELETE FROM ensora_run WHERE state = 'due'"))
        sqlite_window.session.commit()
        wrong.clear()
        sqlite_window.store.unpublish_note(ORGANIZATION, "note-1")
        sqlite_window.run()
    assert wrong == []
    assert {"ensora_mapping", "ensora_history", "ensora_run", "ensora_note"} <= written


@pytest.fixture
def postgres_window(postgres_url: str) -> Iterator[Practice]:
    with opened(postgres_url) as practice:
        yield practice


def test_on_postgresql_a_transaction_that_writes_is_bounded_and_no_other(
    postgres_window: Practice,
) -> None:
    asked = {
        "lock_timeout": "2s",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "15s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "4",
    }

    def told(session: Session) -> dict[str, str]:
        return {name: session.scalar(text(f"SHOW {name}")) or "" for name in asked}

    with Session(engine_of(postgres_window)) as session:
        begin_write(session)
        assert told(session) == asked
        session.commit()
        assert not set(told(session).values()) & set(asked.values())
        begin_write(session, statement_seconds=1)
        with pytest.raises(OperationalError) as raised:
            session.execute(text("SELECT pg_sleep(20)"))
        assert sqlstate(raised.value) == "OperationalError 57014"


def test_what_walks_through_all_of_an_account_has_a_bound_of_its_own(
    postgres_window: Practice,
) -> None:
    engine, bound, mapped = engine_of(postgres_window), "", set()

    @event.listens_for(engine, "before_cursor_execute")
    def _look(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        nonlocal bound
        if "statement_timeout" in statement:
            (bound,) = {str(v) for v in parameters.values()} & {"30s", "900s"}
        if statement.startswith(("INSERT INTO ensora_mapping", "INSERT INTO ensora_directory")):
            mapped.add(bound)

    with postgres_window.app.app_context():
        postgres_window.session.execute(text("DELETE FROM ensora_mapping"))
        postgres_window.session.execute(text("DELETE FROM ensora_directory"))
        postgres_window.session.commit()
        postgres_window.run()
    assert mapped == {"900s"}


#: What holds an account's row.
HOLDS = re.compile(
    r"(UPDATE|INSERT INTO) ensora_connection|FROM ensora_connection.* FOR NO KEY UPDATE", re.DOTALL
)


def test_who_writes_history_holds_the_accounts_row_first(postgres_window: Practice) -> None:
    """Otherwise two could go on from the same end of its chain."""
    engine, held, wrote = engine_of(postgres_window), False, set()

    @event.listens_for(engine, "begin")
    def _begin(_connection: Any) -> None:
        nonlocal held
        held = False

    @event.listens_for(engine, "before_cursor_execute")
    def _look(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        nonlocal held
        held |= HOLDS.search(statement) is not None
        if statement.startswith("INSERT INTO ensora_history"):
            wrote.add(next(str(v) for k, v in values.items() if k.startswith("action")))
            assert held, values

    ada, (record_id, client) = Person(postgres_window.app, "ada"), unmapped(postgres_window)
    note = record(postgres_window, "appointments").id
    ada.send(f"/clients/{record_id}/map", host_id=client, seen="0")
    ada.send(f"/clients/{record_id}/unmap", seen="1")
    ada.send("/settings/", grace="9", interval="20")
    with postgres_window.app.app_context():
        postgres_window.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Written anew."})
        postgres_window.run(ACCOUNT, "pull")
        postgres_window.session.rollback()
    ada.send(f"/appointments/{note}/render")
    ada.get("/synchronization/evidence/1")
    ada.send("/reports/clients/export", format="csv").close()
    assert wrote == {"map", "unmap", "settings", "render", "view_evidence", "export"}
