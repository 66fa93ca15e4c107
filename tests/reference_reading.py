"""What a session note says, read by the rules alone; one half of the plain matcher of
`reference.py`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]

NOTE_FIELDS = {
    "date": ("Date",),
    "start": ("Start Time",),
    "end": ("End Time",),
    "notes": ("Notes",),
    "therapist": ("Therapist Signature", "Signature"),
    "guardian": ("Guardian Signature", "Caregiver Signature", "Parent Signature"),
}


def same(text: str) -> str:
    """Return what counts of a text when two are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def field(note: Row, meaning: str) -> Any:
    """Return the first value of the fields that bear the meaning, in the order of preference; None
    without any.
    """
    for name in NOTE_FIELDS[meaning]:
        for one in note["fields"]:
            label = same(re.sub(r"[:*]\s*$", "", one["name"].strip()))
            if label == same(name) and one.get("value") not in (None, "", []):
                return one["value"]
    return None


@dataclass(frozen=True)
class Reading:
    """When a note says its session was, by the student's clock."""

    day: date
    start: time
    end: time
    zone: str


def read(note: Row, student: Row) -> Reading | None:
    """Return the note's times, seconds dropped; None where they cannot be read or the end is not
    after the start.
    """
    day, start, end = (field(note, meaning) for meaning in ("date", "start", "end"))
    clock = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(:[0-5]\d)?")
    found = [clock.fullmatch(str(value)) for value in (start, end)]
    if not all(found) or not re.fullmatch(r"\d{4}-\d\d-\d\d", str(day)):
        return None
    try:
        on = date.fromisoformat(day)
    except ValueError:
        return None
    first, last = (time(int(match[1]), int(match[2])) for match in found if match)
    reading = Reading(on, first, last, student["timeZone"])
    if last <= first or not all(instants(on, at, reading.zone) for at in (first, last)):
        return None
    return reading


def instants(day: date, at: time, zone: str) -> list[datetime]:
    """Return what a wall-clock time may be: one instant, two where clocks go back, none where they
    go forward.
    """
    naive = datetime.combine(day, at)
    both = {naive.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
    back = {one for one in both if one.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == naive}
    return sorted(back)
