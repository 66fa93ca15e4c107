"""Rendering where the host raises, commits or dies, or somebody was quicker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import create_engine, delete, func, select, text, update

from demo.host.adapter import DemoHost
from demo.host.models import Agency, Appointment, Client, db
from ensora_plugin.clock import utcnow
from ensora_plugin.errors import Busy, DatabaseFailed
from ensora_plugin.kinds import NOTE
from ensora_plugin.mapping.mapping import unmap_record
from ensora_plugin.models import Mapping, Note, RenderingRow
from ensora_plugin.runs.runs import claim, create_run
from ensora_plugin.runs.sync import perform
from tests.meddling import (
    RENDERED,
    Meanwhile,
    Meddled,
    appointment,
    change,
    hours,
    person,
    rows,
)
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT
from tests.test_render_now import ask


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, hours()) as practice:
        yield practice


@pytest.fixture
def on_each(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, hours()) as practice:
        yield practice


def test_a_worker_that_dies_in_the_host_leaves_nothing_and_its_successor_renders_once(
    on_each: Practice,
) -> None:
    def die(appointment_id: int) -> None:
        if appointment_id == 2:
            raise KeyboardInterrupt

    account_id = on_each.account_id(ACCOUNT)
    run_id = create_run(on_each.session, account_id, cause="command", by=None)
    on_each.state.host = Meddled(after=die)
    claimed = claim(on_each.session, run_id, 60)
    assert claimed
    with pytest.raises(KeyboardInterrupt):
        perform(on_each.state.services(), claimed)
    # What was rendered before is committed, the host's row and ours together.
    assert rows(on_each) == {("note-1", 1): RENDERED}
    assert appointment(on_each, 2).results_notes == ""
    on_each.state.host = host = Meddled()
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        claimed = claim(on_each.session, run_id, 60)
        assert claimed
        perform(on_each.state.services(), claimed)
    assert host.calls == [(2, 1), (3, 1)]
    assert list(rows(on_each).values()) == [RENDERED] * 3


def raising() -> None:
    raise LookupError("Amir Haddad")


def breaking_a_constraint() -> None:
    values = {"account_id": ACCOUNT, "name": "Amir Haddad", "time_zone": "UTC"}
    db.session.add(Agency(id=1, guardian_signature_required=False, **values))
    db.session.flush()


def committing() -> None:
    db.session.commit()


def committing_and_leaving_changes() -> None:
    db.session.commit()
    db.session.get_one(Appointment, 5).results_notes = "left behind"


def committing_and_raising() -> None:
    committing_and_leaving_changes()
    raise LookupError


def rolling_back() -> None:
    db.session.rollback()


def playing(faults: dict[int, Callable[[], None]]) -> Meanwhile:
    return lambda appointment_id: faults.get(appointment_id, lambda: None)()


def test_a_host_that_raises_fails_that_note_alone(database_url: str) -> None:
    before = playing({2: raising, 3: breaking_a_constraint})
    after = playing({4: raising, 5: breaking_a_constraint})
    with open_small(database_url, hours(6)) as practice:
        practice.state.host = Meddled(before, after)
        run = practice.run()
        assert run.state == "done"
        failed = ("failed", False, ["host_error"])
        assert list(rows(practice).values()) == [RENDERED, *[failed] * 4, RENDERED]
        told = practice.session.scalars(select(RenderingRow.refusals)).all()
        assert "LookupError" in str(told)
        assert "IntegrityError" in str(told)
        assert "Haddad" not in str(told)
        # Nothing of it stands in the host, and it is tried again.
        assert [appointment(practice, id).results_notes for id in range(2, 6)] == [""] * 4
        practice.state.host = DemoHost()
        practice.run()
        assert list(rows(practice).values()) == [RENDERED] * 6


def test_a_verb_that_ends_the_transaction_is_detected(database_url: str) -> None:
    faults = (committing, committing_and_leaving_changes, committing_and_raising, rolling_back)
    with open_small(database_url, hours(6)) as practice:
        practice.state.host = Meddled(after=playing(dict(enumerate(faults, start=2))))
        assert practice.run().state == "done"
        failed = ("failed", False, ["host_committed"])
        assert list(rows(practice).values()) == [RENDERED, *[failed] * 4, RENDERED]
        # Nothing that the host meant to commit stands, and nothing that it left without a flush.
        assert [appointment(practice, id).results_notes for id in range(2, 6)] == [""] * 4


def test_who_unmaps_while_a_verb_rolls_back_leaves_no_rendering_behind(database_url: str) -> None:
    with open_small(database_url, hours(1)) as practice:
        change(practice, update(Client).values(terminated_on=utcnow().date() - timedelta(days=30)))
        practice.run()
        assert rows(practice) == {("note-1", 1): ("refused", True, ["client_terminated"])}
        own = update(Mapping).where(Mapping.kind == "note")
        change(practice, own.values(state="user", by="ada"))

        def unmap() -> None:
            with practice.app.app_context():
                at, note = person(practice)
                unmap_record(at, NOTE, note, seen=1)
                practice.session.commit()
                practice.session.close()

        def roll_back(_: int) -> None:
            db.session.rollback()
            somebody = threading.Thread(target=unmap)
            somebody.start()
            somebody.join(20)

        practice.state.host = Meddled(after=roll_back)
        practice.run(ACCOUNT, "render")
        assert practice.mapped(ACCOUNT, "note") == {}
        assert rows(practice) == {("note-1", 1): ("withdrawn", False, ["client_terminated"])}


@pytest.mark.filterwarnings("ignore:.*already deassociated from connection")
def test_a_verb_that_ends_the_transaction_below_the_session_is_detected(database_url: str) -> None:
    faults = (
        lambda: db.session.connection().commit(),
        lambda: db.session.execute(text("COMMIT")),
        lambda: db.session.connection().get_transaction().rollback(),
    )
    with open_small(database_url, hours(5)) as practice:
        practice.state.host = Meddled(after=playing(dict(enumerate(faults, start=2))))
        assert practice.run().state == "done"
        failed = ("failed", False, ["host_committed"])
        assert list(rows(practice).values()) == [RENDERED, *[failed] * 3, RENDERED]


def elsewhere(statement: Any, url: str) -> None:
    """Commit a statement in a connection of its own."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()


def test_a_connection_lost_inside_a_verb_fails_the_run_and_blames_no_note(
    postgres_url: str,
) -> None:
    def kill() -> None:
        pid = db.session.scalar(select(func.pg_backend_pid()))
        elsewhere(select(func.pg_terminate_backend(pid)), postgres_url)
        db.session.execute(select(1))

    with open_small(postgres_url, hours()) as practice:
        practice.state.host = Meddled(before=playing({2: kill}))
        with pytest.raises(DatabaseFailed, match="57P01"):
            practice.run()
        assert rows(practice) == {("note-1", 1): RENDERED}
        practice.state.host = DemoHost()
        practice.run()
        assert list(rows(practice).values()) == [RENDERED] * 3


def test_an_appointment_given_to_others_while_it_is_written_is_not_written(
    postgres_url: str,
) -> None:
    small = hours(2)
    small.client("Lily Wong")
    given = update(Appointment.__table__).where(Appointment.id == 1).values(client_id=2)
    with open_small(postgres_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        practice.state.host = Meddled(before=playing({1: lambda: elsewhere(given, postgres_url)}))
        practice.run(ACCOUNT, "render")
        assert rows(practice)["note-1", 1] == ("refused", False, ["another_client"])
        assert rows(practice)["note-2", 1] == RENDERED
        one = appointment(practice)
        assert (one.client_id, one.status, one.results_notes) == (2, "scheduled", "")
        assert one.signature is None


def test_a_mapping_that_somebody_holds_waits_for_the_next_run(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = select(Mapping.id).where(Mapping.vendor_id == "note-2").with_for_update()
    with open_small(postgres_url, hours()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        engine = create_engine(postgres_url)
        with engine.begin() as connection:
            connection.execute(held)
            assert practice.run(ACCOUNT, "render").state == "done"
            with pytest.raises(Busy, match="try again in a moment"):
                ask(practice, "note-2")
        engine.dispose()
        assert list(rows(practice)) == [("note-1", 1), ("note-3", 1)]
        assert "event=notes_held run=2 count=1" in caplog.text
        practice.run(ACCOUNT, "render")
        assert list(rows(practice).values()) == [RENDERED] * 3


def test_a_note_unmapped_where_the_host_rolled_back_is_written_down_no_more(
    database_url: str,
) -> None:
    def rolled_back_and_unmapped() -> None:
        db.session.rollback()
        # The lock on the mapping is gone by now; somebody waited for it.
        elsewhere(delete(Mapping).where(Mapping.vendor_id == "note-2"), database_url)

    with open_small(database_url, hours()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        practice.state.host = Meddled(after=playing({2: rolled_back_and_unmapped}))
        practice.run(ACCOUNT, "render")
        assert list(rows(practice)) == [("note-1", 1), ("note-3", 1)]


def unmap_the_next(_: int) -> None:
    db.session.execute(delete(Mapping).where(Mapping.vendor_id == "note-2"))


def map_the_next_elsewhere(_: int) -> None:
    db.session.execute(
        update(Mapping).where(Mapping.vendor_id == "note-2").values(host_id="99", state="user")
    )


def unpublish_the_next(_: int) -> None:
    db.session.execute(
        update(Note).where(Note.vendor_id == "note-2").values(status="unpublished", version=2)
    )


@pytest.mark.parametrize("meanwhile", [unmap_the_next, map_the_next_elsewhere, unpublish_the_next])
def test_a_note_unmapped_or_unpublished_after_the_list_was_read_is_not_rendered(
    practice: Practice, meanwhile: Meanwhile
) -> None:
    # It happens while the first one is rendered, in its transaction, so that it is surely later.
    practice.state.host = host = Meddled(before=meanwhile)
    practice.run()
    assert [appointment_id for appointment_id, _ in host.calls] == [1, 3]
    assert ("note-2", 1) not in rows(practice)
    assert appointment(practice, 2).results_notes == ""
