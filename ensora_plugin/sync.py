"""A run: claim, pull in order, automap, render, release. The database is its truth; any worker may
take it over.

A claim gives a worker the run for a lease, under a fence that grows with each claim. Every
transaction of the run
extends the lease under that fence first: a worker that lost its run writes nothing more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import String, bindparam, func, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from . import directory
from .applying import Work
from .automap import automap_named, mapped_by_run
from .automap_notes import automap_notes
from .clock import utcnow
from .config import Settings
from .crypto import Sealer
from .database import begin_write, sqlstate, upsert
from .errors import (
    Busy,
    DatabaseFailed,
    EnsoraError,
    Fenced,
    NeedsConnection,
    TokenRefused,
    VendorBusy,
)
from .history import digest_of_run, write_history
from .host import HostAdapter
from .kinds import KINDS, NOTE, Kind
from .mapping import lock_account
from .models import Connection, Run, RunCount
from .pull import Place, stored_cursor, write_page
from .reading import read_feed
from .rendering import render_due
from .signals import connection_lost, notify, run_ended
from .trying import notes_of, touch
from .vendor import DataCollection

STEPS = ("pull", "automap", "render")
#: A run that died so often under its workers is not tried again.
MOST_ATTEMPTS = 5
#: The pause of an account whose runs fail grows up to so many times its interval.
_LONGEST_PAUSE = 16
#: A pause that the vendor asks for is kept up to so many seconds.
_LONGEST_WAIT = 3600

OpenVendor = Callable[[Connection], DataCollection]


class Stopped(Exception):
    """Raised between two pages where the worker was asked to stop; the run was released before."""


def never() -> bool:
    """Answer whether to stop for those who only stop when they are done."""
    return False


@dataclass(frozen=True)
class Services:
    """What a run works with; `open_vendor` gives the vendor's API for a connection.

    `stopping` is asked between pages, steps and renderings.
    """

    session: Session
    host: HostAdapter
    settings: Settings
    sealer: Sealer
    open_vendor: OpenVendor
    stopping: Callable[[], bool] = never


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


def claim(session: Session, run_id: int, lease_seconds: float) -> Claim | None:
    """Take a run that is due, or whose worker's lease has ended; commits. Return None where it is
    not to be had.
    """
    begin_write(session)
    now = utcnow()
    free = or_(Run.state == "due", Run.lease_until < now)
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
    attempt, interval = run.attempt, row.interval_minutes or Settings.interval_minutes
    session.commit()
    if attempt > MOST_ATTEMPTS:
        _end(session, claimed, _Ending("failed", "too_many_attempts", _POISON, interval))
        notify(run_ended, account, run_id=run_id, state="failed", code="too_many_attempts")
        return None
    return claimed


_POISON = (
    "This run ended five workers before it was done. The next one starts anew; tell the support "
    "team where that happens again."
)


def perform(services: Services, claimed: Claim) -> None:
    """Do the steps of a claimed run and end it, one way or the other.

    Raises what made the run fail, after it was written down; `Fenced` where the run was taken over;
    `Stopped` where the worker was asked to stop: then the run is anybody's again.
    """
    session = services.session
    try:
        for step in claimed.steps:
            _STEP[step](services, claimed)
    except Stopped:
        session.rollback()
        release(session, claimed)
        raise
    except Fenced:
        session.rollback()
        raise
    except EnsoraError as error:
        session.rollback()
        _fail(services, claimed, error.code, str(error), error)
        raise
    except DBAPIError as error:
        session.rollback()
        text = f"The database failed: {sqlstate(error)}."
        _fail(services, claimed, DatabaseFailed.code, text)
        raise DatabaseFailed(text) from None
    except Exception as error:
        session.rollback()
        text = f"An error that nobody foresaw ({type(error).__name__}); the log has more."
        _fail(services, claimed, "unexpected", text)
        raise
    interval = _interval(services, claimed)
    _end(session, claimed, _Ending("done", None, None, interval))
    notify(run_ended, claimed.account, run_id=claimed.run_id, state="done", code=None)


def hold(services: Services, claimed: Claim, step: str | None = None) -> None:
    """Extend the lease under our fence, inside the caller's transaction; raises `Fenced` where it
    is lost.
    """
    values = {
        "run": claimed.run_id,
        "ours": claimed.fence,
        "until": utcnow() + timedelta(seconds=services.settings.lease_seconds),
        "now_at": step,
    }
    held = services.session.connection().execute(_HOLD, values).scalar()
    if held is None:
        raise Fenced("This run was taken over by another worker.")


_HOLD = (
    update(Run.__table__)
    .where(Run.id == bindparam("run"), Run.fence == bindparam("ours"), Run.state == "running")
    .values(
        lease_until=bindparam("until"),
        step=func.coalesce(bindparam("now_at", type_=String), Run.step),
    )
    .returning(Run.id)
)


def release(session: Session, claimed: Claim, *, died: bool = False) -> None:
    """Give a run back before its end, so that another worker goes on at once; commits.

    `died`: the attempt counts as one of those after which a run is not tried again.
    """
    begin_write(session)
    session.execute(
        update(Run)
        .where(Run.id == claimed.run_id, Run.fence == claimed.fence, Run.state == "running")
        .values(
            state="due",
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


def _stop_if_asked(services: Services) -> None:
    if services.stopping():
        raise Stopped


def _pull(services: Services, claimed: Claim) -> None:
    session = services.session
    connection = session.get_one(Connection, claimed.account_id)
    if connection.state != "connected":
        raise NeedsConnection("The account is not connected to Ensora Data Collection.")
    place = Place(claimed.account_id, claimed.run_id, services.sealer)
    organization_id = connection.organization_id
    with services.open_vendor(connection) as vendor:
        # Nothing is open while the vendor answers.
        session.rollback()
        _check_organization(vendor, organization_id)
        for kind in KINDS:
            _pull_kind(services, claimed, vendor, kind, place)


def _check_organization(vendor: DataCollection, organization_id: str | None) -> None:
    if vendor.whose() != organization_id:
        raise TokenRefused(
            "The token now belongs to another organization of Ensora Data Collection: "
            "the account needs to be connected again."
        )


def _pull_kind(
    services: Services, claimed: Claim, vendor: DataCollection, kind: Kind, place: Place
) -> None:
    session = services.session
    cursor = stored_cursor(session, claimed.account_id, kind)
    # Nothing is open while the vendor answers.
    session.rollback()
    with closing(read_feed(vendor, kind, cursor, services.settings.page_size)) as pages:
        for page in pages:
            begin_write(session)
            hold(services, claimed, "pull")
            tally = write_page(session, place, kind, page)
            add_counts(session, claimed, kind, asdict(tally))
            session.commit()
            _stop_if_asked(services)


def _automap(services: Services, claimed: Claim) -> None:
    session = services.session
    begin_write(session)
    hold(services, claimed, "automap")
    directory.refresh(session, claimed.account_id, claimed.account, services.host)
    session.commit()
    for kind in KINDS:
        _stop_if_asked(services)
        begin_write(session)
        hold(services, claimed, "automap")
        lock_account(session, claimed.account_id)
        if kind is NOTE:
            result = automap_notes(
                session,
                claimed.account_id,
                claimed.account,
                services.host,
                grace=_grace(services, claimed),
                run_id=claimed.run_id,
                since=utcnow().date() - timedelta(days=services.settings.recheck_days),
            )
        else:
            result = automap_named(session, claimed.account_id, kind, claimed.run_id)
            if result.made:
                made = mapped_by_run(claimed.account_id, kind, claimed.run_id)
                touch(session, claimed.account_id, notes_of(kind, made))
        add_counts(session, claimed, kind, {"mapped": result.made, "ambiguous": result.ambiguous})
        if result.made:
            write_history(
                session,
                claimed.account_id,
                action="automap",
                kind=kind.name,
                run_id=claimed.run_id,
                after=digest_of_run(session, claimed.account_id, kind, claimed.run_id),
            )
        session.commit()


def _render(services: Services, claimed: Claim) -> None:
    def still_ours() -> None:
        _stop_if_asked(services)
        hold(services, claimed, "render")

    work = Work(
        services.session,
        claimed.account_id,
        claimed.account,
        services.host,
        services.sealer,
        claimed.run_id,
        still_ours,
    )
    result = render_due(work)
    begin_write(services.session)
    hold(services, claimed)
    add_counts(
        services.session,
        claimed,
        NOTE,
        {"rendered": result.rendered, "refused": result.refused},
    )
    services.session.commit()


_STEP: dict[str, Callable[[Services, Claim], None]] = {
    "pull": _pull,
    "automap": _automap,
    "render": _render,
}


def add_counts(session: Session, claimed: Claim, kind: Kind, counts: dict[str, int]) -> None:
    """Add to what the run did with a kind, inside the caller's transaction."""
    row = session.get(RunCount, (claimed.run_id, kind.name), populate_existing=True)
    if row is None:
        key = {"run_id": claimed.run_id, "kind": kind.name, "account_id": claimed.account_id}
        upsert(session, RunCount.__table__, [key | counts], ["run_id", "kind"])
        return
    for name, count in counts.items():
        setattr(row, name, getattr(row, name) + count)


def _grace(services: Services, claimed: Claim) -> int:
    own = services.session.scalar(
        select(Connection.grace_minutes).where(Connection.id == claimed.account_id)
    )
    return services.settings.grace_minutes if own is None else own


def _interval(services: Services, claimed: Claim) -> int:
    own = services.session.scalar(
        select(Connection.interval_minutes).where(Connection.id == claimed.account_id)
    )
    return services.settings.interval_minutes if own is None else own


@dataclass(frozen=True)
class _Ending:
    state: str
    code: str | None
    text: str | None
    interval: int
    lost: bool = False
    #: Seconds that the vendor asked to wait.
    wait: float = 0


def _fail(
    services: Services, claimed: Claim, code: str, text: str, error: EnsoraError | None = None
) -> None:
    interval = _interval(services, claimed)
    lost = isinstance(error, TokenRefused)
    wait = (error.retry_after or 0) if isinstance(error, VendorBusy) else 0
    _end(services.session, claimed, _Ending("failed", code, text, interval, lost, wait))
    if lost:
        notify(connection_lost, claimed.account, code=code)
    notify(run_ended, claimed.account, run_id=claimed.run_id, state="failed", code=code)


def _end(session: Session, claimed: Claim, ending: _Ending) -> None:
    """End the run under our fence and say when the account's next pull is due; commits."""
    begin_write(session)
    now = utcnow()
    ended = session.execute(
        update(Run)
        .where(Run.id == claimed.run_id, Run.fence == claimed.fence, Run.state == "running")
        .values(
            state=ending.state,
            step=None,
            lease_until=None,
            ended_at=now,
            error_code=ending.code,
            error_text=ending.text,
        )
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    if ended is None:
        session.rollback()
        raise Fenced("This run was taken over by another worker.")
    connection = session.get_one(Connection, claimed.account_id, populate_existing=True)
    _schedule_next(connection, ending, now)
    session.commit()


def _schedule_next(connection: Connection, ending: _Ending, now: datetime) -> None:
    failed = ending.state == "failed"
    connection.failures = connection.failures + 1 if failed else 0
    connection.error_code, connection.error_text = ending.code, ending.text
    if ending.lost:
        connection.state, connection.due_at = "lost", None
    elif connection.state == "connected":
        factor = min(2 ** max(connection.failures - 1, 0), _LONGEST_PAUSE)
        asked = timedelta(seconds=min(ending.wait, _LONGEST_WAIT))
        connection.due_at = now + max(timedelta(minutes=ending.interval * factor), asked)
