"""Where the host asks for the time, and how it keeps it: naive UTC in every column."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def now() -> datetime:
    """Return this moment, aware, in UTC."""
    return datetime.now(UTC)


def stored(moment: datetime | None) -> datetime | None:
    """Turn an aware moment into what a column holds; a naive one is taken to be UTC already."""
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def stored_now() -> datetime:
    """Return this moment as a column holds it."""
    return now().replace(tzinfo=None)


def local(moment: datetime, time_zone: str) -> datetime:
    """Turn a column's moment into the wall clock of `time_zone` (an IANA name)."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(time_zone))
