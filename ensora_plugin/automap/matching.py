"""Which note belongs to which appointment, among several within the grace. No database here.

The rule (domain: Automap, one to one): a pair maps if it is strictly the nearest for both sides,
and so on among
what is left; a tie maps nothing. A candidate that is taken still counts, unless the pair that took
it is strictly
nearer: so it does not matter whether two notes arrive in one run or in two.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones


@dataclass(frozen=True)
class Edge:
    """A note and an appointment within the grace, and the sum of minutes they are apart."""

    note: str
    appointment: str
    minutes: int


def solve(
    edges: Iterable[Edge], *, fixed: Mapping[str, str], holders: Mapping[str, str]
) -> list[Edge]:
    """Return the pairs to make.

    `fixed`: notes that are mapped already, note -> appointment. `holders`: appointments that are
    taken,
    appointment -> note (a note that may have no edge here).
    """
    pool = _Pool(edges)
    for note, appointment in fixed.items():
        pool.take(note, appointment)
    for appointment, note in holders.items():
        pool.take(note, appointment)
    made: list[Edge] = []
    while True:
        nearest = [edge for edge in pool.mutual() if _free(edge, fixed, holders)]
        if not nearest:
            return made
        for edge in nearest:
            pool.take(edge.note, edge.appointment)
        made += nearest


def _free(edge: Edge, fixed: Mapping[str, str], holders: Mapping[str, str]) -> bool:
    return edge.note not in fixed and edge.appointment not in holders


class _Pool:
    """The candidates that still count."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self._by_note: dict[str, dict[str, Edge]] = defaultdict(dict)
        self._by_appointment: dict[str, dict[str, Edge]] = defaultdict(dict)
        for edge in edges:
            self._by_note[edge.note][edge.appointment] = edge
            self._by_appointment[edge.appointment][edge.note] = edge

    def take(self, note: str, appointment: str) -> None:
        """Take a pair out, with every candidate of its two sides that is strictly farther apart."""
        pair = self._by_note.get(note, {}).get(appointment)
        apart = pair.minutes if pair else math.inf
        rivals = [
            *self._by_note.get(note, {}).values(),
            *self._by_appointment.get(appointment, {}).values(),
        ]
        for edge in rivals:
            if edge.minutes > apart or edge is pair:
                self._by_note[edge.note].pop(edge.appointment, None)
                self._by_appointment[edge.appointment].pop(edge.note, None)

    def mutual(self) -> list[Edge]:
        """Return the pairs that are strictly the nearest for both sides."""
        found = []
        for edges in self._by_note.values():
            edge = _strict_minimum(edges)
            if edge and _strict_minimum(self._by_appointment[edge.appointment]) is edge:
                found.append(edge)
        return found


def _strict_minimum(edges: Mapping[str, Edge]) -> Edge | None:
    if not edges:
        return None
    first, *rest = sorted(edges.values(), key=lambda edge: edge.minutes)
    return first if not rest or rest[0].minutes > first.minutes else None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone(name: str) -> ZoneInfo | None:
    """Return a time zone by its IANA name, or None where there is none of that name."""
    return ZoneInfo(name) if name in _zones() else None


def instants(day: date, minute: int, where: ZoneInfo) -> set[datetime]:
    """Return what a wall-clock time may mean, in UTC: one instant, two in an overlap, none in a
    gap.
    """
    found = set()
    wall = datetime.combine(day, time(minute // 60, minute % 60))
    for fold in (0, 1):
        instant = wall.replace(tzinfo=where, fold=fold).astimezone(UTC)
        if instant.astimezone(where).replace(tzinfo=None, fold=0) == wall:
            found.add(instant)
    return found


@lru_cache(maxsize=4096)
def changes_that_day(day: date, where: ZoneInfo) -> bool:
    """Tell whether clocks are put forward or back on `day`."""
    start = datetime.combine(day, time(), tzinfo=where)
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=where)
    return start.utcoffset() != end.utcoffset()


@dataclass(frozen=True)
class Span:
    """A day, start and end in minutes, and the zone they are local to."""

    day: date
    start: int
    end: int
    zone: str


def minutes_apart(note: Span, appointment: Span) -> tuple[int, int] | None:
    """Return how far start and end of a note are from an appointment's, in whole minutes, as
    (start, end).

    Equal zones compare wall clocks of the same date, different ones instants. None where they
    cannot be compared:
    another date, an unknown zone, a time in a gap, or an overlap whose readings differ.
    """
    here, there = zone(note.zone), zone(appointment.zone)
    if here is None or there is None:
        return None
    starts, ends = instants(note.day, note.start, here), instants(note.day, note.end, here)
    if not starts or not ends:
        return None
    if note.zone == appointment.zone:
        if note.day != appointment.day:
            return None
        return abs(note.start - appointment.start), abs(note.end - appointment.end)
    start = _sure(starts, instants(appointment.day, appointment.start, there))
    end = _sure(ends, instants(appointment.day, appointment.end, there))
    return None if start is None or end is None else (start, end)


def on_its_day(note: Span, appointment: Span) -> bool:
    """Tell whether a note that can be read starts on the appointment's day, by its zone's clock."""
    here, there = zone(note.zone), zone(appointment.zone)
    if here is None or there is None:
        return False
    starts = instants(note.day, note.start, here)
    return appointment.day in {start.astimezone(there).date() for start in starts}


def _sure(ones: set[datetime], others: set[datetime]) -> int | None:
    """Return the minutes between two times, or None where their readings differ."""
    apart = {min((abs(a - b) for b in others), default=None) for a in ones}
    apart |= {min((abs(a - b) for a in ones), default=None) for b in others}
    told = apart.pop() if len(apart) == 1 else None
    return None if told is None else int(told.total_seconds()) // 60
