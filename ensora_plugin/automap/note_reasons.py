"""Why a tried note does not map, with the nearest appointment and the minutes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .matching import Span, changes_that_day, minutes_apart, on_its_day, zone
from .outcome import Why


@dataclass(slots=True)
class Pair:
    """A note and an appointment of the same people, and the minutes that they are apart."""

    note: str
    appointment: str
    start: int
    end: int
    eligible: bool
    rejected: bool

    @property
    def minutes(self) -> int:
        return self.start + self.end

    def within(self, grace: int) -> bool:
        return self.start <= grace and self.end <= grace


def pair_of(note: Any, row: Any, grace: int) -> Pair | None:
    """Return an appointment of the note's people as a pair of it.

    None where it is no appointment of the note's day, or cannot be compared; one on a day beside it
    counts only within the grace.
    """
    if note.apart:
        span = Span(note.date, note.start, note.end, note.zone)
        other = Span(row.date, row.start, row.end, row.zone)
        apart = minutes_apart(span, other)
        if apart is None or (max(apart) > grace and not on_its_day(span, other)):
            return None
    else:
        apart = abs(row.start - note.start), abs(row.end - note.end)
    return Pair(row.note, row.appointment, *apart, bool(row.eligible), bool(row.rejected))


def why_not(note: Any, pairs: Sequence[Pair], holders: Mapping[str, str], grace: int) -> Why:
    """Return why a note that was tried does not map.

    `holders`: which note has an appointment, appointment -> note.
    """
    code = why_no_people(note)
    return Why(code) if code else _why_of_pairs(pairs, holders, grace)


def why_no_people(note: Any) -> str | None:
    """Return why a note has no appointments at all, None where it may have some."""
    if note.status != "published":
        return "unpublished"
    if note.date is None or _unreadable(note):
        return "unreadable_date_or_time"
    if note.agency is None:
        return "no_site_mapping"
    if note.client is None:
        return "no_client_and_no_staff_mapping" if note.staff is None else "no_client_mapping"
    return "no_staff_mapping" if note.staff is None else None


def _unreadable(note: Any) -> bool:
    """Tell whether the zone, or a time in a gap of it, makes the note's times meaningless."""
    if note.zone is None:
        # The student is not here yet, which is another reason.
        return False
    where = zone(note.zone)
    if where is not None and not changes_that_day(note.date, where):
        return False
    span = Span(note.date, note.start, note.end, note.zone)
    return minutes_apart(span, span) is None


def _why_of_pairs(pairs: Sequence[Pair], holders: Mapping[str, str], grace: int) -> Why:
    if not pairs:
        return Why("no_appointment_that_day")
    eligible = [pair for pair in pairs if pair.eligible]
    if not eligible:
        return _of_nearest("appointment_cancelled", pairs)
    within = [pair for pair in eligible if pair.within(grace)]
    if not within:
        return _of_nearest("outside_the_grace", eligible)
    left = [pair for pair in within if not pair.rejected]
    if not left:
        return _of_nearest("rejected_by_a_person", within)
    least = min(pair.minutes for pair in left)
    nearest = [pair for pair in left if pair.minutes == least]
    if len(nearest) == 1 and (holder := holders.get(nearest[0].appointment)):
        return _of_nearest("taken", nearest, holder)
    return _of_nearest("ambiguous", nearest)


def _of_nearest(code: str, pairs: Sequence[Pair], rival: str | None = None) -> Why:
    nearest = min(pairs, key=lambda pair: (pair.minutes, pair.appointment))
    return Why(code, max(nearest.start, nearest.end), nearest.appointment, rival)
