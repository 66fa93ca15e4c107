"""The sessions of a large seeded world: notes of the vendor, appointments of the host, the truth.

A student has a session a week, on a weekday of their own. Of a hundred notes 90 fit an appointment,
4 are out of the grace, 2 have no appointment that day, and 4 stand in groups of two notes and two
appointments that compete, in which the nearer pairs are true. A note and its appointment have the
same number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from itertools import islice
from random import Random
from typing import Any

from sqlalchemy.engine import Connection

from demo.host.models import Base as HostBase
from ensora_plugin.models import Base

from .worlds import ACCOUNT, MODIFIED, agency_of, put, record

_APPOINTMENTS = HostBase.metadata.tables["appointment"]
_NOTES = Base.metadata.tables["ensora_note"]
#: The first session's Monday, and how many weeks there are before a day gets a second session.
_MONDAY, _WEEKS = date(2026, 1, 5), 100
_MINUTES = 45
_AT_ONCE = 20_000
#: What becomes of a note by the last two digits of its number; of the others a mapping.
_LATE, _NONE, _COMPETE = range(90, 94), range(94, 96), range(96, 100)


@dataclass(frozen=True)
class Size:
    """How many people a world has; numbers of sessions walk through the students."""

    students: int
    users: int

    @classmethod
    def of(cls, notes: int) -> Size:
        """Return the size of a practice of some years: 50 notes a student."""
        return cls(students=max(20, notes // 50), users=max(8, notes // 500))

    def day_of(self, number: int) -> date:
        """Return the day of a session."""
        week = number // self.students % _WEEKS
        return _MONDAY + timedelta(days=7 * week + self._student(number) % 5)

    def _student(self, number: int) -> int:
        return number % self.students + 1

    def session(self, number: int) -> dict[str, Any]:
        """Return who meets when: student, user, day, and the first minute."""
        student, turn = self._student(number), number // self.students
        return {
            "student": student,
            "user": (student * 7 + turn) % self.users + 1,
            "day": self.day_of(number),
            "start": 480 + turn // _WEEKS * 60 % 600,
        }


def truth_of(number: int) -> str | None:
    """Return the reason that a note has to get, None where it has to map to its own appointment."""
    case = number % 100
    if case in _LATE:
        return "outside_the_grace"
    return "no_appointment_that_day" if case in _NONE else None


def truth(numbers: range) -> Counter[str | None]:
    """Return how many of some notes have to get which reason; None counts the mapped ones."""
    return Counter(truth_of(number) for number in numbers)


def make_sessions(connection: Connection, size: Size, numbers: range, seed: int) -> None:
    """Write the notes and appointments of some numbers."""
    sessions = _sessions(size, numbers, Random(f"{seed} {numbers.start}"))
    while chunk := list(islice(sessions, _AT_ONCE)):
        notes, appointments = zip(*chunk, strict=True)
        put(connection, _NOTES, notes)
        put(connection, _APPOINTMENTS, appointments)


def _sessions(
    size: Size, numbers: range, chance: Random
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield a note and an appointment for each number."""
    for number in numbers:
        case, shift, later = number % 100, chance.randrange(-5, 6), 0
        if case in _LATE:
            shift = chance.choice((-1, 1)) * chance.randrange(6, 30)
        meeting = size.session(number)
        if case in _COMPETE:
            # Notes at 1 and 4, appointments at 0 and 4: each note is nearest to its own.
            second = case % 2
            meeting = size.session(number - second)
            shift, later = (0, 4) if second else (1, 0)
        day = meeting.pop("day")
        start = meeting.pop("start") + later
        note = _note(number, day=day, start=start + shift, **meeting)
        elsewhen = timedelta(days=7 * _WEEKS) if case in _NONE else timedelta()
        yield note, _appointment(number, day=day + elsewhen, start=start, **meeting)


def _note(number: int, *, student: int, user: int, day: date, start: int) -> dict[str, Any]:
    return record(number, "no") | {
        "version": 1,
        "status": "published",
        "site_id": f"si{agency_of(student)}",
        "student_id": f"st{student}",
        "user_id": f"us{user}",
        "template": "Note",
        "date": day,
        "start": start,
        "end": start + _MINUTES,
        "sort_key": f"{day} {start:04}",
        "therapist_signed": True,
        "guardian_signed": False,
        "touched": 1,
    }


def _appointment(number: int, *, student: int, user: int, day: date, start: int) -> dict[str, Any]:
    return {
        "id": number,
        "account_id": ACCOUNT,
        "agency_id": agency_of(student),
        "client_id": student,
        "staff_id": user,
        "date": day,
        "start": time(*divmod(start, 60)),
        "end": time(*divmod(start + _MINUTES, 60)),
        "kind": "service",
        "status": "scheduled",
        "notes_required": True,
        "locked": False,
        "render_location": "",
        "results_notes": "",
        "updated_at": MODIFIED,
    }
