"""The steps of a run: pull in order, automap, render; and how what goes wrong ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..automap.notes import automap_notes
from ..automap.outcome import digest_of_run, mapped_by_run
from ..automap.people import automap_named
from ..automap.trying import notes_of, touch
from ..bulk import last_writes
from ..clock import utcnow
from ..config import Settings
from ..crypto import Sealer
from ..database import LONG_STATEMENT_SECONDS, begin_write, sqlstate
from ..errors import (
    DatabaseFailed,
    EndedByPerson,
    EnsoraError,
    Fenced,
    Held,
    NeedsConnection,
    TokenRefused,
    VendorBusy,
)
from ..history import lock_account, write_history
from ..host import directory
from ..host.changes import touch_changed_appointments
from ..host.port import HostAdapter
from ..kinds import KINDS, NOTE, Kind
from ..log import log
from ..models import Connection, RunCount
from ..pull.drafts import Drafts, Place
from ..pull.pages import brings_nothing, stored_cursor, write_page
from ..pull.reading import read_feed
from ..rendering.applying import Work
from ..rendering.rendering import Rendered, remember_asked, render_due
from ..signals import connection_lost, notify, pull_held, pulls_failing, run_ended
from ..vendor.client import DataCollection
from . import guard
from .runs import Claim, Ending, add_counts, claim, create_run, end_run, hold, left_behind, release

#: The host is told when so many runs of an account have failed one after the other.
_REPEATEDLY = 3

OpenVendor = Callable[[Connection], DataCollection]


class Stopped(Exception):
    """Raised between two pages or tries where the worker is to stop, or others are to go first."""


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


def perform(services: Services, claimed: Claim) -> None:
    """Do the steps of a claimed run and end it, one way or the other.

    Raises what made the run fail, after it was written down; `EndedByPerson` where a person stopped
    the run, `Held` where one has to agree before it goes on; `Fenced` where it was taken over;
    `Stopped` where the worker was asked to stop: then the run is anybody's again.
    """
    session = services.session
    try:
        do_steps(services, claimed)
    except Stopped:
        session.rollback()
        release(session, claimed)
        raise
    except Fenced:
        session.rollback()
        raise
    except (EndedByPerson, Held) as error:
        session.rollback()
        _end(services, claimed, "held" if isinstance(error, Held) else "stopped", error)
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
    _end(services, claimed, "done")


def perform_now(services: Services, account_id: int, step: str, *, by: str) -> list[int]:
    """Do one step as a run in this process; return the ids of the runs that were done, its own as
    the last; none where a worker took it.

    What a dead process left behind is done first: where no workers run, nobody else comes for it.
    Ctrl-C stops the run. Raises what `perform` raises, and `Busy`.
    """
    left = left_behind(services.session, account_id, services.settings.lease_seconds)
    done = [left] if left is not None and _perform_now(services, left, by) else []
    own = create_run(services.session, account_id, cause="command", by=by, steps=(step,))
    return [*done, own] if _perform_now(services, own, by) else []


def _perform_now(services: Services, run_id: int, by: str) -> bool:
    own = services.settings
    claimed = claim(services.session, run_id, own.lease_seconds, interval=own.interval_minutes)
    if claimed is None:
        return False
    try:
        perform(services, claimed)
    except KeyboardInterrupt:
        services.session.rollback()
        _end(services, claimed, "stopped", EndedByPerson(f"Stopped by {by}."))
        raise
    return True


def do_steps(services: Services, claimed: Claim) -> None:
    """Do the steps of a claimed run, in order; whatever ends one of them leaves here as it is."""
    for step in claimed.steps:
        _STEP[step](services, claimed)


def _hold(services: Services, claimed: Claim, step: str | None = None) -> None:
    hold(services.session, claimed, services.settings.lease_seconds, step)


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
        quiet = [kind for kind in KINDS if not _pull_kind(services, claimed, vendor, kind, place)]
    if quiet:
        begin_write(session)
        _hold(services, claimed, "pull")
        with last_writes(session) as writes:
            for kind in quiet:
                add_counts(writes, claimed, kind, {})
        session.commit()


def _check_organization(vendor: DataCollection, organization_id: str | None) -> None:
    if vendor.whose() != organization_id:
        raise TokenRefused(
            "The token now belongs to another organization of Ensora Data Collection: "
            "the account needs to be connected again."
        )


def _pull_kind(
    services: Services, claimed: Claim, vendor: DataCollection, kind: Kind, place: Place
) -> bool:
    """Pull a feed to its end; return whether anything of it was written."""
    session = services.session
    cursor = stored_cursor(session, claimed.account_id, kind)
    # Nothing is open while the vendor answers.
    session.rollback()
    drafts = Drafts(place, kind)
    feed = read_feed(vendor, kind, cursor, services.settings.page_size, drafts.of_page)
    written = False
    with closing(feed) as pages:
        for page, made in pages:
            if brings_nothing(session, claimed.account_id, kind, page):
                session.rollback()
                _stop_if_asked(services)
                continue
            begin_write(session)
            _hold(services, claimed, "pull")
            with last_writes(session) as writes:
                tally = write_page(writes, drafts, page, made)
                add_counts(writes, claimed, kind, asdict(tally))
            drafts.worth_it = bool(tally.new or tally.changed)
            session.commit()
            written = True
            _stop_if_asked(services)
    return written


def _automap(services: Services, claimed: Claim) -> None:
    session = services.session
    begin_write(session, statement_seconds=LONG_STATEMENT_SECONDS)
    _hold(services, claimed, "automap")
    _guard(services, claimed)
    directory.refresh(session, claimed.account_id, claimed.account, services.host)
    session.commit()
    for kind in KINDS:
        _stop_if_asked(services)
        begin_write(session, statement_seconds=LONG_STATEMENT_SECONDS)
        _hold(services, claimed, "automap")
        lock_account(session, claimed.account_id)
        if kind is NOTE:
            host = (claimed.account_id, claimed.account, services.host)
            told = touch_changed_appointments(session, *host)
            recheck = timedelta(days=services.settings.recheck_days)
            result = automap_notes(
                session,
                *host,
                grace=_grace(services, claimed),
                run_id=claimed.run_id,
                since=None if told else utcnow().date() - recheck,
            )
        else:
            result = automap_named(session, claimed.account_id, kind, claimed.run_id)
            if result.made:
                made = mapped_by_run(claimed.account_id, kind, claimed.run_id, result.beyond)
                touch(session, claimed.account_id, notes_of(kind, made))
        if kind is NOTE:
            guard.let_go(session, claimed.account_id)
        if result.made:
            write_history(
                session,
                claimed.account_id,
                action="automap",
                kind=kind.name,
                run_id=claimed.run_id,
                after=digest_of_run(
                    session, claimed.account_id, kind, claimed.run_id, result.beyond
                ),
            )
        with last_writes(session) as writes:
            ambiguous = result.ambiguous - _counted_ambiguous(session, claimed, kind)
            counts = {"mapped": result.made, "ambiguous": ambiguous}
            add_counts(writes, claimed, kind, counts)
        session.commit()


def _counted_ambiguous(session: Session, claimed: Claim, kind: Kind) -> int:
    """Return how many records the run has counted as ambiguous already, under another worker."""
    if claimed.fence == 1:
        return 0
    key = {"run_id": claimed.run_id, "kind": kind.name}
    return session.scalar(select(RunCount.ambiguous).filter_by(**key)) or 0


def _guard(services: Services, claimed: Claim) -> None:
    """Raise `Held` where this pull, or one before it, took unusually much away; commits that."""
    session = services.session
    newly = guard.check(session, claimed.account_id, services.settings)
    if newly:
        session.commit()
        notify(pull_held, claimed.account, run_id=claimed.run_id)
    guard.require_free(session, claimed.account_id)


def _render(services: Services, claimed: Claim) -> None:
    guard.require_free(services.session, claimed.account_id)

    def still_ours() -> None:
        _stop_if_asked(services)
        _hold(services, claimed, "render")

    work = Work(
        services.session,
        claimed.account_id,
        claimed.account,
        services.host,
        services.sealer,
        claimed.run_id,
        still_ours,
    )
    result = Rendered()
    try:
        render_due(work, result)
    except (Stopped, EndedByPerson):
        services.session.rollback()
        _count_rendered(services, claimed, result, asked=result.unchanged)
        raise
    _count_rendered(services, claimed, result)


def _count_rendered(
    services: Services, claimed: Claim, result: Rendered, asked: Sequence[int] = ()
) -> None:
    if result.held:
        log.warning("notes_held", run=claimed.run_id, count=result.held)
    begin_write(services.session)
    # What was done before a person stopped the run counts all the same.
    with suppress(EndedByPerson):
        _hold(services, claimed)
    remember_asked(services.session, claimed.run_id, asked)
    with last_writes(services.session) as writes:
        counts = {"rendered": result.rendered, "refused": result.refused}
        add_counts(writes, claimed, NOTE, counts)
    services.session.commit()


_STEP: dict[str, Callable[[Services, Claim], None]] = {
    "pull": _pull,
    "automap": _automap,
    "render": _render,
}


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


def _end(services: Services, claimed: Claim, state: str, why: EnsoraError | None = None) -> None:
    """End a run that did not fail."""
    code, text = (why.code, str(why)) if why else (None, None)
    end_run(services.session, claimed, Ending(state, code, text, _interval(services, claimed)))
    notify(run_ended, claimed.account, run_id=claimed.run_id, state=state, code=code)


def _fail(
    services: Services, claimed: Claim, code: str, text: str, error: EnsoraError | None = None
) -> None:
    interval = _interval(services, claimed)
    lost = isinstance(error, TokenRefused)
    wait = (error.retry_after or 0) if isinstance(error, VendorBusy) else 0
    ending = Ending("failed", code, text, interval, lost, wait)
    failures = end_run(services.session, claimed, ending)
    if lost:
        notify(connection_lost, claimed.account, code=code)
    if failures == _REPEATEDLY:
        notify(pulls_failing, claimed.account, code=code, failures=failures)
    notify(run_ended, claimed.account, run_id=claimed.run_id, state="failed", code=code)
