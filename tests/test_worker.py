"""Real worker processes: nothing is lost and nothing is done twice, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.serializers import DefaultSerializer, JSONSerializer
from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.data import World, build_world
from demo.host.adapter import DemoHost
from ensora_plugin.access import Scope
from ensora_plugin.clock import utcnow
from ensora_plugin.host.port import ALL, Actor
from ensora_plugin.models import Connection, Export
from ensora_plugin.reports.choice import Choice
from ensora_plugin.reports.exports import request_export
from ensora_plugin.reports.sides import Source
from ensora_plugin.reports.spec import REPORTS
from ensora_plugin.runs.schedule import QUEUE, WORK_RUN, open_queue, ring_export
from tests.deployment import Deployment, alive, deployed, family, own_redis
from tests.practices import ADMINS
from tests.servers import redis_server

pytestmark = pytest.mark.timeout(120)
ACCOUNT = "harbor-kids"
NEVER = {"ENSORA_TICK_SECONDS": "600", "ENSORA_POLL_SECONDS": "600"}


@pytest.fixture(scope="module")
def today() -> World:
    """A world of the present day, since worker processes have the real clock."""
    return build_world(notes=100)


@pytest.fixture(scope="module")
def shared_redis() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def redis_url(shared_redis: str) -> str:
    with redis.Redis.from_url(shared_redis) as client:
        client.flushall()
    return shared_redis


@pytest.fixture
def site(tmp_path: Path, database_url: str, redis_url: str, today: World) -> Iterator[Deployment]:
    """On both databases."""
    with deployed(tmp_path, database_url, redis_url, today) as deployment:
        yield deployment


@pytest.fixture
def lite(tmp_path: Path, sqlite_url: str, redis_url: str, today: World) -> Iterator[Deployment]:
    """On SQLite, for what no database changes."""
    with deployed(tmp_path, sqlite_url, redis_url, today) as deployment:
        yield deployment


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(30)


def in_mid_pull(site: Deployment) -> int:
    """Wait until a page of notes was committed while more are to come; return the count."""
    before_notes = sum(len(side) for side in _people(site))
    return site.until(lambda: (count := site.fetched()) > before_notes and count)


def _people(site: Deployment) -> list[list[dict[str, object]]]:
    side = next(o for o in site.world.organizations if o["id"] == f"org-{ACCOUNT}")
    return [side["sites"], side["students"], side["users_feed"]]


def test_due_accounts_are_pulled_by_themselves_and_sigterm_leaves_no_process(
    site: Deployment,
) -> None:
    for account in ADMINS:
        site.connect(account)
    worker = site.worker("-n", "2")
    site.until(site.ended(2))
    processes = family(worker.pid)
    assert len(processes) >= 3
    assert stop(worker) == 0
    assert [pid for pid in processes if alive(pid)] == []
    for account in ADMINS:
        site.check(account)
    assert [(run.state, run.cause, run.attempt) for run in site.runs()] == [
        ("done", "schedule", 1),
        ("done", "schedule", 1),
    ]
    # Done, they are due again after their interval, which is half an hour.
    due = site.read(lambda session: session.scalars(select(Connection.due_at)).all())
    assert all(at > run.ended_at for at in due for run in site.runs())


def test_ringing_alone_wakes_a_worker(lite: Deployment) -> None:
    worker = lite.worker("-n", "1", **NEVER)
    lite.until(lambda: "event=worker_started" in lite.log() and _listens(lite))
    account_id = lite.connect(ACCOUNT)
    run_id, rang = lite.ask(account_id)
    assert rang
    # A second click gets the same run, and its bell does nothing.
    assert lite.ask(account_id) == (run_id, True)
    lite.until(lite.ended())
    assert stop(worker) == 0
    lite.check(ACCOUNT)
    assert [(run.id, run.cause, run.by) for run in lite.runs()] == [(run_id, "person", "ada")]


def _listens(site: Deployment) -> bool:
    with redis.Redis.from_url(site.redis_url) as client:
        return bool(client.smembers("rq:workers"))


def test_everything_killed_in_mid_pull_goes_on_from_its_cursor(site: Deployment) -> None:
    site.connect(ACCOUNT)
    site.slow(0.5)
    worker = site.worker("-n", "1")
    in_mid_pull(site)
    processes = family(worker.pid)
    for pid in sorted(processes):
        os.kill(pid, signal.SIGKILL)
    worker.wait(10)
    (run,) = site.runs()
    assert run.state == "running"
    site.play([])
    again = site.worker("-n", "2")
    site.until(site.ended())
    assert stop(again) == 0
    (run,) = site.runs()
    assert (run.state, run.attempt) == ("done", 2)
    site.check(ACCOUNT)


def test_children_die_with_a_killed_parent(lite: Deployment) -> None:
    lite.connect(ACCOUNT)
    lite.slow(0.5)
    worker = lite.worker("-n", "2")
    in_mid_pull(lite)
    # The parent, two workers, and the child with the run.
    processes = family(worker.pid)
    assert len(processes) >= 4
    worker.kill()
    worker.wait(10)
    lite.until(lambda: not [pid for pid in processes if alive(pid)])


def test_a_killed_child_frees_its_run_at_once(lite: Deployment) -> None:
    lite.connect(ACCOUNT)
    lite.slow(0.5)
    # A lease of which no test sees the end.
    worker = lite.worker("-n", "1", ENSORA_LEASE_SECONDS="600")
    in_mid_pull(lite)
    (run,) = lite.runs()
    os.kill(int(run.owner.partition(":")[2]), signal.SIGKILL)
    lite.play([])
    lite.until(lite.ended())
    assert stop(worker) == 0
    lite.check(ACCOUNT)
    assert lite.runs()[0].attempt == 2


def test_sigterm_in_mid_pull_gives_the_run_back(lite: Deployment) -> None:
    lite.connect(ACCOUNT)
    lite.slow(0.5)
    worker = lite.worker("-n", "1", ENSORA_LEASE_SECONDS="600")
    in_mid_pull(lite)
    processes = family(worker.pid)
    assert stop(worker) == 0
    assert [pid for pid in processes if alive(pid)] == []
    (run,) = lite.runs()
    assert (run.state, run.owner, run.lease_until, run.attempt) == ("due", None, None, 0)
    lite.play([])
    again = lite.worker("-n", "1", ENSORA_LEASE_SECONDS="600")
    lite.until(lite.ended())
    assert stop(again) == 0
    lite.check(ACCOUNT)


def test_a_vendor_that_hangs_does_not_hold_up_the_end(lite: Deployment) -> None:
    lite.connect(ACCOUNT)
    lite.slow(300)
    worker = lite.worker("-n", "1", ENSORA_LEASE_SECONDS="600", ENSORA_STOP_SECONDS="3")
    lite.until(lambda: lite.fetched() >= sum(len(side) for side in _people(lite)))
    assert stop(worker) == 0
    (run,) = lite.runs()
    assert (run.state, run.owner) == ("due", None)


def test_a_slow_vendor_costs_no_run_its_lease(lite: Deployment) -> None:
    lite.connect(ACCOUNT)
    rule = {"match": {"path": "/v1/sites"}, "fault": "hang", "times": 1, "args": {"seconds": 4}}
    lite.play([rule])
    # A second worker looks each second for a lease that ended.
    worker = lite.worker("-n", "2", ENSORA_LEASE_SECONDS="1")
    lite.until(lite.ended())
    assert stop(worker) == 0
    assert [(run.state, run.attempt) for run in lite.runs()] == [("done", 1)]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_two_deployments_of_workers_make_one_run(site: Deployment) -> None:
    site.connect(ACCOUNT)
    workers = [site.worker("-n", "1"), site.worker("-n", "1")]
    site.until(site.ended())
    # Some more ticks of both.
    site.until(lambda: site.log().count("event=worker_started") == 2)
    assert [stop(worker) for worker in workers] == [0, 0]
    assert [(run.state, run.attempt) for run in site.runs()] == [("done", 1)]
    site.check(ACCOUNT)


def test_without_redis_the_database_is_enough(
    tmp_path: Path, sqlite_url: str, today: World
) -> None:
    with (
        own_redis(tmp_path) as (url, process),
        deployed(tmp_path, sqlite_url, url, today) as site,
    ):
        worker = site.worker("-n", "1", ENSORA_TICK_SECONDS="600")
        site.until(lambda: _listens(site))
        process.kill()
        process.wait(10)
        run_id, rang = site.ask(site.connect(ACCOUNT))
        assert not rang
        site.until(site.ended())
        assert [run.id for run in site.runs()] == [run_id]
        site.check(ACCOUNT)
        # Redis comes back empty: bells ring again.
        with own_redis(tmp_path, int(url.rpartition(":")[2].partition("/")[0])):
            site.until(lambda: _listens(site))
            assert site.ask(site.runs()[0].account_id)[1]
            site.until(site.ended(2))
            assert stop(worker) == 0


def test_a_flush_in_mid_pull_loses_nothing(lite: Deployment) -> None:
    lite.connect(ACCOUNT)
    lite.slow(0.3)
    worker = lite.worker("-n", "1")
    in_mid_pull(lite)
    with redis.Redis.from_url(lite.redis_url) as client:
        client.flushall()
    lite.play([])
    lite.until(lite.ended())
    # A run that nobody rang for, and one whose bell was lost.
    account_id = lite.connect("bright-steps")
    lite.ask(account_id)
    with redis.Redis.from_url(lite.redis_url) as client:
        client.flushall()
    lite.until(lite.ended(2))
    assert stop(worker) == 0
    for account in ADMINS:
        lite.check(account)


def test_forged_jobs_run_nothing_and_the_worker_lives(lite: Deployment, tmp_path: Path) -> None:
    lite.connect(ACCOUNT)
    with redis.Redis.from_url(lite.redis_url) as client:
        queue = Queue(QUEUE, connection=client, serializer=JSONSerializer)
        queue.enqueue("os.system", f"touch {tmp_path / 'system'}")
        job = queue.enqueue(WORK_RUN, "1; DROP TABLE ensora_run")
        made = queue.create_job("os.mkdir", args=[str(tmp_path / "callback")])
        made._success_callback_name = made._failure_callback_name = "os.mkdir"
        queue.enqueue_job(made)
        client.hset(job.key, "failure_callback_name", "os.mkdir")
        bound = queue.create_job("touch", args=[])
        bound.data = json.dumps(["touch", {"path": "x"}, [], {}]).encode()
        queue.enqueue_job(bound)
        pickled = Queue(QUEUE, connection=client, serializer=DefaultSerializer)
        pickled.enqueue(os.mkdir, str(tmp_path / "pickled"))
        worker = lite.worker("-n", "1")
        lite.until(lite.ended())
        lite.until(lambda: queue.count == 0 and lite.log().count("event=job_failed") >= 5)
    assert stop(worker) == 0
    made_by_jobs = {"system", "callback", "pickled"}
    assert made_by_jobs & {path.name for path in tmp_path.iterdir()} == set()
    assert "DROP" not in lite.log()
    assert "touch" not in lite.log()
    lite.check(ACCOUNT)


def test_redis_and_log_hold_no_health_data(lite: Deployment) -> None:
    account_id = lite.connect(ACCOUNT)
    run_id, _ = lite.ask(account_id)
    queue = open_queue(lite.redis_url)
    assert queue is not None
    assert queue.job_ids == [f"run-{run_id}-0"]
    seen = _dump(lite.redis_url)
    lite.play([{"match": {"path": "/v1/session-notes", "cursor": True}, "fault": "html"}])
    worker = lite.worker("-n", "1")
    lite.until(lite.ended())
    seen += _dump(lite.redis_url)
    assert [run.state for run in lite.runs()] == ["failed"]
    lite.play([])
    lite.ask(account_id)
    lite.until(lite.ended(2))
    assert stop(worker) == 0
    seen += _dump(lite.redis_url) + lite.log()
    # What a page of it is: keys, bells, one failure by its code.
    assert f"run-{run_id}-0" in seen
    assert "vendor_unreachable" in seen
    side = next(o for o in lite.world.organizations if o["id"] == f"org-{ACCOUNT}")
    people = side["students"] + side["users_feed"]
    told = {person[key] for person in people for key in ("lastName", "id")}
    told |= {person["email"] for person in side["users_feed"]} | {s["name"] for s in side["sites"]}
    told |= {note["id"] for note in side["notes"]} | {ACCOUNT, "demo", "admin-demo"}
    words = set("".join(c if c.isalnum() or c in "-@." else " " for c in seen).split())
    assert {name for name in told if name in words or (" " in name and name in seen)} == set()


def _dump(url: str) -> str:
    """Return every key and value of a Redis as text."""
    read = {
        b"string": lambda client, key: client.get(key),
        b"hash": lambda client, key: client.hgetall(key),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
        b"stream": lambda client, key: client.xrange(key),
    }
    with redis.Redis.from_url(url) as client:
        keys = [key for key in client.scan_iter() if (kind := client.type(key)) in read]
        return "\n".join(f"{key!r} {read[client.type(key)](client, key)!r}" for key in keys if kind)


def test_once_makes_what_is_due_and_burst_works_until_nothing_waits(lite: Deployment) -> None:
    for account in ADMINS:
        lite.connect(account)
    for _ in range(2):
        assert lite.worker("--once").wait(20) == 0
    assert [run.state for run in lite.runs()] == ["due", "due"]
    queue = open_queue(lite.redis_url)
    assert queue is not None
    assert queue.count == 2
    assert lite.worker("-n", "1", "--burst").wait(40) == 0
    assert [run.state for run in lite.runs()] == ["done", "done"]


def test_an_empty_database_is_said_in_words(
    tmp_path: Path, sqlite_url: str, redis_url: str, today: World
) -> None:
    with deployed(tmp_path, sqlite_url, redis_url, today) as site:
        other = f"sqlite:///{tmp_path / 'empty.db'}"
        assert site.worker("-n", "1", SQLALCHEMY_DATABASE_URI=other).wait(20) == 1
        assert "Run `flask ensora upgrade`." in site.log()


@pytest.mark.parametrize("rung", [True, False], ids=["rung", "found"])
def test_a_large_export_is_made_when_it_is_rung_for_and_when_it_is_found(
    lite: Deployment, rung: bool
) -> None:
    pauses = NEVER if rung else {"ENSORA_POLL_SECONDS": "1"}
    worker = lite.worker("-n", "1", **pauses)
    lite.until(lambda: "worker_started" in lite.log())
    export_id = lite.read(_ask_for_an_export)
    if rung:
        lite.until(lambda: ring_export(open_queue(lite.redis_url), export_id))
    state = select(Export.state).where(Export.id == export_id)
    lite.until(lambda: lite.read(lambda session: session.scalar(state)) == "done")
    assert stop(worker) == 0


def _ask_for_an_export(session: Session) -> int:
    report = REPORTS["clients"]
    account_id, account = session.execute(select(Connection.id, Connection.account)).first()
    scope = Scope.of(account_id, account, Actor("1", "ada", ALL, frozenset({"report"})))
    source = Source(session, scope, DemoHost(), report.kind, "vendor")
    ends_at = utcnow() + timedelta(hours=1)
    return request_export(source, Choice.read(report, {}, ends_at.date()), "csv", 0, ends_at)
