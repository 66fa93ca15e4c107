"""Who meets whom and when: sessions in a grid of slots, so that nothing touches by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from random import Random

from .model import Child, Clinic, Therapist

#: Starts of the slots in minutes of the day. A session takes up to 105 minutes of its slot's 120,
#: so that neither grace nor shifted times reach the next one.
SLOTS = (495, 615, 750, 870, 990)
LENGTHS = (30, 45, 60, 90)
TRIES = 3000


class NobodyFree(Exception):
    """A meeting has no partner for what is to be planted in it; another meeting may have one."""


@dataclass(frozen=True)
class Meeting:
    """A planned session, in minutes of its day at the clinic."""

    therapist: Therapist
    child: Child
    day: date
    start: int
    end: int

    @property
    def clinic(self) -> Clinic:
        return self.child.clinic

    @property
    def blemishes(self) -> frozenset[str]:
        """Why the host refuses to render this session whatever the note says."""
        until, child, therapist = self.clinic.period_locked_until, self.child, self.therapist
        met = {
            "period_locked": until is not None and self.day <= until,
            "client_terminated": child.last_day is not None and self.day > child.last_day,
            "staff_inactive": therapist.last_day is not None and self.day > therapist.last_day,
        }
        found = {code for code, holds in met.items() if holds}
        return frozenset(found | ({child.blemish} if child.blemish else set()))


class Diary:
    """Hands out meetings; a therapist or child is in one place at a time, and the two meet once a
    day at most.
    """

    def __init__(self, rng: Random, today: date, children: Sequence[Child]) -> None:
        self._rng = rng
        ago = (today - timedelta(days=days) for days in range(2, 31))
        self.workdays = [day for day in ago if day.weekday() < 5]
        self._children: dict[tuple[str, bool], list[Child]] = {}
        for child in children:
            key = (child.clinic.site["id"], child.reason is None)
            self._children.setdefault(key, []).append(child)
        self._taken: set[tuple[object, ...]] = set()

    def book(
        self,
        therapists: Sequence[Therapist],
        mapped: bool,
        accept: Callable[[Meeting], bool],
        days: Sequence[date] | None = None,
    ) -> Meeting:
        """Find a free meeting of one of the therapists with a child of their clinic.

        `mapped`: whether the child's student is to be mapped. RuntimeError where there is no room.
        """
        rng = self._rng
        for _ in range(TRIES):
            therapist = rng.choice(therapists)
            pool = self._children.get((rng.choice(therapist.clinics).site["id"], mapped))
            if pool:
                slot = rng.randrange(len(SLOTS))
                start = SLOTS[slot] + rng.choice((0, 15))
                end = start + rng.choice(LENGTHS)
                day = rng.choice(days or self.workdays)
                meeting = Meeting(therapist, rng.choice(pool), day, start, end)
                if self._free(meeting, slot) and accept(meeting):
                    self._take(meeting, slot)
                    return meeting
        raise RuntimeError("the world's diary is full: too few people for so many notes")

    def stand_in(self, meeting: Meeting, people: Sequence[Therapist | Child]) -> Meeting:
        """Return the same meeting with another of `people` in it, booked; NobodyFree where there is
        none.
        """
        slot = max(i for i, start in enumerate(SLOTS) if start <= meeting.start)
        for other in self._rng.sample(people, len(people)):
            swapped = self._swap(meeting, other)
            if (
                swapped is not None
                and not swapped.blemishes
                and self._free_of(swapped, other, slot)
            ):
                self._take(swapped, slot)
                return swapped
        raise NobodyFree

    def neighbours(self, child: Child) -> list[Child]:
        """Return the mapped children of the same clinic."""
        return self._children[(child.clinic.site["id"], True)]

    @staticmethod
    def _swap(meeting: Meeting, other: Therapist | Child) -> Meeting | None:
        who = (other, meeting.child) if isinstance(other, Therapist) else (meeting.therapist, other)
        if who == (meeting.therapist, meeting.child):
            return None
        return Meeting(*who, meeting.day, meeting.start, meeting.end)

    def _free_of(self, meeting: Meeting, other: Therapist | Child, slot: int) -> bool:
        pair, therapist, child = self._keys(meeting, slot)
        mine = therapist if isinstance(other, Therapist) else child
        return self._taken.isdisjoint((pair, mine))

    def _free(self, meeting: Meeting, slot: int) -> bool:
        return self._taken.isdisjoint(self._keys(meeting, slot))

    def _take(self, meeting: Meeting, slot: int) -> None:
        self._taken.update(self._keys(meeting, slot))

    @staticmethod
    def _keys(meeting: Meeting, slot: int) -> tuple[tuple[object, ...], ...]:
        user, student = meeting.therapist.user["id"], meeting.child.student["id"]
        day = meeting.day.toordinal()
        return ("pair", user, student, day), ("t", user, day, slot), ("c", student, day, slot)


def clock(minutes: int) -> time:
    """Return a time of day from its minutes."""
    return time(minutes // 60, minutes % 60)
