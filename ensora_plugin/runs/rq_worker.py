"""RQ made safe: only our functions run, nothing outlives its parent, and Redis may go away.

RQ imports whatever dotted path a job names, and whoever can write to Redis can name one.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisSlow
from redis.retry import Retry
from rq import Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from rq.utils import now
from rq.worker import WorkerStatus
from sqlalchemy.exc import DBAPIError

from ..database import sqlstate
from ..log import log
from ..plugin import state_of
from .jobs import JobFailed, OutOfTime
from .processes import die_with, stopping
from .runs import owner_name, release_of
from .schedule import QUEUE, WORK_EXPORT, WORK_RUN

ALLOWED = frozenset({WORK_RUN, WORK_EXPORT})
_MAINTENANCE_SECONDS = 60
_TTL_SECONDS = 60
_CONNECT_SECONDS = 2.0


class SafeJob(Job):
    """A job that names one of our functions, or none at all."""

    @property
    def func(self) -> Any:
        """Return the function; raises `JobFailed` where it is not one of ours."""
        if self.func_name not in ALLOWED or self.instance is not None:
            raise JobFailed("forged_job")
        return super().func

    success_callback = failure_callback = stopped_callback = property(lambda _self: None)

    def send_webhooks(self, *_args: Any, **_kwargs: Any) -> None:
        """Send nothing: a webhook carries tracebacks to an address out of Redis."""


class Alarm(UnixSignalDeathPenalty):
    """The bound of a job's time, raised as what no `except Exception` takes for its own."""

    def handle_death_penalty(self, signum: int, frame: FrameType | None) -> None:
        """Raise `OutOfTime` for a job; RQ's own exception for what else RQ bounds."""
        if issubclass(self._exception, JobTimeoutException):
            raise OutOfTime from None
        super().handle_death_penalty(signum, frame)  # type: ignore[no-untyped-call]


class SafeWorker(Worker):
    """RQ's worker for one application: a job a child, the context pushed once a job."""

    job_class = SafeJob
    death_penalty_class = Alarm
    app: Flask

    def subscribe(self) -> None:
        """Take no commands through Redis; and no thread stands beside the fork."""

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        self._stop_requested = stopping.requested

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End the loop now, or after the job under way has let go of its run."""
        stopping.requested = self._stop_requested = True
        self._shutdown_requested_date = now()
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
        self._tell_horse()

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork the child, and tell it where the wish to stop came just before it."""
        super().fork_work_horse(job, queue)
        if self._stop_requested:
            self._tell_horse()

    def _tell_horse(self) -> None:
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

    def setup_work_horse_signals(self) -> None:
        """Make the child end with its parent, and stop between two pages when it is asked to."""
        if self.pid is not None:
            die_with(self.pid)
        stopping.listen(state_of(self.app).settings.stop_seconds)

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Perform a job in the application's context, on connections of this process alone."""
        with self.app.app_context():
            state_of(self.app).engine.dispose(close=False)
            return super().perform_job(job, queue, execution)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Say that a job failed by its code: its text and arguments may be anybody's."""
        error = exc_info[1]
        code = error.code if isinstance(error, JobFailed) else type(error).__name__
        log.warning("job_failed", job=job.id, code=code)

    def handle_work_horse_killed(self, job: Job, retpid: Any, ret_val: Any, rusage: Any) -> None:
        """Free the run of a child that died, so that it need not wait for the end of its lease."""
        log.warning("job_died", job=job.id, pid=retpid, status=ret_val)
        if retpid is None:
            return
        with self.app.app_context():
            state = state_of(self.app)
            try:
                release_of(state.session, owner_name(retpid))
            except DBAPIError as error:
                log.warning("release_failed", pid=retpid, code=sqlstate(error))
            self.app.extensions["sqlalchemy"].session.remove()
            state.engine.dispose()

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Show life; where Redis is away end the loop, since runs are in the database too."""
        try:
            super().heartbeat(timeout, pipeline)
        except (RedisAway, RedisSlow) as error:
            log.warning("redis_away", code=type(error).__name__)
            raise StopRequested from None

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Show life while a job goes on, which needs no Redis to end well."""
        try:
            super().maintain_heartbeats(job, execution)
        except RedisError as error:
            log.warning("redis_away", job=job.id, code=type(error).__name__)


def open_worker(app: Flask, redis_url: str) -> SafeWorker:
    """Return a worker of the one queue; raises RedisError where Redis is away."""
    connection = Redis.from_url(
        redis_url,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_keepalive=not redis_url.startswith("unix://"),
        retry=Retry(NoBackoff(), 0),
    )
    worker = SafeWorker(
        [QUEUE],
        connection=connection,
        serializer=JSONSerializer,
        maintenance_interval=_MAINTENANCE_SECONDS,
        worker_ttl=_TTL_SECONDS,
        log_job_description=False,
    )
    worker.app = app
    return worker
