"""Runs: one at a time for an account, and whoever dies, another one goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from hashlib import sha256

import httpx2
import pytest
from sqlalchemy import select

from ensora_plugin.errors import Busy, Fenced
from ensora_plugin.models import History, Mapping, Run
from ensora_plugin.runs.runs import STEPS, Claim, claim, hold
from ensora_plugin.runs.sync import Stopped, perform, perform_now
from ensora_plugin.signals import connection_lost, run_ended
from tests.hands import Hands
from tests.opened import Mortal, open_small
from tests.practices import Practice
from tests.running import LEASE, claimed, connection_of, due, filled, heard, later, play, run_of
from tests.small import ACCOUNT, ORGANIZATION, OTHER, draft


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, filled()) as practice:
        yield practice


@pytest.fixture
def on_each(database_url: str) -> Iterator[Practice]:
    """The same on each database."""
    with open_small(database_url, filled()) as practice:
        yield practice


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
        hold(practice.session, ours, LEASE)
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


class Watching(httpx2.BaseTransport):
    """Notes at each request whether a transaction is open meanwhile."""

    def __init__(self, practice: Practice) -> None:
        assert practice.state.transport is not None
        # The feeds are read in a thread, which has no session of its own.
        self.session, self.inner = practice.session, practice.state.transport
        self.open: list[bool] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.open.append(self.session.in_transaction())
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


def test_a_run_that_is_taken_over_counts_each_mapping_once(on_each: Practice) -> None:
    """Its worker leaves when the notes are mapped; then another note comes."""
    session, run_id = on_each.session, due(on_each)

    def notes_are_mapped() -> bool:
        return session.scalar(select(Mapping.id).where(Mapping.kind == "note")) is not None

    leaving = replace(on_each.state.services(), stopping=notes_are_mapped)
    with pytest.raises(Stopped):
        perform(leaving, claimed(on_each, run_id))
    hands = Hands(on_each)
    hands.copy("appointment", 1, to=2)
    hands.change("appointment", 2, start=time(16), end=time(17))
    on_each.store.publish_note(ORGANIZATION, draft("16:00", "17:00") | {"id": "note-2"})
    perform(on_each.state.services(), claimed(on_each, run_id))
    count = on_each.counts(run_of(on_each, run_id))["note"]
    assert on_each.mapped(ACCOUNT, "note") == {"note-1": "1", "note-2": "2"}
    assert count.mapped == 2
    rows = session.scalars(
        select(History.after)
        .where(History.run_id == run_id, History.action == "automap", History.kind == "note")
        .order_by(History.id)
    ).all()
    pairs = ["note-1\x1f1\x1e", "note-2\x1f2\x1e"]
    assert rows == [{"count": 1, "sha256": sha256(pair.encode()).hexdigest()} for pair in pairs]


def test_a_command_does_first_what_a_dead_one_left_behind(on_each: Practice) -> None:
    services, account_id = on_each.state.services(), on_each.account_id(ACCOUNT)
    left = due(on_each)
    claimed(on_each, left)
    with pytest.raises(Busy):
        perform_now(services, account_id, "pull", by="command line")
    with later(seconds=LEASE + 5):
        first, own = perform_now(services, account_id, "pull", by="command line")
    assert first == left
    assert (run_of(on_each, left).state, run_of(on_each, left).fence) == ("done", 2)
    assert (run_of(on_each, own).state, run_of(on_each, own).by) == ("done", "command line")


def test_a_command_does_first_what_no_worker_came_for(practice: Practice) -> None:
    services, account_id = practice.state.services(), practice.account_id(ACCOUNT)
    waiting = due(practice)
    with pytest.raises(Busy):
        perform_now(services, account_id, "pull", by="command line")
    with later(seconds=LEASE + 5):
        assert perform_now(services, account_id, "pull", by="command line")[0] == waiting


def test_ctrl_c_stops_the_run_of_a_command_and_the_next_one_starts_at_once(
    practice: Practice,
) -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    account_id = practice.account_id(ACCOUNT)
    services = replace(practice.state.services(), stopping=interrupted)
    with pytest.raises(KeyboardInterrupt):
        perform_now(services, account_id, "pull", by="command line")
    (stopped,) = practice.session.scalars(select(Run))
    assert (stopped.state, stopped.error_text) == ("stopped", "Stopped by command line.")
    practice.session.rollback()
    assert perform_now(practice.state.services(), account_id, "pull", by="command line")
