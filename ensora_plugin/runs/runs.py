"""The life of a run in the database: made, claimed, held, given back, ended.

A claim gives a worker the run for a lease, under a fence that grows with each claim. Every
transaction of the run extends the lease under that fence first: a worker that lost its run writes
nothing more, and any other may take it over.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from ..bulk import Writes
from ..clock import utcnow
from ..config import Settings
from ..database import begin_write
from ..errors import Busy, EndedByPerson, Fenced
from ..kinds import Kind
from ..models import Connection, Run, RunCount
from ..signals import notify, run_ended

STEPS = ("pull", "automap", "render")
#: A run that died so often under its workers is not tried again.
MOST_ATTEMPTS = 5
#: The pause of an account whose runs fail grows up to so many times its interval.
_LONGEST_PAUSE = 16
#: A pause that the vendor asks for is kept up to so many seconds.
_LONGEST_WAIT = 3600


@dataclass(frozen=True)
class Claim:
    """A run that is ours: until the lease ends, or another worker claims it with a higher fence."""

    run_id: int
    account_id: int
    account: str
    fence: int
    steps: tuple[str, ...]


def owner_name(pid: int | None = None) -> str:
    """Return a process of this machine, by default this one, by host name and process id."""
    return f"{socket.gethostname()[:64]}:{os.getpid() if pid is None else pid}"


def create_run(
    session: Session, account_id: int, *, cause: str, by: str | None, steps: tuple[str, ...] = STEPS
) -> int:
    """Make a due run and return its id; commits. Raises `Busy` where a run of the account is live
    already.
    """
    begin_write(session)
    run = Run(
        account_id=account_id,
        state="due",
        cause=cause,
        by=by,
        steps=" ".join(steps),
        due_at=utcnow(),
    )
    session.add(run)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise Busy("A pull of this account is under way; wait until it has ended.") from None
    return run.id


def left_behind(session: Session, account_id: int, lease_seconds: float) -> int | None:
    """Return the account's run whose worker's lease has ended, or that no worker took for as long
    as a lease, if there is one.
    """
    now = utcnow()
    left = select(Run.id).where(
        Run.account_id == account_id,
        or_(
            and_(Run.state == "running", Run.lease_until < now),
            and_(Run.state == "due", Run.due_at < now - timedelta(seconds=lease_seconds)),
        ),
    )
    found = session.scalar(left)
    session.rollback()
    return found


def drags() -> ColumnElement[bool]:
    """The condition that a run may hold its worker for long.

    It let others go first already, or the schedule made it for an account whose last run failed or
    did not end in its first slice. A person waits for what a person asked for.
    """
    before = aliased(Run)
    last_fence = (
        select(before.fence)
        .where(before.account_id == Run.account_id, before.id < Run.id)
        .order_by(before.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    failing = exists().where(Connection.id == Run.account_id, Connection.failures > 0)
    troubled = or_(failing, func.coalesce(last_fence, 0) > 1)
    return or_(and_(Run.state == "due", Run.fence > 0), and_(Run.cause == "schedule", troubled))


def claim(
    session: Session,
    run_id: int,
    lease_seconds: float,
    *,
    interval: int = Settings.interval_minutes,
    quick_only: bool = False,
) -> Claim | None:
    """Take a run that is due, or whose worker's lease has ended; commits. Return None where it is
    not to be had, with `quick_only` also where it may drag.

    `interval`: the deployment's, by which an account is due again whose run died too often.
    """
    begin_write(session)
    now = utcnow()
    free = or_(Run.state == "due", Run.lease_until < now)
    if quick_only:
        free = and_(free, ~drags())
    taken = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state.in_(("due", "running")), free)
        .values(
            state="running",
            owner=owner_name(),
            fence=Run.fence + 1,
            attempt=Run.attempt + 1,
            lease_until=now + timedelta(seconds=lease_seconds),
            started_at=func.coalesce(Run.started_at, now),
        )
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if taken is None:
        session.rollback()
        return None
    row = session.execute(
        select(Run, Connection.account, Connection.interval_minutes)
        .join(Connection)
        .where(Run.id == run_id)
    ).one()
    run, account = row.Run, row.account
    session.refresh(run)
    claimed = Claim(run.id, run.account_id, account, run.fence, tuple(run.steps.split()))
    attempt, pause = run.attempt, row.interval_minutes or interval
    session.commit()
    if attempt > MOST_ATTEMPTS:
        end_run(session, claimed, Ending("failed", "too_many_attempts", _POISON, pause))
        notify(run_ended, account, run_id=run_id, state="failed", code="too_many_attempts")
        return None
    return claimed


_POISON = (
    "This run ended five workers before it was done. The next one starts anew; tell the support "
    "team where that happens again."
)


def hold(session: Session, claimed: Claim, lease_seconds: float, step: str | None = None) -> None:
    """Extend the lease under our fence, inside the caller's transaction.

    Raises `Fenced` where the run is lost, and `EndedByPerson` where somebody asked to stop it.
    """
    values = {
        "run": claimed.run_id,
        "ours": claimed.fence,
        "until": utcnow() + timedelta(seconds=lease_seconds),
        "now_at": step,
    }
    held = session.connection().execute(_HOLD, values).first()
    if held is None:
        raise Fenced("This run was taken over by another worker.")
    if held.stop_by is not None:
        raise EndedByPerson(f"Stopped by {held.stop_by}.")


_HOLD = (
    update(Run.__table__)
    .where(Run.id == bindparam("run"), Run.fence == bindparam("ours"), Run.state == "running")
    .values(
        lease_until=bindparam("until"),
        step=func.coalesce(bindparam("now_at", type_=String), Run.step),
    )
    .returning(Run.id, Run.stop_by)
)


def ask_to_stop(
    session: Session, account_id: int, by: str, *, interval: int = Settings.interval_minutes
) -> bool:
    """Stop the account's live run: at once where no worker has it, else before its next page,
    step or rendering. Return whether there was one; commits. `interval`: as `claim` has it.
    """
    begin_write(session)
    own = (Run.account_id == account_id, Run.state.in_(("due", "running")))
    found = session.execute(
        update(Run)
        .where(*own)
        .values(stop_by=by)
        .returning(Run.id, Run.state, Run.fence)
        .execution_options(synchronize_session=False)
    ).first()
    if found is not None and found.state == "due":
        connection = session.get_one(Connection, account_id, populate_existing=True)
        pause = connection.interval_minutes or interval
        ending = Ending("stopped", EndedByPerson.code, f"Stopped by {by}.", pause)
        _write_end(session, Run.id == found.id, ending)
        _schedule_next(connection, ending, utcnow())
    session.commit()
    return found is not None


def extend(session: Session, claimed: Claim, lease_seconds: float) -> bool:
    """Extend the lease of a run; return False where it is not ours any more; commits."""
    begin_write(session)
    ours = session.execute(
        update(Run)
        .where(Run.id == claimed.run_id, Run.fence == claimed.fence, Run.state == "running")
        .values(lease_until=utcnow() + timedelta(seconds=lease_seconds))
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    session.commit()
    return ours is not None


def release(session: Session, claimed: Claim, *, died: bool = False) -> None:
    """Give a run back before its end, to be gone on with after those that wait by now; commits.

    `died`: the attempt counts as one of those after which a run is not tried again.
    """
    begin_write(session)
    session.execute(
        update(Run)
        .where(Run.id == claimed.run_id, Run.fence == claimed.fence, Run.state == "running")
        .values(
            state="due",
            due_at=utcnow(),
            owner=None,
            lease_until=None,
            attempt=Run.attempt if died else Run.attempt - 1,
        )
        .execution_options(synchronize_session=False)
    )
    session.commit()


def release_of(session: Session, owner: str) -> int:
    """End the leases of a process that is dead for certain; return how many; commits."""
    begin_write(session)
    freed = session.execute(
        update(Run)
        .where(Run.owner == owner, Run.state == "running")
        .values(lease_until=utcnow())
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return len(freed)


def add_counts(writes: Writes, claimed: Claim, kind: Kind, counts: dict[str, int]) -> None:
    """Add to what the run did with a kind, in the last writes of a transaction."""
    row = {"run_id": claimed.run_id, "kind": kind.name, "account_id": claimed.account_id}
    all_counts = dict.fromkeys(_COUNTS, 0) | counts
    writes.put(RunCount.__table__, [row | all_counts], key=("run_id", "kind"), adding=_COUNTS)


_COUNTS = tuple(
    column.name
    for column in RunCount.__table__.columns
    if column.name not in ("run_id", "kind", "account_id")
)


@dataclass(frozen=True)
class Ending:
    """How a run ends: "done", "failed", "stopped" or "held", and why."""

    state: str
    code: str | None
    text: str | None
    #: Minutes until the account's next pull.
    interval: int
    #: Whether the account has to be connected again.
    lost: bool = False
    #: Seconds that the vendor asked to wait.
    wait: float = 0


def end_run(session: Session, claimed: Claim, ending: Ending) -> int:
    """End the run under our fence and say when the account's next pull is due; commits.

    Return how many runs of the account failed one after the other. Raises `Fenced`.
    """
    begin_write(session)
    ours = and_(Run.id == claimed.run_id, Run.fence == claimed.fence, Run.state == "running")
    if not _write_end(session, ours, ending):
        session.rollback()
        raise Fenced("This run was taken over by another worker.")
    connection = session.get_one(Connection, claimed.account_id, populate_existing=True)
    _schedule_next(connection, ending, utcnow())
    failures = connection.failures
    session.commit()
    return failures


def _write_end(session: Session, which: ColumnElement[bool], ending: Ending) -> bool:
    ended = session.execute(
        update(Run)
        .where(which)
        .values(
            state=ending.state,
            step=None,
            lease_until=None,
            ended_at=utcnow(),
            error_code=ending.code,
            error_text=ending.text,
        )
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    )
    return ended.scalar() is not None


def _schedule_next(connection: Connection, ending: Ending, now: datetime) -> None:
    failed = ending.state == "failed"
    if ending.state != "stopped":
        connection.failures = connection.failures + 1 if failed else 0
        connection.failing_since = (connection.failing_since or now) if failed else None
        why = (ending.code, ending.text) if failed else (None, None)
        connection.error_code, connection.error_text = why
    if ending.lost:
        connection.state, connection.due_at = "lost", None
    elif connection.state == "connected":
        factor = min(2 ** max(connection.failures - 1, 0), _LONGEST_PAUSE)
        asked = timedelta(seconds=min(ending.wait, _LONGEST_WAIT))
        connection.due_at = now + max(timedelta(minutes=ending.interval * factor), asked)
