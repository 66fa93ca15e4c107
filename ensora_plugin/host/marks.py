"""How far the host's rows were read: where a SELECT offers `updated_at`, only what changed since.

A row may be committed after others that were changed later. So a read begins somewhat before the
greatest time that was seen, until that is long ago; and once a day all rows are looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, func, select

from ..clock import utcnow
from ..database import AnySelect, AnySession, upsert
from ..models import HostMark

#: So long a transaction of the host may take from its change to its commit.
LAG = timedelta(minutes=10)
#: So often all rows are looked at, whatever `updated_at` says.
WHOLE = timedelta(days=1)
#: Host columns may be local times; what lies further ahead than any zone is a wrong clock.
_AHEAD = timedelta(hours=26)


@dataclass(frozen=True)
class Mark:
    """Where the reading of an entity stands.

    `since`: from when on changes are read, None where nothing is known of it; `whole`: whether all
    rows have to be looked at beside them.
    """

    account_id: int
    entity: str
    seen: datetime | None
    moved_at: datetime | None
    settled: bool
    whole_at: datetime | None
    since: datetime | None
    whole: bool


def offers_changes(statement: AnySelect) -> bool:
    """Tell whether a SELECT of the host offers `updated_at`."""
    return "updated_at" in statement.selected_columns


def read_mark(session: AnySession, account_id: int, entity: str, statement: AnySelect) -> Mark:
    """Return where the reading of an entity stands."""
    row = session.get(HostMark, (account_id, entity), populate_existing=True)
    if row is None or row.seen is None or not offers_changes(statement):
        return Mark(account_id, entity, None, None, False, None, None, whole=True)
    seen = datetime.fromisoformat(row.seen)
    since = seen + timedelta.resolution if row.settled else seen - LAG
    fresh = row.whole_at is not None and utcnow() - WHOLE < row.whole_at
    told = (row.moved_at, row.settled, row.whole_at)
    return Mark(account_id, entity, seen, *told, since, whole=not fresh)


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


def move_mark(session: AnySession, mark: Mark, newest: datetime | None) -> None:
    """Write down that all changes up to `newest` were read, and all rows where that was due."""
    seen = max((one for one in (mark.seen, newest) if one is not None), default=None)
    if seen is None:
        return
    now = utcnow()
    moved_at = mark.moved_at if seen == mark.seen else now
    # What could come late has come by now, and was read.
    late = moved_at is not None and now - moved_at >= LAG
    settled = late or (mark.settled and seen == mark.seen)
    whole_at = now if mark.whole else mark.whole_at
    told = {"moved_at": moved_at, "settled": settled, "whole_at": whole_at}
    if told | {"seen": seen} == {name: getattr(mark, name) for name in (*told, "seen")}:
        return
    key = {"account_id": mark.account_id, "entity": mark.entity}
    row = {**key, "seen": seen.isoformat(), **told}
    upsert(session, HostMark.__table__, [row], ["account_id", "entity"])
