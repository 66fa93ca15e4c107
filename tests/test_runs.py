"""Runs: one at a time for an account, whoever dies, and every failure written down in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import time_machine
from sqlalchemy import Select, select, text
from sqlalchemy.exc import IntegrityError

from demo.host.adapter import DemoHost
from ensora_plugin.clock import utcnow
from ensora_plugin.connecting import connect
from ensora_plugin.errors import Busy, EnsoraError, Fenced, NeedsConnection, TokenRefused
from ensora_plugin.models import Connection, Run
from ensora_plugin.signals import connection_lost, run_ended
from ensora_plugin.sync import STEPS, Claim, claim, create_run, hold, perform
from tests.practices import ADMINS, Practice
from tests.small import ACCOUNT, ORGANIZATION, OTHER, Mortal, Small, open_small

LEASE = 60


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, filled()) as practice:
        yield practice


@pytest.fixture
def on_each(database_url: str) -> Iterator[Practice]:
    """The same on each database."""
    with open_small(database_url, filled()) as practice:
        yield practice


def filled() -> Small:
    small = Small()
    small.trio()
    small.note()
    small.appointment()
    return small


@contextmanager
def later(**pause: float) -> Iterator[None]:
    with time_machine.travel(utcnow() + timedelta(**pause)):
        yield


def due(practice: Practice, account: str = ACCOUNT, steps: tuple[str, ...] = STEPS) -> int:
    account_id = practice.account_id(account)
    return create_run(practice.session, account_id, cause="schedule", by=None, steps=steps)


def claimed(practice: Practice, run_id: int) -> Claim:
    found = claim(practice.session, run_id, LEASE)
    assert found is not None
    return found


def run_of(practice: Practice, run_id: int) -> Run:
    practice.session.rollback()
    return practice.session.get_one(Run, run_id)


def connection_of(practice: Practice, account: str = ACCOUNT) -> Connection:
    practice.session.rollback()
    return practice.session.scalars(select(Connection).where(Connection.account == account)).one()


def play(practice: Practice, fault: str, **args: Any) -> None:
    rules = [{"fault": fault, "args": args}]
    practice.emulator.extensions["emulator"].scenario.play(rules)


def fail(practice: Practice) -> EnsoraError:
    with pytest.raises(EnsoraError) as raised:
        practice.run()
    return raised.value


@contextmanager
def heard(signal: Any) -> Iterator[list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []

    def hear(account: str, **facts: Any) -> None:
        told.append({"account": account, **facts})

    with signal.connected_to(hear):
        yield told


def test_an_account_has_one_live_run_and_the_others_have_theirs(on_each: Practice) -> None:
    first = due(on_each)
    with pytest.raises(Busy, match="under way"):
        due(on_each)
    perform(on_each.state.services(), claimed(on_each, first))
    assert run_of(on_each, first).state == "done"
    running = claimed(on_each, due(on_each))
    with pytest.raises(Busy):
        due(on_each)
    due(on_each, OTHER)
    perform(on_each.state.services(), running)


def test_a_run_is_claimed_once_while_its_lease_lasts(on_each: Practice) -> None:
    run_id = due(on_each)
    first = claimed(on_each, run_id)
    assert (first.account, first.fence, first.steps) == (ACCOUNT, 1, STEPS)
    assert claim(on_each.session, run_id, LEASE) is None
    with later(seconds=LEASE - 5):
        assert claim(on_each.session, run_id, LEASE) is None
    run = run_of(on_each, run_id)
    assert (run.state, run.attempt, run.fence) == ("running", 1, 1)


def test_a_run_that_ended_or_never_was_is_not_claimed(practice: Practice) -> None:
    done = practice.run().id
    assert claim(practice.session, done, LEASE) is None
    assert claim(practice.session, 999, LEASE) is None


def test_an_expired_lease_is_taken_over_under_a_higher_fence(on_each: Practice) -> None:
    run_id = due(on_each)
    claimed(on_each, run_id)
    started = run_of(on_each, run_id).started_at
    for takeover in (2, 3):
        with later(seconds=(LEASE + 1) * takeover):
            again = claimed(on_each, run_id)
        run = run_of(on_each, run_id)
        assert (again.fence, run.fence, run.attempt) == (takeover, takeover, takeover)
        assert run.started_at == started


def test_a_worker_at_work_keeps_its_lease(practice: Practice) -> None:
    run_id = due(practice)
    ours = claimed(practice, run_id)
    with later(seconds=50):
        hold(practice.state.services(), ours)
        practice.session.commit()
    with later(seconds=100):
        assert claim(practice.session, run_id, LEASE) is None


def test_a_worker_whose_run_was_taken_over_writes_nothing(on_each: Practice) -> None:
    run_id = due(on_each)
    zombie = claimed(on_each, run_id)
    with later(seconds=LEASE + 1):
        owner = claimed(on_each, run_id)
    before = on_each.changed_rows()
    for steps in (("pull",), ("automap",), ("render",), ()):
        stale = Claim(zombie.run_id, zombie.account_id, zombie.account, zombie.fence, steps)
        with pytest.raises(Fenced):
            perform(on_each.state.services(), stale)
        assert on_each.changed_rows() == before
        run = run_of(on_each, run_id)
        assert (run.state, run.fence, run.error_code) == ("running", owner.fence, None)
    assert connection_of(on_each).failures == 0
    perform(on_each.state.services(), owner)
    assert run_of(on_each, run_id).state == "done"


def test_a_zombie_does_not_mark_the_run_of_its_successor_as_failed(practice: Practice) -> None:
    run_id = due(practice)
    zombie = claimed(practice, run_id)
    with later(seconds=LEASE + 1):
        claimed(practice, run_id)
    play(practice, "status", code=401)
    with heard(connection_lost) as lost, pytest.raises(Fenced):
        perform(practice.state.services(), zombie)
    assert run_of(practice, run_id).state == "running"
    assert connection_of(practice).state == "connected"
    assert lost == []


def test_after_five_workers_died_of_it_a_run_fails_and_the_next_one_starts_anew(
    practice: Practice,
) -> None:
    run_id = due(practice)
    alive = practice.state.transport
    practice.state.transport = Mortal(alive, 0)
    for attempt in range(5):
        with later(minutes=2 * attempt):
            ours = claimed(practice, run_id)
            with pytest.raises(KeyboardInterrupt):
                perform(practice.state.services(), ours)
    assert run_of(practice, run_id).state == "running"
    with heard(run_ended) as ended, later(minutes=20):
        assert claim(practice.session, run_id, LEASE) is None
    run = run_of(practice, run_id)
    assert (run.state, run.error_code) == ("failed", "too_many_attempts")
    assert "five workers" in str(run.error_text)
    assert [one["code"] for one in ended] == ["too_many_attempts"]
    assert connection_of(practice).failures == 1
    practice.state.transport = alive
    assert practice.run().state == "done"
    assert connection_of(practice).failures == 0


def test_each_failure_says_why_and_makes_the_pause_longer(practice: Practice) -> None:
    play(practice, "status", code=500)
    pauses = []
    for failures in range(1, 8):
        with heard(run_ended) as ended:
            error = fail(practice)
        connection = connection_of(practice)
        assert connection.due_at is not None
        pauses.append(round((connection.due_at - utcnow()).total_seconds() / 60))
        assert connection.failures == failures
        assert connection.error_code == error.code == "vendor_unreachable"
        assert connection.error_text == str(error)
        assert "HTTP 500" in str(error)
        (told,) = ended
        assert (told["account"], told["state"], told["code"]) == (ACCOUNT, "failed", error.code)
    assert pauses == [30, 60, 120, 240, 480, 480, 480]
    practice.emulator.extensions["emulator"].scenario.clear()
    with heard(run_ended) as ended:
        practice.run()
    assert [(one["state"], one["code"]) for one in ended] == [("done", None)]
    connection = connection_of(practice)
    assert (connection.failures, connection.error_code, connection.error_text) == (0, None, None)
    assert connection.due_at is not None
    assert round((connection.due_at - utcnow()).total_seconds() / 60) == 30


@pytest.mark.parametrize(("asked", "minutes"), [(600, 30), (2400, 40), (3600, 60), (315360000, 60)])
def test_the_next_pull_waits_as_long_as_the_vendor_asked_up_to_an_hour(
    practice: Practice, asked: int, minutes: int
) -> None:
    play(practice, "status", code=429, retry_after=asked)
    assert fail(practice).code == "vendor_busy"
    due_at = connection_of(practice).due_at
    assert due_at is not None
    assert round((due_at - utcnow()).total_seconds() / 60) == minutes


def test_an_accounts_own_interval_counts(practice: Practice) -> None:
    connection_of(practice).interval_minutes = 10
    practice.session.commit()
    practice.run()
    due_at = connection_of(practice).due_at
    assert due_at is not None
    assert round((due_at - utcnow()).total_seconds() / 60) == 10


def test_a_refused_token_loses_the_connection_once(practice: Practice) -> None:
    practice.store.revoke_tokens(ORGANIZATION)
    with heard(connection_lost) as lost:
        assert isinstance(fail(practice), TokenRefused)
        connection = connection_of(practice)
        assert (connection.state, connection.due_at) == ("lost", None)
        assert "connected again" in str(connection.error_text)
        journal = practice.emulator.extensions["emulator"].journal
        journal.clear()
        error = fail(practice)
        assert (type(error), error.code) == (NeedsConnection, "needs_connection")
        assert journal.entries() == []
    assert lost == [{"account": ACCOUNT, "code": "token_refused"}]
    assert connection_of(practice).state == "lost"


def test_connecting_again_mends_a_lost_connection(practice: Practice) -> None:
    practice.store.revoke_tokens(ORGANIZATION)
    fail(practice)
    with practice.state.vendor() as vendor:
        connect(
            practice.session,
            ACCOUNT,
            vendor,
            practice.state.sealer,
            username=ADMINS[ACCOUNT],
            password="admin-demo",
            by="ada",
        )
    connection = connection_of(practice)
    assert (connection.state, connection.failures, connection.error_text) == ("connected", 0, None)
    assert practice.run().state == "done"


def test_a_token_of_another_organization_stops_the_account(practice: Practice) -> None:
    answer = {"organization": {"id": "org-third", "name": "Third"}}

    def moved(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [httpx2.Response(200, json=answer).content]

    practice.state.transport = httpx2.WSGITransport(app=moved)
    assert isinstance(fail(practice), TokenRefused)
    assert connection_of(practice).state == "lost"


class Raising(DemoHost):
    """A host whose adapter fails with words that nobody may read in a log."""

    def appointments(self, account: str) -> Select[Any]:
        raise LookupError("Amir Haddad")


def test_an_error_that_nobody_foresaw_is_recorded_without_its_words_and_raised(
    practice: Practice,
) -> None:
    practice.state.host = Raising()
    with heard(run_ended) as ended, pytest.raises(LookupError):
        practice.run()
    run = practice.session.scalars(select(Run)).one()
    assert (run.state, run.error_code) == ("failed", "unexpected")
    assert "LookupError" in str(run.error_text)
    assert "Haddad" not in str(run.error_text)
    assert [one["code"] for one in ended] == ["unexpected"]
    assert connection_of(practice).failures == 1
    # What was pulled and mapped before stays.
    assert practice.mapped(ACCOUNT, "student") == {"student-1": "1"}


def test_an_error_of_the_database_is_recorded_by_its_class_alone(practice: Practice) -> None:
    refuse = (
        "CREATE TRIGGER refuse BEFORE INSERT ON ensora_mapping "
        "BEGIN SELECT RAISE(ABORT, 'Amir Haddad'); END"
    )
    practice.session.execute(text(refuse))
    practice.session.commit()
    with pytest.raises(IntegrityError):
        practice.run()
    run = practice.session.scalars(select(Run)).one()
    assert (run.state, run.error_code) == ("failed", "database")
    assert "IntegrityError" in str(run.error_text)
    assert "Haddad" not in str(run.error_text)


class Watching(httpx2.BaseTransport):
    """Notes at each request whether a transaction is open meanwhile."""

    def __init__(self, practice: Practice) -> None:
        assert practice.state.transport is not None
        self.practice, self.inner = practice, practice.state.transport
        self.open: list[bool] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.open.append(self.practice.session.in_transaction())
        return self.inner.handle_request(request)


def test_no_transaction_is_open_while_the_vendor_answers(practice: Practice) -> None:
    practice.state.transport = watching = Watching(practice)
    practice.run()
    assert watching.open == [False] * 5


def test_a_run_does_only_its_own_steps(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    assert practice.mapped(ACCOUNT, "site") == {}
    run = practice.run(ACCOUNT, "automap")
    assert practice.mapped(ACCOUNT, "note") == {"note-1": "1"}
    assert practice.counts(run)["note"].rendered == 0
    assert practice.counts(practice.run(ACCOUNT, "render"))["note"].rendered == 1


def test_an_account_that_is_not_connected_is_told_so(practice: Practice) -> None:
    connection = connection_of(practice)
    connection.state, connection.token_sealed = "activated", None
    practice.session.commit()
    assert type(fail(practice)) is NeedsConnection
    assert connection_of(practice).state == "activated"
