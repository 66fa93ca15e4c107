"""What a job leaves behind: a run that goes on, and a code at the most."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import timedelta

import pytest
from rq.timeouts import JobTimeoutException

from demo.data import World
from ensora_plugin.clock import utcnow
from ensora_plugin.models import Connection, Run
from ensora_plugin.runs.jobs import JobFailed, OutOfTime, work_run
from ensora_plugin.runs.processes import stopping
from ensora_plugin.runs.rq_worker import Alarm
from ensora_plugin.runs.runs import claim
from ensora_plugin.runs.schedule import request_run
from tests.practices import Practice, open_demo


@pytest.fixture
def run_id(demo_practice: Practice) -> int:
    return request_run(demo_practice.session, demo_practice.account_id("harbor-kids"), "ada")


@pytest.fixture
def asked_to_stop() -> Iterator[None]:
    stopping.requested = True
    yield
    stopping.requested = False


def play(practice: Practice, **rule: object) -> None:
    practice.emulator.extensions["emulator"].scenario.play([rule])


def row(practice: Practice, run_id: int) -> Run:
    return practice.session.get_one(Run, run_id, populate_existing=True)


def test_a_job_does_its_run_and_returns_nothing(demo_practice: Practice, run_id: int) -> None:
    assert work_run(run_id) is None
    assert row(demo_practice, run_id).state == "done"
    # Rung again it finds nothing to do, and says so to nobody.
    assert work_run(run_id) is None
    assert row(demo_practice, run_id).attempt == 1


def test_a_run_of_another_worker_is_left_alone(demo_practice: Practice, run_id: int) -> None:
    assert claim(demo_practice.session, run_id, 60) is not None
    work_run(run_id)
    run = row(demo_practice, run_id)
    assert (run.state, run.fence, run.step) == ("running", 1, None)


def test_what_fails_leaves_as_a_code_without_its_cause(
    demo_practice: Practice, run_id: int
) -> None:
    play(demo_practice, match={"path": "/v1/students"}, fault="html")
    with pytest.raises(JobFailed) as failed:
        work_run(run_id)
    assert str(failed.value) == failed.value.code == "vendor_unreachable"
    told = "".join(traceback.format_exception(failed.value))
    assert "Ensora Data Collection" not in told
    assert "During handling" not in told
    assert row(demo_practice, run_id).error_code == "vendor_unreachable"


@pytest.mark.parametrize("given", ["1", 1.0, True, None, [1], {"id": 1}])
def test_arguments_of_another_type_are_refused(demo_practice: Practice, given: object) -> None:
    with pytest.raises(JobFailed, match=r"^wrong_arguments$"):
        work_run(given)  # type: ignore[arg-type]


@pytest.mark.usefixtures("asked_to_stop")
def test_asked_to_stop_a_job_ends_its_page_and_gives_the_run_back(
    demo_practice: Practice, run_id: int
) -> None:
    work_run(run_id)
    run = row(demo_practice, run_id)
    assert (run.state, run.owner, run.attempt, run.step) == ("due", None, 0, "pull")
    side = next(o for o in demo_practice.world.organizations if o["id"] == "org-harbor-kids")
    fetched = {kind: counts.fetched for kind, counts in demo_practice.counts(run).items()}
    assert fetched == {"site": len(side["sites"])}


# The test's own bound is an alarm as well, and a process has but one.
@pytest.mark.timeout(60, method="thread")
def test_out_of_time_a_job_frees_its_run_and_the_attempt_counts(
    demo_practice: Practice, run_id: int
) -> None:
    play(demo_practice, match={"path": "/v1/students"}, fault="hang")
    with pytest.raises(OutOfTime), Alarm(1, JobTimeoutException):
        work_run(run_id)
    run = row(demo_practice, run_id)
    assert (run.state, run.owner, run.attempt) == ("due", None, 1)
    play(demo_practice, match={"path": "/nowhere"}, fault="html")
    work_run(run_id)
    run = row(demo_practice, run_id)
    assert (run.state, run.attempt) == ("done", 2)


def test_who_kills_its_workers_is_due_after_the_deployments_own_interval(
    sqlite_url: str, world: World
) -> None:
    with open_demo(sqlite_url, world, ENSORA_INTERVAL_MINUTES="7") as practice:
        account_id = practice.account_id("harbor-kids")
        run_id = request_run(practice.session, account_id, "ada")
        for _ in range(5):
            assert claim(practice.session, run_id, -1) is not None
        work_run(run_id)
        assert row(practice, run_id).error_code == "too_many_attempts"
        due = practice.session.get_one(Connection, account_id, populate_existing=True).due_at
        assert due is not None
        assert timedelta(minutes=6) < due - utcnow() <= timedelta(minutes=7)
