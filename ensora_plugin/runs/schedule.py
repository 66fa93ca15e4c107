"""Which runs are due, and the bell that wakes workers. The database is the truth; a bell may fail.

Any number of schedulers may do this at once: a partial unique index lets one live run an account
through.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry as RedisRetry
from rq import Queue, Retry
from rq.serializers import JSONSerializer
from sqlalchemy import Update, and_, case, exists, literal, or_, select, update
from sqlalchemy.orm import Session

from ..clock import utcnow
from ..database import AnySelect, begin_write, insert_for
from ..errors import Busy, NeedsConnection
from ..log import log
from ..models import Connection, Run
from .runs import STEPS, create_run, drags

#: One queue: a worker that listens to several may lose a job that it just took.
QUEUE = "ensora"
WORK_RUN = "ensora_plugin.runs.jobs.work_run"
WORK_EXPORT = "ensora_plugin.runs.jobs.work_export"
#: A job that works longer, in seconds, is ended; its run goes on from its cursor elsewhere.
JOB_SECONDS = 900
_QUEUED_SECONDS = 1800
_FAILURE_SECONDS = 3600
#: A page waits for the bell so long, in seconds, and no longer.
_BELL_SECONDS = 2.0
_LIVE = ("due", "running")


def due_connections(now: datetime) -> AnySelect:
    """Return the SELECT of the ids of connected accounts whose pull is due and that have no live
    run.
    """
    live = exists().where(Run.account_id == Connection.id, Run.state.in_(_LIVE))
    return select(Connection.id).where(
        Connection.state == "connected", Connection.due_at <= now, ~live
    )


def make_due_runs(session: Session, now: datetime) -> list[int]:
    """Make a run for each account that is due; commits. Return the ids of those that wait yet, in
    the order in which workers should take them.

    When an account is due next is written by the end of its run.
    """
    begin_write(session)
    due = due_connections(now).add_columns(
        literal("due"), literal("schedule"), literal(" ".join(STEPS)), literal(0), literal(0)
    )
    columns = ["account_id", "state", "cause", "steps", "fence", "attempt", "due_at"]
    statement = (
        insert_for(session, Run.__table__)
        .from_select(columns, due.add_columns(literal(now)))
        .on_conflict_do_nothing()
        .returning(Run.__table__.c.id)
    )
    made = set(session.execute(statement).scalars())
    session.commit()
    return [run_id for run_id, _ in claimable_runs(session, now) if run_id in made] if made else []


def claimable_runs(
    session: Session, now: datetime | None = None, *, quick_only: bool = False
) -> list[tuple[int, int]]:
    """Return (id, fence) of the runs that any worker may take, longest due first; of equals, those
    that may drag come last. `quick_only`: without them.
    """
    now = now or utcnow()
    free = or_(
        and_(Run.state == "due", Run.due_at <= now),
        and_(Run.state == "running", Run.lease_until < now),
    )
    dragging = drags()
    waiting = select(Run.id, Run.fence).where(free).order_by(Run.due_at, dragging, Run.id)
    if quick_only:
        waiting = waiting.where(~dragging)
    rows = session.execute(waiting).all()
    session.rollback()
    return [(row.id, row.fence) for row in rows]


def request_run(session: Session, account_id: int, by: str) -> int:
    """Return the id of the account's live run, made now where there is none; commits.

    Raises `NeedsConnection` where the account is not connected.
    """
    while True:
        session.rollback()
        state = session.scalar(select(Connection.state).where(Connection.id == account_id))
        if state != "connected":
            raise NeedsConnection("The account is not connected to Ensora Data Collection.")
        live = select(Run.id).where(Run.account_id == account_id, Run.state.in_(_LIVE))
        found = session.scalar(live)
        if found is not None:
            return found
        try:
            return create_run(session, account_id, cause="person", by=by)
        except Busy:
            # Somebody was quicker: theirs is found, unless it has ended meanwhile.
            continue


def hasten(session: Session, account_id: int) -> None:
    """Let the next pull of an account be due now, in the caller's transaction.

    What a person maps lets notes match that did not; the next tick makes one run of many changes.
    """
    session.execute(hastening(account_id))


def hastening(account_id: int) -> Update:
    """Return the UPDATE of `hasten`. It holds the account's row in any case, as `lock_account`
    does.
    """
    now = utcnow()
    waits = and_(Connection.state == "connected", Connection.due_at > now, Connection.failures == 0)
    return (
        update(Connection)
        .where(Connection.id == account_id)
        .values(due_at=case((waits, now), else_=Connection.due_at))
        .execution_options(synchronize_session=False)
    )


@cache
def open_queue(redis_url: str) -> Queue | None:
    """Return the queue behind an address, None where there is no address. Connects when it is used.

    Its answers are waited for shortly and never asked for twice, since the bell may fail.
    """
    if not redis_url:
        return None
    connection = Redis.from_url(
        redis_url,
        socket_timeout=_BELL_SECONDS,
        socket_connect_timeout=_BELL_SECONDS,
        retry=RedisRetry(NoBackoff(), 0),
    )
    return Queue(QUEUE, connection=connection, serializer=JSONSerializer)


def ring(queue: Queue | None, run_id: int, attempt: int) -> bool:
    """Wake a worker for a run, after the commit that made it; return whether Redis took it.

    `attempt` tells the wakings of a run apart: its fence. A failing Redis is logged and no more:
    workers find the run in the database.
    """
    return _enqueue(queue, WORK_RUN, "run", run_id, attempt)


def ring_export(queue: Queue | None, export_id: int) -> bool:
    """Wake a worker for a large export, as `ring` does for a run."""
    return _enqueue(queue, WORK_EXPORT, "export", export_id, 0)


def _enqueue(queue: Queue | None, function: str, what: str, id: int, attempt: int) -> bool:
    if queue is None:
        return False
    try:
        queue.enqueue(
            function,
            id,
            job_id=f"{what}-{id}-{attempt}",
            description=f"{what} {id}",
            result_ttl=0,
            failure_ttl=_FAILURE_SECONDS,
            ttl=_QUEUED_SECONDS,
            job_timeout=JOB_SECONDS,
            # No pause between: RQ has those worked off by a scheduler of its own.
            retry=Retry(max=2),
        )
    except RedisError as error:
        log.warning("ring_failed", **{what: id}, code=type(error).__name__)
        return False
    return True


def ring_lost(session: Session, queue: Queue | None, *, but: Collection[int] = ()) -> int:
    """Ring again for what no bell may stand for: all that waits where the queue is empty, else runs
    whose worker died or that one left to others. `but`: those that are rung for anyhow. Return for
    how many.
    """
    if queue is None:
        return 0
    waiting = [run for run in claimable_runs(session) if run[0] not in but]
    if not waiting:
        return 0
    try:
        if queue.count:
            quick = set(claimable_runs(session, quick_only=True))
            # A fence above 0 was claimed before: its first bell is used up.
            waiting = [run for run in waiting if run[1] or run not in quick]
    except RedisError as error:
        log.warning("ring_failed", count=len(waiting), code=type(error).__name__)
        return 0
    return sum(ring(queue, run_id, fence) for run_id, fence in waiting)
