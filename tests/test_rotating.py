"""Keys rotated: every sealed value under the new key, whoever works meanwhile, however it ends."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import create_engine, event, select, update
from sqlalchemy.orm import Session

from demo.host import create_app as create_demo
from demo.host.adapter import DemoHost
from ensora_plugin import Ensora, configure_engine
from ensora_plugin.bulk import insert_rows
from ensora_plugin.clock import utcnow
from ensora_plugin.connecting import token_of
from ensora_plugin.crypto import Sealer, key_of
from ensora_plugin.errors import Sealed
from ensora_plugin.models import (
    Base,
    Connection,
    Content,
    Export,
    History,
    RenderingRow,
    ReplacedContent,
)
from ensora_plugin.plugin import state_of
from ensora_plugin.pull.content import content_place
from ensora_plugin.rendering.applying import Work
from ensora_plugin.rendering.rendering import Rendered, render_due
from ensora_plugin.reports.exports import claim_export, make_export, pieces_of
from ensora_plugin.reports.spec import REPORTS
from ensora_plugin.rotating import SEALED, rotate
from tests.five_students import forget_cursors, play
from tests.opened import open_small
from tests.practices import CONFIG, KEY, Practice
from tests.small import ACCOUNT, ORGANIZATION, OTHER, Small

OLD = ("test", base64.b64decode(KEY.partition(":")[2]))
NEW, LOST = ("new", b"n" * 32), ("lost", b"l" * 32)
BOTH = Sealer([NEW, OLD])
NEW_KEYS = f"new:{base64.b64encode(NEW[1]).decode()}"


def small() -> Small:
    """Some notes with appointments."""
    small = Small()
    small.trio()
    for hour in range(8, 20):
        small.note(f"{hour:02}:00", f"{hour:02}:50", text=f"Note {hour}")
        small.appointment(f"{hour:02}:00", f"{hour:02}:50")
    return small


@pytest.fixture
def sealed(database_url: str) -> Iterator[Practice]:
    """Notes pulled and mapped under the old key, with a replaced version and an export."""
    with open_small(database_url, small()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        put(practice, ReplacedContent.__table__, ["other"], at=utcnow())
        export(practice)
        yield practice


def export(practice: Practice) -> None:
    """Let somebody ask for a file of all notes, and a worker make it."""
    wanted = {"report": list(REPORTS)[-1], "choice": {}, "form": "csv", "total": 12}
    asked = Export(
        account_id=practice.account_id(ACCOUNT),
        owner="1",
        by="ada",
        may_map=True,
        state="due",
        ends_at=utcnow() + timedelta(days=1),
        **wanted,
    )
    practice.session.add(asked)
    practice.session.commit()
    state = practice.state
    claimed = claim_export(practice.session, asked.id, 60)
    assert claimed is not None
    make_export(practice.session, state.host, state.sealer, claimed)


def put(
    practice: Practice,
    table: Any,
    notes: list[str],
    *,
    key: tuple[str, bytes] = OLD,
    size: int = 50,
    **more: Any,
) -> None:
    """Seal the content of notes that nobody else speaks of; commits."""
    account, sealer = practice.account_id(ACCOUNT), Sealer([key])
    rows = [
        {"account_id": account, "note_id": note, "version": 1, **more}
        | {"sealed": sealer.seal(note.encode() * size, *content_place(account, note, 1))}
        for note in notes
    ]
    insert_rows(practice.session, table, rows)
    practice.session.commit()


def keys(practice: Practice) -> list[str]:
    """By which keys values are sealed."""
    values = [
        value for column in SEALED for value in practice.session.scalars(select(column.value))
    ]
    practice.session.rollback()
    return sorted(map(key_of, filter(None, values)))


def opened(practice: Practice, sealer: Sealer) -> int:
    """Open everything that is sealed; return how much that is."""
    session, count = practice.session, 0
    for model in (Content, ReplacedContent):
        for row in session.execute(select(model.__table__)):
            sealer.open(row.sealed, *content_place(row.account_id, row.note_id, row.version))
            count += 1
    for one in session.scalars(select(Export)):
        pieces = list(pieces_of(session, sealer, one))
        assert sum(map(len, pieces)) == one.size > 0
        count += len(pieces)
    for connection in session.scalars(select(Connection)):
        assert token_of(connection, sealer)
        count += 1
    session.rollback()
    return count


def terminal(
    practice: Practice, *keys: str, command: str = "rotate-keys", words: tuple[str, ...] = ()
) -> Result:
    """A command over the practice's database, with a ring of keys."""
    url = practice.app.config["SQLALCHEMY_DATABASE_URI"]
    app = create_demo({**CONFIG, "SQLALCHEMY_DATABASE_URI": url, "ENSORA_KEYS": ",".join(keys)})
    Ensora().init_app(app, DemoHost())
    with practice.outside():
        result = app.test_cli_runner().invoke(args=["ensora", command, *words])
        with app.app_context():
            state_of(app).engine.dispose()
    return result


@contextmanager
def at_commit(practice: Practice, act: Callable[[int], None]) -> Iterator[None]:
    """Call `act` with the number of each commit, before it happens."""
    count = 0

    def counted(_connection: Any) -> None:
        nonlocal count
        count += 1
        act(count)

    event.listen(practice.state.engine, "commit", counted)
    try:
        yield
    finally:
        event.remove(practice.state.engine, "commit", counted)


def test_every_sealed_column_is_rotated() -> None:
    columns = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.c
        if "sealed" in column.name
    }
    assert columns == {(column.table.name, column.name) for column in SEALED}


def test_afterwards_no_value_needs_the_old_key(sealed: Practice) -> None:
    before = keys(sealed)
    assert set(before) == {"test"}
    said = terminal(sealed, NEW_KEYS, KEY)
    assert said.stdout == (
        "Sealed anew with key new: 2 tokens, 12 versions of notes, 1 replaced version of a note, "
        "1 piece of an export.\n"
        "No value needs another key than new any more.\n"
    )
    assert keys(sealed) == ["new"] * len(before)
    assert opened(sealed, Sealer([NEW])) == len(before)
    again = terminal(sealed, NEW_KEYS, words=("--json",))
    nothing = {column.many: 0 for column in SEALED}
    assert json.loads(again.stdout) == {"key": "new", "sealed": nothing}


def test_a_missing_key_is_named_and_nothing_is_changed(sealed: Practice) -> None:
    put(sealed, Content.__table__, ["n1"], key=LOST)
    before = keys(sealed)
    plain = terminal(sealed, NEW_KEYS, KEY)
    assert plain.exit_code == 1
    assert "ENSORA_KEYS has no key 'lost'" in plain.stderr
    assert "Nothing was changed." in plain.stderr
    machine = terminal(sealed, NEW_KEYS, words=("--json",))
    assert machine.exit_code == 1
    told = json.loads(machine.stdout)
    assert told["error"] == "sealed"
    assert "'test'" in told["message"]
    assert "'lost'" in told["message"]
    checked = terminal(sealed, KEY, command="check")
    assert checked.exit_code == 1
    assert "ENSORA_KEYS has no key 'lost'" in checked.stderr
    assert terminal(sealed).exit_code == 1
    assert keys(sealed) == before


def test_killed_half_way_it_goes_on_where_it_stood(sealed: Practice) -> None:
    put(sealed, Content.__table__, [f"more-{number:03}" for number in range(450)])
    every, url = len(keys(sealed)), sealed.app.config["SQLALCHEMY_DATABASE_URI"]
    pid = os.fork()
    if not pid:
        _rotate_and_die(url)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    done = keys(sealed).count("new")
    # The tokens, and one batch of notes.
    assert done == 202
    # The killed one had no end to tell of, but said at whose values it was.
    own, other = sealed.account_id(ACCOUNT), sealed.account_id(OTHER)
    assert history(sealed, "begin_rotation") == {own: {"key": "new"}, other: {"key": "new"}}
    assert history(sealed, "rotate_keys") == {}
    assert opened(sealed, BOTH) == every
    assert sum(rotate(sealed.session, BOTH, by="ada").done.values()) == every - done
    assert keys(sealed) == ["new"] * every
    assert opened(sealed, Sealer([NEW])) == every


def _rotate_and_die(url: str) -> None:
    """End by force at the third commit after the two accounts' rows of history."""
    try:
        engine, left = create_engine(url), [5]
        configure_engine(engine)

        @event.listens_for(engine, "commit")
        def _die(_connection: Any) -> None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        with Session(engine) as session:
            rotate(session, BOTH, by="ada")
    finally:
        os._exit(1)


def history(practice: Practice, action: str) -> dict[int, Any]:
    """Return what ada's rows of an action say, by account; one row for each."""
    practice.session.rollback()
    rows = practice.session.scalars(select(History).filter_by(action=action, by="ada")).all()
    told = {row.account_id: row.after for row in rows}
    assert len(told) == len(rows)
    return told


def test_each_account_has_its_rows_of_history(sealed: Practice) -> None:
    # Nothing is left to do the second time, so there is nothing to remember.
    for _ in range(2):
        rotate(sealed.session, BOTH, by="ada")
        own, other = sealed.account_id(ACCOUNT), sealed.account_id(OTHER)
        assert history(sealed, "begin_rotation") == {own: {"key": "new"}, other: {"key": "new"}}
        assert history(sealed, "rotate_keys") == {
            other: {"key": "new", "tokens": 1},
            own: {
                "key": "new",
                "tokens": 1,
                "versions of notes": 12,
                "replaced versions of notes": 1,
                "pieces of exports": 1,
            },
        }


def test_what_is_put_aside_meanwhile_is_sealed_anew_as_well(postgres_url: str) -> None:
    with open_small(postgres_url, small()) as practice:
        practice.run()
        # Other content comes under the version that stands in an appointment.
        forget_cursors(practice)
        fields = practice.store.get(ORGANIZATION, "session-notes", "note-1")["fields"]
        other = [{**one, "value": "Otherwise"} if one["name"] == "Notes" else one for one in fields]
        play(practice, "member", "session-notes", member="fields", value=other)
        engine, threads = practice.state.engine, []

        def rotating() -> None:
            with Session(engine) as session:
                rotate(session, BOTH, by="ada")

        @event.listens_for(engine, "after_cursor_execute")
        def _read(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not threads and "applied_at IS NOT NULL" in statement and "SELECT" in statement:
                threads.append(threading.Thread(target=rotating))
                threads[0].start()
                threads[0].join(1)

        practice.run(ACCOUNT, "pull")
        threads[0].join(60)
        assert practice.session.scalars(select(ReplacedContent.note_id)).all() == ["note-1"]
        practice.session.rollback()
        # The new content came under the key of whoever pulled; what was there has the new one.
        values = practice.session.scalars(select(ReplacedContent.sealed)).all()
        assert [key_of(value) for value in values] == ["new"]


def test_large_values_are_few_in_a_transaction(sealed: Practice) -> None:
    names = [f"large-{number:02}" for number in range(9)]
    put(sealed, Content.__table__, names, size=(2 << 20) // len(names[0]))
    commits: list[int] = []
    with at_commit(sealed, commits.append):
        rotate(sealed.session, BOTH, by="ada")
    # Two of 2 MiB each in one, beside the tokens and the replaced version.
    assert len(commits) >= 2 + 9 // 2
    assert set(keys(sealed)) == {"new"}


def test_a_value_that_does_not_open_is_named_and_holds_up_no_other(sealed: Practice) -> None:
    put(sealed, Content.__table__, ["n0", "n1"])
    damaged = update(Content).where(Content.note_id == "n0").values(sealed=b"\x04test" + b"x" * 40)
    sealed.session.execute(damaged)
    sealed.session.commit()
    with pytest.raises(Sealed, match=r"1 values do not open .* version 1 of note n0 of account"):
        rotate(sealed.session, BOTH, by="ada")
    assert keys(sealed).count("test") == 1


def test_nobody_fails_to_read_meanwhile(sealed: Practice) -> None:
    put(sealed, Content.__table__, [f"more-{number:03}" for number in range(450)])
    ended = threading.Event()
    failed: list[BaseException] = []
    engine = sealed.state.engine

    def rotating() -> None:
        try:
            with Session(engine) as session:
                rotate(session, BOTH, by="ada")
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=rotating)
    thread.start()
    opened(sealed, BOTH)
    parts = (sealed.session, sealed.account_id(ACCOUNT), ACCOUNT, sealed.state.host, BOTH)
    rendered = Rendered()
    render_due(Work(*parts, run_id=None, still_ours=lambda: None), rendered)
    while not ended.is_set():
        opened(sealed, BOTH)
    thread.join()
    assert failed == []
    assert rendered.rendered == 12
    assert set(sealed.session.scalars(select(RenderingRow.state))) == {"rendered"}
    assert set(keys(sealed)) == {"new"}


def test_what_somebody_is_writing_is_sealed_when_they_are_done(sealed: Practice) -> None:
    engine = sealed.state.engine
    writing, other = engine.connect(), Session(engine)
    writing.execute(update(Connection).where(Connection.account == OTHER).values(failures=0))
    timer = threading.Timer(0.5, writing.rollback)
    timer.start()
    rotate(other, BOTH, by="ada")
    timer.join()
    writing.close()
    other.close()
    assert set(keys(sealed)) == {"new"}


def test_a_long_pass_does_not_use_up_the_patience_with_others(
    sealed: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensora_plugin.rotating._PATIENCE_SECONDS", 1.0)
    engine = sealed.state.engine
    writing, other = engine.connect(), Session(engine)
    writing.execute(update(Content).where(Content.note_id == "note-1").values(version=1))
    timer = threading.Timer(1.5, writing.rollback)
    timer.start()
    with at_commit(sealed, lambda number: time.sleep(1.2 if number == 3 else 0)):
        rotate(other, BOTH, by="ada")
    timer.join()
    writing.close()
    other.close()
    assert set(keys(sealed)) == {"new"}
