"""Which runs are made, once whoever makes them, and the bell that may fail."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from demo.data import World
from ensora_plugin.clock import utcnow
from ensora_plugin.config import read_settings
from ensora_plugin.errors import NeedsConnection, WrongSettings
from ensora_plugin.log import log
from ensora_plugin.models import Connection, Run
from ensora_plugin.runs.heartbeat import beating
from ensora_plugin.runs.runs import Claim, claim, extend, release, release_of
from ensora_plugin.runs.schedule import (
    claimable_runs,
    make_due_runs,
    open_queue,
    request_run,
    ring,
    ring_lost,
)
from tests.practices import Practice, open_demo
from tests.servers import redis_server


@pytest.fixture
def both(database_url: str, world: World) -> Iterator[Practice]:
    """On both databases."""
    with open_demo(database_url, world) as practice:
        yield practice


@pytest.fixture
def practice(demo_practice: Practice) -> Practice:
    """On SQLite, for what no database changes."""
    return demo_practice


def taken(practice: Practice, run_id: int, lease: float = 60) -> Claim:
    claimed = claim(practice.session, run_id, lease)
    assert claimed is not None
    return claimed


def test_each_due_account_gets_one_run(both: Practice) -> None:
    now = utcnow()
    made = make_due_runs(both.session, now)
    assert len(made) == 2
    assert make_due_runs(both.session, now) == []
    runs = both.session.scalars(select(Run).where(Run.id.in_(made))).all()
    assert {(run.state, run.cause, run.by, run.steps) for run in runs} == {
        ("due", "schedule", None, "pull automap render")
    }


def test_who_is_not_due_or_not_connected_gets_none(practice: Practice) -> None:
    now = utcnow()
    session = practice.session
    later = update(Connection).where(Connection.account == "harbor-kids")
    session.execute(later.values(due_at=now + timedelta(seconds=1)))
    session.execute(
        update(Connection).where(Connection.account == "bright-steps").values(state="lost")
    )
    session.commit()
    assert make_due_runs(session, now) == []
    assert len(make_due_runs(session, now + timedelta(seconds=1))) == 1


def test_many_schedulers_at_once_make_one_run_an_account(both: Practice) -> None:
    made: list[int] = []
    start, engine = threading.Barrier(4), both.state.engine

    def schedule() -> None:
        with Session(engine) as session:
            start.wait()
            for _ in range(3):
                made.extend(make_due_runs(session, utcnow()))

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    both.session.rollback()
    assert sorted(made) == sorted(both.session.scalars(select(Run.id)).all())
    assert len(made) == 2


def test_a_double_click_makes_one_run(practice: Practice) -> None:
    account_id = practice.account_id("bright-steps")
    run_id = request_run(practice.session, account_id, "ada")
    assert request_run(practice.session, account_id, "ada") == run_id
    taken(practice, run_id)
    assert request_run(practice.session, account_id, "bo") == run_id
    run = practice.session.get_one(Run, run_id)
    assert (run.cause, run.by) == ("person", "ada")


def test_an_account_without_connection_gets_no_run(practice: Practice) -> None:
    session, account_id = practice.session, practice.account_id("bright-steps")
    session.execute(update(Connection).where(Connection.id == account_id).values(state="activated"))
    session.commit()
    with pytest.raises(NeedsConnection, match="not connected"):
        request_run(session, account_id, "ada")
    assert session.scalars(select(Run)).all() == []


def test_a_run_is_claimable_while_due_and_after_its_lease(practice: Practice) -> None:
    session = practice.session
    run_id = request_run(session, practice.account_id("bright-steps"), "ada")
    assert claimable_runs(session) == [(run_id, 0)]
    taken(practice, run_id)
    assert claimable_runs(session) == []
    assert claimable_runs(session, utcnow() + timedelta(seconds=61)) == [(run_id, 1)]


def test_a_run_given_back_is_anybodys_at_once(both: Practice) -> None:
    session = both.session
    run_id = request_run(session, both.account_id("bright-steps"), "ada")
    first = taken(both, run_id)
    release(session, first)
    run = session.get_one(Run, run_id, populate_existing=True)
    assert (run.state, run.owner, run.attempt) == ("due", None, 0)
    assert taken(both, run_id).fence == 2
    # The first one has nothing to give back any more.
    release(session, first)
    assert session.get_one(Run, run_id, populate_existing=True).state == "running"


def test_the_runs_of_a_dead_process_are_freed_and_no_others(practice: Practice) -> None:
    session = practice.session
    runs = make_due_runs(session, utcnow())
    for run_id in runs:
        taken(practice, run_id, 600)
    session.execute(update(Run).where(Run.id == runs[0]).values(owner="dead:1"))
    session.commit()
    assert release_of(session, "dead:1") == 1
    assert claimable_runs(session, utcnow() + timedelta(seconds=1)) == [(runs[0], 1)]


def lease(practice: Practice, run_id: int) -> datetime:
    run = practice.session.get_one(Run, run_id, populate_existing=True)
    until = run.lease_until
    practice.session.rollback()
    assert until is not None
    return until


def test_a_heartbeat_extends_the_lease_under_its_own_fence_alone(both: Practice) -> None:
    run_id = request_run(both.session, both.account_id("bright-steps"), "ada")
    first, engine = taken(both, run_id), both.state.engine
    before = lease(both, run_id)
    with beating(engine, extend, first, 0.6):
        time.sleep(0.5)
    # It beat twice at the least; a beat sets the lease to what is left of its own.
    beaten = lease(both, run_id)
    assert beaten < before
    time.sleep(max((beaten - utcnow()).total_seconds(), 0) + 0.05)
    taken(both, run_id, 600)
    held = lease(both, run_id)
    with beating(engine, extend, first, 0.3):
        time.sleep(0.4)
    assert lease(both, run_id) == held


def test_a_failing_redis_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ensora"):
        assert ring(open_queue("redis://:secret@127.0.0.1:1/0"), 7, 0) is False
    assert [record.getMessage() for record in caplog.records] == [
        "event=ring_failed run=7 code=ConnectionError"
    ]
    assert ring(None, 7, 0) is False


def test_lost_bells_ring_again(practice: Practice) -> None:
    session = practice.session
    with redis_server() as url:
        queue = open_queue(url)
        assert queue is not None
        runs = make_due_runs(session, utcnow())
        for run_id in runs:
            assert ring(queue, run_id, 0)
        assert sorted(queue.job_ids) == [f"run-{run_id}-0" for run_id in sorted(runs)]
        job = queue.jobs[0]
        assert (job.description, job.result_ttl, job.retries_left) == (f"run {runs[0]}", 0, 2)
        assert (job.failure_ttl, job.ttl, job.timeout) == (3600, 1800, 900)
        # Nothing was lost, so nothing rings twice.
        assert ring_lost(session, queue) == 0
        queue.connection.flushall()
        assert ring_lost(session, queue) == 2
        assert queue.count == 2
        taken(practice, runs[0], -1)
        # Its worker died: the lease is over, and its bell is used up.
        assert ring_lost(session, queue) == 1
        assert f"run-{runs[0]}-1" in queue.job_ids


def test_lines_hold_known_keys_and_codes_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ensora"):
        log.info("run_done", run=7, name="Mia Long", code="Mia Long\nwas here", seconds=1.23456)
    assert [record.getMessage() for record in caplog.records] == [
        "event=run_done run=7 code=? seconds=1.235"
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ENSORA_TICK_SECONDS", "0"),
        ("ENSORA_POLL_SECONDS", "-1"),
        ("ENSORA_STOP_SECONDS", "soon"),
        ("ENSORA_REDIS_URL", "http://:secret@127.0.0.1"),
    ],
)
def test_wrong_settings_are_said_in_words(key: str, value: str) -> None:
    with pytest.raises(WrongSettings, match=key) as error:
        read_settings({key: value})
    assert "secret" not in str(error.value)
