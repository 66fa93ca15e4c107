"""The one clock: UTC without a zone, as every time in the plugin's tables is."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return now in UTC, naive."""
    return datetime.now(UTC).replace(tzinfo=None)


def as_utc(moment: datetime | None) -> datetime | None:
    """Return an aware time as naive UTC; a naive one is taken to be UTC already."""
    if moment is None or moment.tzinfo is None:
        return moment
    if moment.tzinfo is UTC:
        return moment.replace(tzinfo=None)
    return moment.astimezone(UTC).replace(tzinfo=None)
