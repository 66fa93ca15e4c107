"""The runs of an account as people read them: when, why, what came of it, what was set aside."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from ..clock import utcnow
from ..database import AnySession
from ..kinds import BY_NAME, KINDS, Kind
from ..models import Run, RunCount, SetAside

PAGE = 25
#: So many of the records that a run set aside are named.
_NAMED = 20
#: What a run counts, in the order of its columns, with the words over them.
COUNTS = {
    "fetched": "Fetched",
    "new": "New",
    "changed": "Changed",
    "set_aside": "Set aside",
    "mapped": "Mapped",
    "ambiguous": "Ambiguous",
    "rendered": "Rendered",
    "refused": "Refused",
}
#: State -> words and tone of its chip.
_STATES = {
    "due": ("Waiting", "none"),
    "running": ("Running", "auto"),
    "done": ("Done", "ok"),
    "failed": ("Failed", "bad"),
    "stopped": ("Stopped", "warn"),
    "held": ("Held", "warn"),
}


@dataclass(frozen=True)
class Aside:
    """A record that broke the contract."""

    kind: Kind
    vendor_id: str
    reason: str


@dataclass(frozen=True)
class LoggedRun:
    """A run with its numbers; `counts` has a row for each kind that it touched."""

    id: int
    words: str
    tone: str
    cause: str
    began: datetime
    took: timedelta | None
    #: How often another worker had to go on with it.
    takeovers: int
    error: str
    counts: list[tuple[Kind, list[int]]]
    aside: list[Aside]


@dataclass(frozen=True)
class RunPage:
    """Runs, newest first; `older` is where the next page begins, None at the end."""

    runs: list[LoggedRun]
    older: int | None


def run_page(session: AnySession, account_id: int, before: int | None = None) -> RunPage:
    """Return a page of an account's runs, those before a run's id where one is given."""
    statement = select(Run).where(Run.account_id == account_id)
    if before is not None:
        statement = statement.where(Run.id < before)
    runs = list(session.scalars(statement.order_by(Run.id.desc()).limit(PAGE + 1)))
    more, runs = len(runs) > PAGE, runs[:PAGE]
    ids = [run.id for run in runs]
    counts = _counts(session, ids)
    aside = _aside(session, account_id, ids)
    logged = [_logged(run, counts[run.id], aside[run.id]) for run in runs]
    return RunPage(logged, ids[-1] if more else None)


def _logged(run: Run, counts: dict[str, RunCount], aside: list[Aside]) -> LoggedRun:
    words, tone = _STATES[run.state]
    began = run.started_at or run.due_at
    ended = run.ended_at or (utcnow() if run.state == "running" else None)
    return LoggedRun(
        id=run.id,
        words=words,
        tone=tone,
        cause=f"{_CAUSES[run.cause]} by {run.by}" if run.by else _CAUSES[run.cause],
        began=began,
        took=ended - began if ended else None,
        takeovers=max(run.fence - 1, 0),
        error=run.error_text or "",
        counts=[
            (kind, [getattr(counts[kind.name], name) for name in COUNTS])
            for kind in KINDS
            if kind.name in counts
        ],
        aside=aside,
    )


_CAUSES = {"schedule": "Schedule", "person": "Asked for", "command": "Command line"}


def _counts(session: AnySession, ids: list[int]) -> dict[int, dict[str, RunCount]]:
    found: dict[int, dict[str, RunCount]] = defaultdict(dict)
    for row in session.scalars(select(RunCount).where(RunCount.run_id.in_(ids))):
        found[row.run_id][row.kind] = row
    return found


def _aside(session: AnySession, account_id: int, ids: list[int]) -> dict[int, list[Aside]]:
    """Return what is still set aside, by the run that saw it last."""
    found: dict[int, list[Aside]] = defaultdict(list)
    rows = session.scalars(
        select(SetAside)
        .where(SetAside.account_id == account_id, SetAside.run_id.in_(ids))
        .order_by(SetAside.kind, SetAside.vendor_id)
        .limit(_NAMED * PAGE)
    )
    for row in rows:
        if len(found[row.run_id]) < _NAMED:
            found[row.run_id].append(Aside(BY_NAME[row.kind], row.vendor_id, row.reason))
    return found
