"""Processes that die at every named point, stand still, starve or crash for ever; and PostgreSQL
that ends beneath them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import update
from sqlalchemy.orm import Session

from demo.data import World, build_world
from ensora_plugin.clock import utcnow
from ensora_plugin.models import Connection, Run
from ensora_plugin.runs.schedule import QUEUE, WORK_RUN
from tests.chaos.engine import Chaos, chaos
from tests.chaos.faults import starve
from tests.chaos.points import POINTS, RARE, resume
from tests.deployment import family
from tests.servers import postgres

pytestmark = pytest.mark.timeout(300)
ON_POSTGRES = pytest.mark.parametrize("storm", ["postgres"], indirect=True)
CALM = [point for point in POINTS if point not in RARE and not point.endswith("enqueue")]


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(notes=100)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def storm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, world: World
) -> Iterator[Chaos]:
    """One deployment for all tests of a database, its first pull done, and its twin."""
    folder: Path = tmp_path_factory.mktemp("storm")
    with ExitStack() as stack:
        # A server of its own, which comes back whenever it ends.
        server = stack.enter_context(postgres(again=True)) if request.param == "postgres" else None
        options = {"seed": 1, "say": print, "kills_only": True}
        yield stack.enter_context(chaos(folder, world, server, **options))


def settled(storm: Chaos) -> None:
    """Assert that all came to rest, with what the twin has."""
    storm._settle("")
    assert storm.tally.violations == []


def changed(storm: Chaos) -> None:
    """Let there be something to map and to render."""
    rng = random.Random(storm.tally.rounds)
    storm.tally.rounds += 1
    for organization in storm.therapists.world.organizations:
        for verb in (storm.therapists._write, storm.therapists._edit) * 2:
            verb(rng, organization)


def died(storm: Chaos, point: str, account: str) -> None:
    storm.scene.armoury.arm(point)
    storm.scene.ask(account)
    gone = storm.scene.wait_for(lambda: not storm.scene.armoury.armed(), 30)
    assert gone, f"nobody came to {point}"


@pytest.mark.parametrize("points", [tuple(CALM[:3]), tuple(CALM[3:]), RARE])
def test_killed_at_each_point_of_a_run_another_worker_goes_on(
    storm: Chaos, points: tuple[str, ...]
) -> None:
    changed(storm)
    account = storm.scene.work(random.Random(len(points)))
    for point in points:
        died(storm, point, account)
    settled(storm)


@pytest.mark.parametrize("point", ["before_enqueue", "after_enqueue"])
def test_a_schedule_killed_beside_its_bell_loses_no_run(storm: Chaos, point: str) -> None:
    site = storm.scene.site
    storm.scene.armoury.arm(point)
    with Session(site.state.engine) as session:
        session.execute(update(Connection).values(due_at=utcnow()))
        session.commit()
    assert storm.scene.wait_for(lambda: not storm.scene.armoury.armed(), 30)
    assert storm.scene.wait_for(lambda: not storm.scene.live(), 60)
    settled(storm)


def test_a_process_that_stood_still_beyond_its_lease_writes_nothing_more(storm: Chaos) -> None:
    changed(storm)
    site = storm.scene.site
    pids = stopped(storm, "after_answer")
    # Another worker takes the run over while the first one stands still.
    (held,) = [run for run in site.runs() if run.state == "running"][:1]
    site.until(lambda: not storm.scene.live())
    assert site.read(lambda session: session.get_one(Run, held.id)).fence > held.fence
    before = site.log().count("event=run_taken_over")
    go_on(pids)
    site.until(lambda: site.log().count("event=run_taken_over") > before)
    settled(storm)


def test_a_run_without_memory_ends_in_a_code_and_the_next_one_is_whole(storm: Chaos) -> None:
    before = len(storm.scene.site.runs())
    assert starve(storm.scene, random.Random(3))
    assert storm.scene.wait_for(lambda: not storm.scene.live(), 60)
    settled(storm)
    ended = storm.scene.site.runs()[before:]
    assert {run.state for run in ended} <= {"done", "failed"}
    assert all(run.error_code for run in ended if run.state == "failed")


def test_of_twenty_bells_for_one_run_one_is_answered(storm: Chaos) -> None:
    site = storm.scene.site
    account = storm.scene.work(random.Random(9))
    (run_id,) = [run.id for run in site.runs()][-1:]
    with storm.scene.redis.client() as client:
        queue = Queue(QUEUE, connection=client, serializer=JSONSerializer)
        for number in range(20):
            queue.enqueue(WORK_RUN, run_id, job_id=f"twin-{run_id}-{number}")
        assert storm.scene.wait_for(lambda: queue.count == 0 and not storm.scene.live(), 60)
    run = site.read(lambda session: session.get_one(Run, run_id))
    assert (run.state, run.attempt) == ("done", 1)
    assert site.log().count(f"event=run_claimed run={run_id} ") == 1
    assert account in storm.scene.accounts
    settled(storm)


def test_a_run_that_crashes_whoever_works_on_it_is_given_up_and_the_others_go_on(
    storm: Chaos,
) -> None:
    scene = storm.scene
    poisoned, other = "harbor-kids", "bright-steps"
    ids = scene.accounts
    scene.site.play([])
    scene.ask(poisoned)
    run_id = scene.site.runs()[-1].id

    def given_up() -> bool:
        if not scene.armoury.armed():
            scene.armoury.arm(f"at_{poisoned}", action="segv")
        return scene.site.read(lambda session: session.get_one(Run, run_id)).ended_at is not None

    assert scene.wait_for(given_up, 90)
    scene.armoury.arm(f"at_{poisoned}", action="segv")
    scene.ask(other)
    assert scene.wait_for(
        lambda: [r.state for r in scene.site.runs() if r.account_id == ids[other]][-1] == "done", 60
    )
    run = scene.site.read(lambda session: session.get_one(Run, run_id))
    assert (run.state, run.error_code, run.attempt) == ("failed", "too_many_attempts", 6)
    connection = scene.site.read(lambda session: session.get_one(Connection, ids[poisoned]))
    assert connection.failures == 1
    settled(storm)


def stopped(storm: Chaos, point: str) -> list[int]:
    """Let a run stand still at a point; return the processes of the machines."""
    account = storm.scene.work(random.Random(1))
    storm.scene.armoury.arm(point, action="stop")
    storm.scene.ask(account)
    assert storm.scene.wait_for(lambda: not storm.scene.armoury.armed(), 30)
    return [pid for machine in storm.scene.machines for pid in family(machine.pid)]


def go_on(pids: list[int]) -> None:
    for pid in pids:
        resume(pid)


@ON_POSTGRES
def test_a_restart_in_mid_pull_costs_at_most_a_page(storm: Chaos) -> None:
    server = storm.scene.postgres
    assert server is not None
    pids = stopped(storm, "in_page")
    server.crash(stay_down=True)
    go_on(pids)
    # Workers look for it meanwhile, and say so by a code.
    assert storm.scene.wait_for(lambda: "code=OperationalError" in storm.scene.site.log(), 30)
    server.up()
    settled(storm)


@ON_POSTGRES
def test_a_session_that_is_ended_in_its_transaction_leaves_nothing_half(storm: Chaos) -> None:
    server = storm.scene.postgres
    assert server is not None
    pids = stopped(storm, "in_page")
    with server.connect() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname LIKE 'test_%' AND state = 'idle in transaction'"
        ).fetchall()
    assert ended
    go_on(pids)
    settled(storm)
