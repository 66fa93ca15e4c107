"""How far the host's rows were read: where a SELECT offers `updated_at`, only what changed since.

A row may be committed after others that were changed later. So each read begins somewhat before the
greatest time that was seen, and once a day all rows are looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, func, select

from .clock import utcnow
from .database import AnySelect, AnySession, upsert
from .models import HostMark

#: So long a transaction of the host may take from its change to its commit.
LAG = timedelta(minutes=10)
#: So often all rows are looked at, whatever `updated_at` says.
WHOLE = timedelta(days=1)
#: Host columns may be local times; what lies further ahead than any zone is a wrong clock.
_AHEAD = timedelta(hours=26)


@dataclass(frozen=True)
class Mark:
    """Where the reading of an entity stands; `since` is None where all rows have to be read."""

    account_id: int
    entity: str
    seen: datetime | None
    whole_at: datetime | None
    since: datetime | None


def offers_changes(statement: AnySelect) -> bool:
    """Tell whether a SELECT of the host offers `updated_at`."""
    return "updated_at" in statement.selected_columns


def read_mark(session: AnySession, account_id: int, entity: str, statement: AnySelect) -> Mark:
    """Return where the reading of an entity stands."""
    row = session.execute(
        select(HostMark.seen, HostMark.whole_at).where(
            HostMark.account_id == account_id, HostMark.entity == entity
        )
    ).first()
    seen = datetime.fromisoformat(row.seen) if row and row.seen else None
    whole_at = row.whole_at if row else None
    fresh = whole_at is not None and utcnow() - WHOLE < whole_at
    since = seen - LAG if seen and fresh and offers_changes(statement) else None
    return Mark(account_id, entity, seen, whole_at, since)


def latest(session: AnySession, entity: Any, since: datetime | None = None) -> datetime | None:
    """Return the greatest `updated_at` of a host's entity, None where it offers none or has no
    row. `entity` is the host's SELECT as a subquery.
    """
    if "updated_at" not in entity.c:
        return None
    changed = entity.c.updated_at
    statement = select(func.max(changed)).where(changed <= _horizon(changed))
    if since is not None:
        statement = statement.where(changed >= since)
    return session.scalar(statement)


def _horizon(changed: ColumnElement[Any]) -> datetime:
    aware = isinstance(changed.type, DateTime) and changed.type.timezone
    return (datetime.now(UTC) if aware else utcnow()) + _AHEAD


def move_mark(session: AnySession, mark: Mark, seen: datetime | None) -> None:
    """Write down that all rows up to `seen` were read, and if so, that all were looked at."""
    if seen is None or (mark.since is not None and seen == mark.seen):
        return
    row = {
        "account_id": mark.account_id,
        "entity": mark.entity,
        "seen": seen.isoformat(),
        "whole_at": mark.whole_at if mark.since is not None else utcnow(),
    }
    upsert(session, HostMark.__table__, [row], ["account_id", "entity"])
