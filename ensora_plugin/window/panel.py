"""What the panel beside the title says: whether a pull goes on, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from ..clock import utcnow
from ..database import AnySession
from ..kinds import KINDS
from ..models import Connection, Run, RunCount


@dataclass(frozen=True)
class Panel:
    """The state of an account's connection and of its live run, if there is one."""

    #: "live", "connected", "held", "stopped", "failed" or "lost".
    state: str
    text: str
    #: What the live run has fetched so far, by kind, and which of its steps it is at.
    fetched: list[tuple[str, int]] = field(default_factory=list)
    step: int = 0
    steps: int = 0
    due_at: datetime | None = None
    #: When the first of the runs failed that failed one after the other.
    since: datetime | None = None
    #: Whether somebody asked to stop the live run.
    stopping: bool = False
    error: str = ""

    @property
    def due_soon(self) -> bool:
        """Whether the next pull is due already, and waits for a worker's next look."""
        return self.due_at is not None and self.due_at <= utcnow()

    @property
    def done(self) -> float:
        """How far the live run is, in steps; half of one that goes on, so never all of them."""
        return max(self.step - 0.5, 0)

    @property
    def live(self) -> bool:
        return self.state == "live"


_WORDS = {
    None: "Waiting for a worker",
    "pull": "Pulling from Ensora Data Collection",
    "automap": "Mapping",
    "render": "Rendering appointments",
}


def progress(session: AnySession, connection: Connection, run: Run | None) -> Panel:
    """Return the panel of an account; `run` is its latest one."""
    if run is not None and run.state in ("due", "running"):
        return _live(session, run)
    if connection.state == "lost":
        return Panel("lost", "Needs to be connected again", error=connection.error_text or "")
    if connection.failures:
        return Panel(
            "failed",
            "The last pull failed"
            if connection.failures == 1
            else f"The last {connection.failures} pulls failed",
            since=connection.failing_since,
            due_at=connection.due_at,
            error=connection.error_text or "",
        )
    if connection.held_at is not None:
        return Panel("held", "Waiting for your agreement", due_at=connection.due_at)
    if run is not None and run.state == "stopped":
        return Panel("stopped", (run.error_text or "").rstrip("."), due_at=connection.due_at)
    return Panel("connected", "Connected", due_at=connection.due_at)


def _live(session: AnySession, run: Run) -> Panel:
    counted = dict(
        session.execute(
            select(RunCount.kind, RunCount.fetched).where(RunCount.run_id == run.id)
        ).all()
    )
    steps = run.steps.split()
    # A worker's run says its step with the first row that it writes.
    at = run.step or (steps[0] if run.state == "running" else None)
    return Panel(
        "live",
        "Stopping after this page" if run.stop_by else _WORDS[at],
        stopping=run.stop_by is not None,
        fetched=[
            (kind.plural.lower(), counted[kind.name])
            for kind in KINDS
            if at == "pull" and counted.get(kind.name)
        ],
        step=steps.index(at) + 1 if at else 0,
        steps=len(steps),
    )
