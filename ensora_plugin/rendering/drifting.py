"""Where a mapped appointment no longer is the note's: given to others, or moved to another day.

The rules are those by which automap pairs notes (domain: Automap); times within the day may change.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..automap.matching import Span, minutes_apart, on_its_day
from ..config import LONGEST_GRACE
from ..host.port import Refusal

#: Code -> what is said beside the row of a mapping, and why its note is not written.
DRIFTED = {
    "another_client": (
        "appointment of another client",
        "The appointment is of another client than the one that the note's student stands for.",
    ),
    "another_staff": (
        "appointment of another staff member",
        "The appointment is of another staff member than the one that the note's user stands for.",
    ),
    "another_agency": (
        "appointment of another agency",
        "The appointment is of another agency than the one that the note's site stands for.",
    ),
    "another_day": (
        "appointment on another day",
        "The appointment is on another day than the note.",
    ),
}


def drifted(row: Any) -> list[str]:
    """Return the codes of `DRIFTED` that hold.

    `row` has the note's date, start, end and `student_zone`; `client_is`, `staff_is` and
    `agency_is`, to which its student, user and site are mapped; and the appointment's columns,
    their names beginning with `entity_`.
    """
    found = [
        f"another_{who}"
        for who in ("client", "staff", "agency")
        if str(getattr(row, f"entity_{who}_id")) != getattr(row, f"{who}_is")
    ]
    if _another_day(row):
        found.append("another_day")
    return found


def _another_day(row: Any) -> bool:
    if row.date is None:
        return False
    if row.student_zone == row.entity_time_zone:
        return bool(row.entity_date != row.date)
    # The same moment has other dates elsewhere, and automap pairs over midnight within the grace.
    if abs(row.entity_date - row.date) > timedelta(days=1):
        return True
    note = Span(row.date, row.start, row.end, row.student_zone)
    start, end = (at.hour * 60 + at.minute for at in (row.entity_start, row.entity_end))
    appointment = Span(row.entity_date, start, end, row.entity_time_zone)
    apart = minutes_apart(note, appointment)
    return apart is not None and max(apart) > LONGEST_GRACE and not on_its_day(note, appointment)


_UNREADABLE = Refusal(
    "unreadable_date_or_time", "The note's date or time cannot be read.", "therapist"
)


def why_not_written(row: Any) -> list[Refusal]:
    """Return why a note is not written: it cannot be read, or an automatic mapping no longer lets
    it and has to be confirmed.

    A person's own choice stands, whoever the appointment is of.
    """
    if row.date is None:
        return [_UNREADABLE]
    if row.mapping_state != "auto":
        return []
    return [
        Refusal(code, f"{DRIFTED[code][1]} Choose the appointment anew.", "scheduler")
        for code in drifted(row)
    ]
