"""When two sessions are, and when two texts are equal; one half of the slow matcher."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

if TYPE_CHECKING:
    from tests.slow_world import Session

ZONES = available_timezones()


def same(text: str) -> str:
    """Return what counts of a text when two are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def readings(day: date, minute: int, zone: str) -> list[datetime]:
    """Return what a time on the wall may be: one instant, two where clocks go back, none in a gap
    or without a zone.
    """
    if zone not in ZONES:
        return []
    wall = datetime.combine(day, time(minute // 60, minute % 60))
    both = {wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
    return [one for one in both if one.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall]


def readable(note: Session, zone: str) -> bool:
    """Tell whether a note has a day and two times that were, the end after the start."""
    if note.day is None or note.end <= note.start:
        return False
    return all(readings(note.day, minute, zone) for minute in (note.start, note.end))


def comparable(
    note: Session, note_zone: str, row: Session, row_zone: str
) -> tuple[int, int, bool] | None:
    """Return the minutes between starts and between ends, and whether the appointment is on the
    note's day; None where nothing can be said.
    """
    if not readable(note, note_zone) or note.day is None or row.day is None:
        return None
    if note_zone == row_zone:
        apart = abs(note.start - row.start), abs(note.end - row.end)
        return (*apart, True) if note.day == row.day else None
    if abs((note.day - row.day).days) > 1:
        return None
    starts = readings(note.day, note.start, note_zone)
    start = _apart(starts, readings(row.day, row.start, row_zone))
    end = _apart(readings(note.day, note.end, note_zone), readings(row.day, row.end, row_zone))
    if start is None or end is None:
        return None
    return start, end, row.day in {at.astimezone(ZoneInfo(row_zone)).date() for at in starts}


def _apart(ones: list[datetime], others: list[datetime]) -> int | None:
    """Return the minutes between two times; None unless each reading of both says the same."""
    if not ones or not others:
        return None
    told = {min(abs(one - other) for other in others) for one in ones}
    told |= {min(abs(one - other) for one in ones) for other in others}
    return int(told.pop().total_seconds()) // 60 if len(told) == 1 else None
