"""Accounts that fail or drag wait behind the others, and never hold all workers of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from demo.data import World, build_world
from ensora_plugin.clock import utcnow
from ensora_plugin.models import Connection, Run
from ensora_plugin.runs.jobs import JobFailed, work_run
from ensora_plugin.runs.runs import Ending, claim, create_run, end_run, release
from ensora_plugin.runs.schedule import claimable_runs, make_due_runs, request_run
from tests.deployment import deployed
from tests.practices import ADMINS, Practice, open_demo
from tests.running import later
from tests.servers import redis_server

FAILING, WELL = "bright-steps", "harbor-kids"
DONE = Ending("done", None, None, 30)


@pytest.fixture
def both(database_url: str, world: World) -> Iterator[Practice]:
    """On both databases."""
    with open_demo(database_url, world) as practice:
        yield practice


def account_of(practice: Practice, run_id: int) -> str:
    row = practice.session.get_one(Run, run_id)
    account = practice.session.get_one(Connection, row.account_id).account
    practice.session.rollback()
    return account


def waiting(practice: Practice, *, quick_only: bool = False) -> list[str]:
    found = claimable_runs(practice.session, quick_only=quick_only)
    return [account_of(practice, run_id) for run_id, _ in found]


def run_and_end(practice: Practice, account: str, ending: Ending, *, claims: int = 1) -> None:
    """Let a run of the schedule end so after so many claims; the account is due again."""
    session, account_id = practice.session, practice.account_id(account)
    run_id = create_run(session, account_id, cause="schedule", by=None)
    for left in range(claims, 0, -1):
        claimed = claim(session, run_id, 60)
        assert claimed is not None
        if left > 1:
            release(session, claimed)
    end_run(session, claimed, ending)
    session.execute(update(Connection).where(Connection.id == account_id).values(due_at=utcnow()))
    session.commit()


@pytest.mark.parametrize(
    ("ending", "claims"), [(Ending("failed", "x", "x", 30), 1), (DONE, 2)], ids=["failed", "slow"]
)
def test_who_failed_or_dragged_goes_behind_until_a_run_ends_at_once(
    both: Practice, ending: Ending, claims: int
) -> None:
    run_and_end(both, FAILING, ending, claims=claims)
    made = make_due_runs(both.session, utcnow())
    assert [account_of(both, run_id) for run_id in made] == [WELL, FAILING]
    assert waiting(both) == [WELL, FAILING]
    assert waiting(both, quick_only=True) == [WELL]
    assert claim(both.session, made[1], 60, quick_only=True) is None
    claimed = claim(both.session, made[1], 60)
    assert claimed is not None
    end_run(both.session, claimed, DONE)
    with later(hours=1):
        assert waiting(both, quick_only=True) == [WELL]
        make_due_runs(both.session, utcnow())
        assert sorted(waiting(both, quick_only=True)) == sorted([WELL, FAILING])


def test_a_person_does_not_wait_behind_others_for_what_failed(both: Practice) -> None:
    run_and_end(both, FAILING, Ending("failed", "x", "x", 30))
    request_run(both.session, both.account_id(FAILING), "ada")
    assert waiting(both, quick_only=True) == [FAILING]


def test_a_run_that_was_given_back_goes_to_the_end_of_the_line(both: Practice) -> None:
    first = request_run(both.session, both.account_id(FAILING), "ada")
    claimed = claim(both.session, first, 60)
    assert claimed is not None
    request_run(both.session, both.account_id(WELL), "ada")
    release(both.session, claimed)
    assert waiting(both) == [WELL, FAILING]
    assert waiting(both, quick_only=True) == [WELL]


def test_whose_worker_died_is_taken_over_by_any_worker(both: Practice) -> None:
    run_id = request_run(both.session, both.account_id(WELL), "ada")
    assert claim(both.session, run_id, -1) is not None
    assert claim(both.session, run_id, 60, quick_only=True) is not None


@pytest.fixture
def short(sqlite_url: str, world: World) -> Iterator[Practice]:
    """A first slice that is over at once, and a third one that is long enough for a small run."""
    settings = {"ENSORA_SLICE_SECONDS": "0.0001", "ENSORA_RETRY_PAUSE_SECONDS": "0"}
    with open_demo(sqlite_url, world, **settings) as practice:
        yield practice


def test_over_its_slice_a_run_goes_on_later_from_where_it_stands(short: Practice) -> None:
    run_id = request_run(short.session, short.account_id(WELL), "ada")
    work_run(run_id)
    run = short.session.get_one(Run, run_id, populate_existing=True)
    assert (run.state, run.fence, run.attempt, run.step) == ("due", 1, 0, "pull")
    assert short.counts(run)["site"].fetched > 0
    assert waiting(short, quick_only=True) == []


def test_a_vendor_who_does_not_answer_is_not_tried_again_beyond_the_slice(short: Practice) -> None:
    vendor = short.emulator.extensions["emulator"]
    vendor.scenario.play([{"fault": "status", "args": {"code": 500}}])
    run_id = request_run(short.session, short.account_id(WELL), "ada")
    before = len(vendor.journal.entries())
    work_run(run_id)
    assert short.session.get_one(Run, run_id, populate_existing=True).state == "due"
    assert len(vendor.journal.entries()) == before + 1


def failure_of(run_id: int) -> str:
    """Work on a run and return the code with which it failed, empty where it did not."""
    try:
        work_run(run_id)
    except JobFailed as failed:
        return failed.code
    return ""


def test_slices_grow_so_that_a_run_comes_to_its_end(sqlite_url: str, world: World) -> None:
    """Of a failing vendor's five tries each slice has some, and the last one has all."""
    settings = {"ENSORA_SLICE_SECONDS": "0.05", "ENSORA_RETRY_PAUSE_SECONDS": "0.1"}
    with open_demo(sqlite_url, world, ENSORA_TRIES="3", **settings) as practice:
        vendor = practice.emulator.extensions["emulator"]
        vendor.scenario.play([{"fault": "status", "args": {"code": 500}}])
        run_id = request_run(practice.session, practice.account_id(WELL), "ada")
        given_back = 0
        while not (failed := failure_of(run_id)) and given_back < 5:
            given_back += 1
        assert failed == "vendor_unreachable"
        assert 1 <= given_back <= 2


@pytest.mark.timeout(120)
def test_of_two_workers_one_takes_nothing_that_drags(tmp_path: Path, sqlite_url: str) -> None:
    with (
        redis_server() as redis_url,
        deployed(tmp_path, sqlite_url, redis_url, build_world(notes=60)) as site,
    ):
        for account in ADMINS:
            site.connect(account)
        session = site.state.session
        session.execute(update(Connection).values(failures=1, due_at=utcnow() - timedelta(1)))
        session.commit()
        site.slow(0.2)
        site.worker("-n", "2")
        most = 0

        def done() -> bool:
            nonlocal most
            runs = site.runs()
            most = max(most, sum(run.state == "running" for run in runs))
            return site.ended(2)()

        site.until(done)
        assert most == 1
        # Both were pulled to their ends, so that both workers may take them again.
        assert [run.state for run in site.runs()] == ["done", "done"]
        session.execute(update(Connection).values(due_at=utcnow() - timedelta(1)))
        session.commit()
        site.slow(0.2, "/v1/tokens/current")
        site.slow(0.5, "/v1/sites")
        site.until(lambda: sum(run.state == "running" for run in site.runs()) == 2)


@pytest.mark.timeout(120)
def test_what_was_given_back_in_a_burst_is_done_in_it(tmp_path: Path, sqlite_url: str) -> None:
    with (
        redis_server() as redis_url,
        deployed(tmp_path, sqlite_url, redis_url, build_world(notes=60)) as site,
    ):
        for account in ADMINS:
            site.connect(account)
        site.slow(0.3, "/v1/students")
        worker = site.worker("-n", "2", "--burst", ENSORA_SLICE_SECONDS="0.25")
        assert worker.wait(90) == 0
        runs = site.runs()
        assert [run.state for run in runs] == ["done", "done"]
        assert min(run.fence for run in runs) > 1
        for account in ADMINS:
            site.check(account)
