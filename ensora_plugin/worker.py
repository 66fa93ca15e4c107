"""Workers and the schedule of a deployment, for any host: `run_workers(app)`.

One parent makes the runs that are due and keeps N workers alive. A worker listens to its queue;
when nothing rings for a while, or Redis is away, it looks into the database, which knows every run.
Any number of machines may do this against the same database and Redis.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from flask import Flask
from redis.exceptions import RedisError
from rq.exceptions import StopRequested
from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import DBAPIError

from .clock import utcnow
from .config import Settings
from .database import sqlstate
from .log import log
from .migrating import require_migrated
from .plugin import State, state_of
from .reports.exports import end_exports, waiting_exports
from .runs.jobs import JobFailed, OutOfTime, code_of, where, work_export, work_run
from .runs.processes import ended, start, stop_all, stopping
from .runs.rq_worker import Alarm, SafeWorker, open_worker
from .runs.runs import owner_name, release_of
from .runs.schedule import JOB_SECONDS, claimable_runs, make_due_runs, open_queue, ring, ring_lost
from .runs.warm import warm_up

#: A child that ends at once is not started again before so long, in seconds.
_PAUSE_SECONDS = 1.0
#: After its time a run's child may take so long, in seconds, to let go.
_KILL_SECONDS = 60
_LOOK_SECONDS = 0.1


def run_workers(app: Flask, *, workers: int = 2, burst: bool = False) -> int:
    """Run `workers` processes and the schedule until SIGTERM or SIGINT; return the exit status.

    Half of them leave runs that may drag to the others, so that slow or failing accounts never hold
    all; a single worker does everything, and so does each with `burst`: make what is due, work
    until nothing waits, end. Raises `NotMigrated`. The process must not have threads of its own.
    """
    settings = state_of(app).settings
    with _database(app) as state:
        require_migrated(state.engine)
        _warm_up(state)
    stopping.listen(settings.stop_seconds)
    # With a handler, though an empty one, the end of a child wakes the wait below.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    log.info("started", pid=os.getpid(), workers=workers)
    tick(app)
    crew: dict[int, Member] = {}
    for number in range(workers):
        _hire(crew, app, burst, quick_only=not burst and number < workers // 2)
    next_tick = time.monotonic() + settings.tick_seconds
    while crew and not stopping.requested:
        stopping.wait(next_tick - time.monotonic())
        _keep(crew, app, burst)
        if not burst and time.monotonic() >= next_tick:
            tick(app)
            next_tick = time.monotonic() + settings.tick_seconds
    stop_all(crew, settings.stop_seconds)
    log.info("stopped", pid=os.getpid())
    return 0


def _warm_up(state: State) -> None:
    """Build the statements of a run before the forks; what fails here fails again in a run, where
    people see it.
    """
    began = time.monotonic()
    try:
        with state.engine.connect() as link:
            done = warm_up(link, state.host, state.settings, state.sealer)
    except Exception as error:
        log.warning("not_warmed", code=code_of(error), where=where(error))
        return
    if done:
        log.info("warmed", seconds=time.monotonic() - began)


def tick(app: Flask) -> int:
    """Make the runs that are due, ring for them and for those whose bell was lost; return how many.

    A database that fails is logged: the next tick tries again.
    """
    try:
        with _database(app) as state:
            queue = open_queue(state.settings.redis_url)
            made = make_due_runs(state.session, utcnow())
            lost = ring_lost(state.session, queue, but=made)
            for run_id in made:
                ring(queue, run_id, 0)
            end_exports(state.session)
    except DBAPIError as error:
        log.warning("tick_failed", code=sqlstate(error))
        return 0
    if made or lost:
        log.info("tick", count=len(made) + lost)
    return len(made)


@contextmanager
def _database(app: Flask) -> Iterator[State]:
    """Lend the database and close every connection: none may be open when this process forks."""
    with app.app_context():
        state = state_of(app)
        try:
            yield state
        finally:
            app.extensions["sqlalchemy"].session.remove()
            state.engine.dispose()


@dataclass(frozen=True)
class Member:
    """A worker process: since when it is there, and whether it leaves what may drag to others."""

    since: float
    quick_only: bool


def _hire(crew: dict[int, Member], app: Flask, burst: bool, *, quick_only: bool) -> None:
    pid = start(lambda: _work(app, burst, quick_only=quick_only))
    crew[pid] = Member(time.monotonic(), quick_only)


def _keep(crew: dict[int, Member], app: Flask, burst: bool) -> None:
    """Take note of workers that ended, and start others in their place."""
    for pid, member in list(crew.items()):
        status = ended(pid)
        if status is None:
            continue
        del crew[pid]
        if burst or stopping.requested:
            continue
        log.warning("worker_died", pid=pid, status=status)
        if time.monotonic() - member.since < _PAUSE_SECONDS:
            stopping.wait(_PAUSE_SECONDS)
        _hire(crew, app, burst, quick_only=member.quick_only)


def _work(app: Flask, burst: bool, *, quick_only: bool) -> int:
    """Be a worker: what the database has, then what rings, and so on."""
    settings = state_of(app).settings
    state_of(app).quick_only = quick_only
    stopping.listen(settings.stop_seconds)
    log.info("worker_started", pid=os.getpid())
    worker: SafeWorker | None = None
    while not stopping.requested:
        _work_on_the_waiting(app, settings)
        worker = _listen(app, settings, worker, burst)
        if burst:
            _work_on_the_waiting(app, settings)
            break
    log.info("worker_stopped", pid=os.getpid())
    return 0


def _listen(
    app: Flask, settings: Settings, worker: SafeWorker | None, burst: bool
) -> SafeWorker | None:
    """Work on what rings until nothing did for a while; return the worker for the next time.

    Without a Redis the while is slept through.
    """
    began = time.monotonic()
    idle = math.ceil(settings.poll_seconds)
    try:
        if settings.redis_url:
            worker = worker or open_worker(app, settings.redis_url)
            # RQ's lines are not ours to vouch for.
            worker.work(burst=burst, max_idle_time=idle, logging_level="CRITICAL")
        else:
            worker = None
    except RedisError as error:
        log.warning("redis_away", code=type(error).__name__)
        # Another one next time: Redis may hold this one's name for alive.
        worker = None
    except StopRequested:
        stopping.requested = True
    stopping.take_signals()
    if not burst:
        # Where RQ's loop ended early the database is not asked more often for that.
        quick = worker is None or time.monotonic() - began < _PAUSE_SECONDS
        stopping.wait(settings.poll_seconds - (time.monotonic() - began) if quick else 0)
    return worker


def _work_on_the_waiting(app: Flask, settings: Settings) -> None:
    """Do as many runs as this worker may take now, and the exports, each in a child of its own.

    It looks before each run: others may have come first meanwhile.
    """
    tried: set[tuple[int, int]] = set()
    runs, exports = _waiting(app)
    for _ in range(len(runs)):
        runs = [run for run in runs if run not in tried]
        if stopping.requested or not runs:
            break
        tried.add(runs[0])
        _in_child(app, settings, work_run, runs[0][0])
        runs, _exports = _waiting(app)
    for export in exports:
        if stopping.requested:
            break
        _in_child(app, settings, work_export, export)


def _waiting(app: Flask) -> tuple[list[tuple[int, int]], list[int]]:
    """Return (id, fence) of the runs that this worker may take, and the ids of exports."""
    try:
        with _database(app) as state:
            runs = claimable_runs(state.session, quick_only=state.quick_only)
            return runs, waiting_exports(state.session)
    except DBAPIError as error:
        log.warning("look_failed", code=sqlstate(error))
        return [], []


#: A function of `jobs.py` that works on what has an id.
Job = Callable[[int], None]


def _in_child(app: Flask, settings: Settings, job: Job, id: int) -> None:
    pid = start(lambda: _perform(app, settings, job, id))
    deadline, told = time.monotonic() + JOB_SECONDS + _KILL_SECONDS, False
    while (status := ended(pid)) is None:
        if stopping.requested and not told:
            os.kill(pid, signal.SIGTERM)
            told = True
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)
    if status < 0:
        what = "run" if job is work_run else "export"
        log.warning("job_died", **{what: id}, pid=pid, status=status)
        with suppress(DBAPIError), _database(app) as state:
            release_of(state.session, owner_name(pid))


def _perform(app: Flask, settings: Settings, job: Job, id: int) -> int:
    """Do one job as RQ's child would, without RQ; return the exit status."""
    stopping.listen(settings.stop_seconds)
    with app.app_context():
        state_of(app).engine.dispose(close=False)
        try:
            with Alarm(JOB_SECONDS, JobTimeoutException):  # type: ignore[no-untyped-call]
                job(id)
        except OutOfTime:
            return 1
        except JobFailed:
            # Said in the log and in the run's row.
            return 1
    return 0
