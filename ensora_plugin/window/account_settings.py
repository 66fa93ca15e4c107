"""What an account sets for itself: how often it pulls, how far apart times may be, and what a wider
grace would let match.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..clock import utcnow
from ..config import Settings
from ..database import AnySession, begin_write
from ..history import lock_account, write_history
from ..models import Connection, Note
from ..runs.schedule import hasten

#: The graces that the settings page compares, in minutes.
_GRACES = (0, 5, 10, 15, 20, 30, 45, 60)


@dataclass(frozen=True)
class Wider:
    """What a wider grace would change: notes that are outside of the present one and would be
    within this. Some of them may turn out ambiguous or taken.
    """

    minutes: int
    more: int


def change_settings(
    session: Session,
    account_id: int,
    settings: Settings,
    *,
    interval: int | None,
    grace: int | None,
    map_picked: bool,
    by: str,
) -> bool:
    """Set the account's own interval and grace in minutes, None for the deployment's, and whether
    picked appointments map by themselves; flushes.

    The next pass tries the unmapped notes for which that may change something; what is mapped
    stays. Return whether anything changed.
    """
    begin_write(session)
    lock_account(session, account_id)
    connection = session.get_one(Connection, account_id, populate_existing=True)
    before = {"interval": connection.interval_minutes, "grace": connection.grace_minutes}
    before |= {"map_picked": connection.map_picked}
    after = {"interval": interval, "grace": grace, "map_picked": map_picked}
    if before == after:
        return False
    connection.interval_minutes, connection.grace_minutes = interval, grace
    connection.map_picked = map_picked
    if connection.due_at is not None and not connection.failures:
        every = timedelta(minutes=interval or settings.interval_minutes)
        connection.due_at = min(connection.due_at, utcnow() + every)
    session.flush()
    if (before["map_picked"], before["grace"]) != (map_picked, grace):
        hasten(session, account_id)
    write_history(session, account_id, action="settings", by=by, before=before, after=after)
    session.flush()
    return True


def wider_graces(session: AnySession, account_id: int, grace: int) -> list[Wider]:
    """Return what graces beyond the present one would let match at most."""
    rows = session.execute(
        select(Note.why_minutes, func.count())
        .where(Note.account_id == account_id, Note.why == "outside_the_grace")
        .group_by(Note.why_minutes)
    ).all()
    return [
        Wider(
            minutes, sum(count for apart, count in rows if apart is not None and apart <= minutes)
        )
        for minutes in _GRACES
        if minutes > grace
    ]
