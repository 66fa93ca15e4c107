"""What RQ calls: a run's id comes in, the run is worked on, nothing goes out.

Redis and logs learn ids and codes alone: whatever goes wrong leaves here as a code.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flask import current_app
from sqlalchemy.exc import DBAPIError

from ..errors import EndedByPerson, EnsoraError, Fenced, Held
from ..log import log
from ..reports.exports import claim_export, extend_export, give_back, make_export
from .heartbeat import beating
from .processes import stopping
from .runs import Claim, claim, extend, release
from .schedule import open_queue, ring
from .sync import Stopped, perform

if TYPE_CHECKING:
    from ..plugin import State

#: So many times the first slice are a run's slices: each time it comes it may go further, since
#: what it begins with anew could fill a slice that stays the same.
_SLICES = (1, 4, 16)


class JobFailed(Exception):
    """A job that failed, by its code alone; the run's row says in words why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class OutOfTime(BaseException):
    """Raised by the alarm that bounds a job. No Exception, so that no broad `except` ends it."""


def work_run(run_id: int) -> None:
    """Claim a run and do its steps, in the current application context.

    Ends quietly where the run is not to be had, was taken over, or was given back because this
    process stops. Raises `JobFailed` for whatever else ends it, and lets `OutOfTime` through.
    """
    if type(run_id) is not int:
        raise JobFailed("wrong_arguments")
    try:
        _work(cast("State", current_app.extensions["ensora"]), run_id)
    except Exception as error:
        raise JobFailed(code_of(error)) from None
    finally:
        current_app.extensions["sqlalchemy"].session.remove()


def work_export(export_id: int) -> None:
    """Make a large export, in the current application context; ends as `work_run` does."""
    if type(export_id) is not int:
        raise JobFailed("wrong_arguments")
    try:
        _export(cast("State", current_app.extensions["ensora"]), export_id)
    except Exception as error:
        code = code_of(error)
        log.warning("export_failed", export=export_id, code=code, where=where(error))
        raise JobFailed(code) from None
    finally:
        current_app.extensions["sqlalchemy"].session.remove()


def _export(state: State, export_id: int) -> None:
    session, lease = state.session, state.settings.lease_seconds
    claimed = claim_export(session, export_id, lease)
    if claimed is None:
        return

    def watch() -> None:
        if stopping.requested:
            raise Stopped

    began, outcome = time.monotonic(), "export_done"
    try:
        with beating(state.engine, extend_export, claimed, lease):
            make_export(session, state.host, state.sealer, claimed, watch)
    except Fenced:
        outcome = "export_taken_over"
    except BaseException as error:
        session.rollback()
        # Asked to stop, between two batches or by the alarm that then rings, it did nothing wrong.
        stopped = stopping.requested and isinstance(error, Stopped | OutOfTime)
        give_back(session, claimed, failed=not stopped)
        if not stopped:
            raise
        outcome = "export_released"
    log.info(outcome, export=export_id, seconds=time.monotonic() - began)


def code_of(error: Exception) -> str:
    """Return the code that stands for an error; never its text, which may quote health data."""
    if isinstance(error, EnsoraError | JobFailed):
        return error.code
    return "database" if isinstance(error, DBAPIError) else "unexpected"


def where(error: Exception) -> str:
    """Return the module and line that raised an error; its text stays out of the log."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}:{Path(last.filename).stem}:{last.lineno}"


def _work(state: State, run_id: int) -> None:
    lease, interval = state.settings.lease_seconds, state.settings.interval_minutes
    claimed = claim(state.session, run_id, lease, interval=interval, quick_only=state.quick_only)
    if claimed is None:
        log.info("run_not_free", run=run_id)
        return
    began = time.monotonic()
    facts = {"run": run_id, "account_id": claimed.account_id, "attempt": claimed.fence}
    log.info("run_claimed", **facts)
    try:
        with beating(state.engine, extend, claimed, lease):
            _perform(state, claimed, began)
        outcome = "run_done"
    except Fenced:
        outcome = "run_taken_over"
    except (EndedByPerson, Held) as error:
        outcome = f"run_{error.code}"
    except Stopped:
        outcome = "run_released"
        ring(open_queue(state.settings.redis_url), run_id, claimed.fence)
    except Exception as error:
        log.warning("run_failed", **facts, code=code_of(error), where=where(error))
        raise
    log.info(outcome, **facts, seconds=time.monotonic() - began)


def _perform(state: State, claimed: Claim, began: float) -> None:
    times = _SLICES[min(claimed.fence, len(_SLICES)) - 1]
    end = began + state.settings.slice_seconds * times

    def stop() -> bool:
        return stopping.requested or time.monotonic() > end

    def pause(seconds: float) -> None:
        """Wait before a request is tried again, unless others are to go first."""
        if stop():
            raise Stopped
        time.sleep(seconds)

    vendor = partial(state.vendor, sleep=pause)
    services = replace(state.services(), stopping=stop, open_vendor=vendor)
    try:
        perform(services, claimed)
    except OutOfTime:
        services.session.rollback()
        # Asked to stop, it did nothing wrong; otherwise it hangs, which is not to go on for ever.
        release(services.session, claimed, died=not stopping.requested)
        if not stopping.requested:
            raise
        raise Stopped from None
