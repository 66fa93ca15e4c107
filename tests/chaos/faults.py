"""Every fault by its name: what it does to a scene. Each returns whether it really happened."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ensora_plugin.runs.schedule import QUEUE, WORK_RUN
from tests.chaos import people
from tests.chaos.points import POINTS, RARE
from tests.chaos.scene import LEASE_SECONDS, Scene
from tests.deployment import alive, family

Fault = Callable[[Scene, random.Random], bool]

_VENDOR = (
    ("status", {"code": 500}),
    ("status", {"code": 502}),
    ("status", {"code": 503, "retry_after": 1}),
    ("status", {"code": 429, "retry_after": 7200}),
    ("html", {}),
    ("empty", {}),
    ("truncated_json", {}),
    ("short_body", {}),
    ("reset", {}),
    ("duplicate_page", {}),
    ("hang", {"seconds": 4}),
    ("drip", {"pause": 0.2, "chunk": 50}),
)


def kill_at_point(scene: Scene, rng: random.Random) -> bool:
    """Kill -9 at a named point of a run, after a few hits of it."""
    return _at_point(scene, rng, "kill", POINTS)


def crash_at_point(scene: Scene, rng: random.Random) -> bool:
    """A segmentation fault at a named point."""
    return _at_point(scene, rng, "segv", POINTS)


def starve(scene: Scene, rng: random.Random) -> bool:
    """Hardly any memory from the first page on, and a page of 40 MB."""
    bomb = {"fault": "gzip_bomb", "args": {"mebibytes": 60}, "match": {"cursor": True}, "times": 1}
    scene.site.play([bomb])
    return _at_point(scene, rng, "starve", ("after_commit",), most=2, work=False)


def fill_disk(scene: Scene, rng: random.Random) -> bool:
    """A disk without room under a worker's files, in the middle of its run."""
    return _at_point(scene, rng, "fill", ("after_answer",), most=2)


def _at_point(
    scene: Scene,
    rng: random.Random,
    action: str,
    points: tuple[str, ...],
    *,
    most: int = 6,
    work: bool = True,
) -> bool:
    point, after = rng.choice(points), rng.randrange(most)
    if point in RARE:
        after = 0
    account = scene.work(rng) if work else rng.choice(list(scene.accounts))
    for left in (after, 0):
        scene.armoury.arm(point, after=left, action=action)
        scene.ask(account)
        # Where nothing is left to map or to render some points are never met.
        scene.wait_for(lambda: not scene.armoury.armed() or not scene.live(), 4)
        if not scene.armoury.armed():
            return True
        scene.armoury.disarm()
    return False


def kill_any_time(scene: Scene, rng: random.Random) -> bool:
    """Kill -9 of the process that works on a run, whenever."""
    scene.work(rng)
    owners = scene.wait_for(scene.owners, 5)
    if not owners:
        return False
    time.sleep(rng.uniform(0, 0.4))
    pid = rng.choice(owners)
    there = alive(pid)
    scene.kill(pid)
    return there


def kill_worker(scene: Scene, rng: random.Random) -> bool:
    """Kill -9 of a worker between its parent and its child, which has to die with it."""
    scene.work(rng)
    machine = rng.choice(scene.machines)
    workers = [pid for pid in family(machine.pid) if pid != machine.pid]
    if not workers:
        return False
    time.sleep(rng.uniform(0, 0.4))
    scene.kill(rng.choice(workers))
    return True


def kill_parent(scene: Scene, rng: random.Random) -> bool:
    """Kill -9 of `worker.py` alone; whatever it started has to die with it."""
    scene.work(rng)
    machine = rng.choice(scene.machines)
    left = family(machine.pid)
    time.sleep(rng.uniform(0, 0.4))
    machine.kill()
    machine.wait()
    gone = scene.wait_for(lambda: not [pid for pid in left if alive(pid)], 5)
    assert gone, "children outlived their parent"
    scene.keep_machines()
    return True


def kill_machine(scene: Scene, rng: random.Random) -> bool:
    """Kill -9 of everything on a machine, as where its power fails."""
    scene.work(rng)
    machine = rng.choice(scene.machines)
    time.sleep(rng.uniform(0, 0.6))
    for pid in sorted(family(machine.pid)):
        scene.kill(pid)
    scene.replace(machine)
    return True


def stop_beyond_lease(scene: Scene, rng: random.Random) -> bool:
    """SIGSTOP of a process with a run for three leases, then SIGCONT: a zombie that goes on."""
    if not _at_point(scene, rng, "stop", POINTS):
        return False
    time.sleep(3 * LEASE_SECONDS)
    for machine in scene.machines:
        for pid in family(machine.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    return True


def sigterm(scene: Scene, rng: random.Random) -> bool:
    """A deployment: SIGTERM in mid-pull, and another machine after it."""
    # A point of the fault before may have ended one.
    scene.keep_machines()
    scene.work(rng)
    machine = rng.choice(scene.machines)
    # One that has just been started does not listen yet.
    scene.wait_for(lambda: len(family(machine.pid)) > 1, 10)
    time.sleep(rng.uniform(0, 0.5))
    left = family(machine.pid)
    machine.send_signal(signal.SIGTERM)
    assert (code := machine.wait(20)) == 0, f"worker.py ended with {code}"
    assert [pid for pid in left if alive(pid)] == [], "SIGTERM left processes"
    scene.replace(machine)
    return True


def redis_restart(scene: Scene, rng: random.Random) -> bool:
    """Kill -9 of Redis, which comes back empty."""
    scene.work(rng)
    time.sleep(rng.uniform(0, 0.3))
    scene.redis.kill()
    time.sleep(rng.uniform(0, 0.5))
    scene.redis.up()
    return True


def redis_down(scene: Scene, rng: random.Random) -> bool:
    """Redis is away when a run is asked for; it stays away until all is calm."""
    scene.redis.kill()
    scene.work(rng)
    time.sleep(rng.uniform(0.5, 1.5))
    return True


def redis_flush(scene: Scene, rng: random.Random) -> bool:
    """FLUSHALL in mid-pull."""
    scene.work(rng)
    time.sleep(rng.uniform(0, 0.3))
    scene.redis.up()
    scene.redis.flush()
    return True


def redis_full(scene: Scene, rng: random.Random) -> bool:
    """No memory left in Redis, which refuses every write."""
    scene.redis.up()
    scene.redis.fill()
    scene.work(rng)
    time.sleep(rng.uniform(0.2, 1.0))
    return True


def redis_silent(scene: Scene, rng: random.Random) -> bool:
    """Connections to Redis that stand and say nothing."""
    scene.proxy.hold()
    scene.work(rng)
    time.sleep(rng.uniform(0.5, 2.5))
    scene.proxy.open()
    return True


def redis_cut(scene: Scene, rng: random.Random) -> bool:
    """All connections to Redis end at once."""
    scene.work(rng)
    time.sleep(rng.uniform(0, 0.3))
    scene.proxy.cut()
    return True


def twenty_bells(scene: Scene, rng: random.Random) -> bool:
    """One run is rung for twenty times, under twenty names."""
    account = scene.work(rng)
    run_id = next((run.id for run in reversed(scene.site.runs())), 0)
    with suppress(redis.RedisError), scene.redis.client() as client:
        queue = Queue(QUEUE, connection=client, serializer=JSONSerializer)
        for number in range(20):
            queue.enqueue(
                WORK_RUN, run_id, job_id=f"twice-{run_id}-{number}-{rng.randrange(10**9)}"
            )
    return account in scene.accounts


def many_clicks(scene: Scene, rng: random.Random) -> bool:
    """ "Sync now", clicked again and again."""
    account = scene.work(rng)
    for _ in range(5):
        status, page = people.sync_now(scene.site.app, account)
        people.check_page(status, page)
    return True


def vendor_fault(scene: Scene, rng: random.Random) -> bool:
    """The vendor answers badly a few times, anywhere in a run."""
    fault, args = rng.choice(_VENDOR)
    scene.work(rng)
    rule = {"fault": fault, "args": args, "times": rng.randrange(1, 6)}
    scene.site.play([rule | {"match": {"method": "GET"}}])
    time.sleep(rng.uniform(0.2, 1.0))
    return True


def postgres_restart(scene: Scene, rng: random.Random) -> bool:
    """An immediate restart of PostgreSQL in mid-run, then its crash recovery."""
    if scene.postgres is None:
        return False
    scene.work(rng)
    time.sleep(rng.uniform(0, 0.4))
    scene.postgres.crash()
    scene.postgres.up()
    return True


def backend_killed(scene: Scene, rng: random.Random) -> bool:
    """`pg_terminate_backend` of every session of a worker."""
    if scene.postgres is None:
        return False
    scene.work(rng)
    time.sleep(rng.uniform(0, 0.4))
    with scene.postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
        )
    return True


def locked(scene: Scene, rng: random.Random) -> bool:
    """Somebody else holds what a run writes: SQLite's write lock, or the account's rows."""
    scene.work(rng)
    engine = create_engine(scene.site.settings["SQLALCHEMY_DATABASE_URI"], poolclass=NullPool)
    with suppress(DBAPIError), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            for table in ("ensora_connection", "ensora_run", "ensora_feed"):
                connection.execute(text(f"SELECT * FROM {table} FOR UPDATE"))  # noqa: S608
        time.sleep(rng.uniform(0.5, 3))
        connection.rollback()
    return True


KILLS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (kill_at_point, kill_any_time, kill_worker, kill_parent, kill_machine)
}
OTHERS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *(crash_at_point, starve, fill_disk, stop_beyond_lease, sigterm),
        *(redis_restart, redis_down, redis_flush, redis_full, redis_silent, redis_cut),
        *(twenty_bells, many_clicks, vendor_fault, postgres_restart, backend_killed, locked),
    )
}
