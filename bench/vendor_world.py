"""A vendor of any size for the pull: notes of 2 KB, one in ten with a signature of 10 KB, in the
order in which they were written, over some months.

Notes are made one at a time, from the seed and their number alone: nobody holds them all.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

ACCOUNT, ORGANIZATION = "bench", "org-bench"
ADMIN, PASSWORD = "admin@bench.example", "admin-demo"
_SITES = 8
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST_DAY, _DAYS = date(2026, 1, 5), 200
_WORDS = (
    "session",
    "client",
    "prompted",
    "independent",
    "trials",
    "mastered",
    "greeting",
    "block",
    "tower",
    "shared",
    "requested",
    "transition",
    "calm",
    "redirected",
    "parent",
    "reviewed",
    "target",
    "program",
    "data",
    "steady",
    "increase",
    "praise",
)


def all_feeds(notes: int, seed: int) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield the path of each feed and its records, people in proportion to `notes`."""
    students, users = max(20, notes // 50), max(8, notes // 500)
    yield "/v1/sites", map(_site, range(_SITES))
    yield "/v1/students", map(_student, range(students))
    yield "/v1/users", map(_user, range(users))
    yield "/v1/session-notes", all_notes(notes, seed)


def all_notes(notes: int, seed: int) -> Iterator[dict[str, Any]]:
    """Make the notes in the order of the feed."""
    students, users = max(20, notes // 50), max(8, notes // 500)
    for n in range(notes):
        day = _FIRST_DAY + timedelta(days=n * _DAYS // notes)
        yield _note(n, n % students, n % users, day, Random(f"{seed} {n}"))


def _moment(n: int) -> str:
    return (_SINCE + timedelta(seconds=n)).isoformat().replace("+00:00", "Z")


def _site(n: int) -> dict[str, Any]:
    return {"id": f"site-{n}", "name": f"Site {n}", "active": True, "modifiedAt": _moment(n)}


def _student(n: int) -> dict[str, Any]:
    return {
        "id": f"student-{n}",
        "siteId": f"site-{n % _SITES}",
        "firstName": f"First{n}",
        "lastName": f"Last{n}",
        "dateOfBirth": "2018-01-01",
        "timeZone": "America/New_York",
        "active": True,
        "modifiedAt": _moment(n),
    }


def _user(n: int) -> dict[str, Any]:
    return {
        "id": f"user-{n}",
        "type": "Employee",
        "siteIds": [f"site-{n % _SITES}"],
        "firstName": f"Staff{n}",
        "lastName": f"Name{n}",
        "email": f"s{n}@bench.example",
        "title": "",
        "active": True,
        "modifiedAt": _moment(n),
    }


def _note(n: int, student: int, user: int, day: date, rng: Random) -> dict[str, Any]:
    hour = 8 + n % 9
    fields = [
        ("Date", "date", str(day)),
        ("Start Time", "time", f"{hour:02}:{n % 12 * 5:02}"),
        ("End Time", "time", f"{hour + 1:02}:{n % 12 * 5:02}"),
        ("Notes", "text", " ".join(rng.choices(_WORDS, k=165))),
        ("Location", "location", {"latitude": 40.7, "longitude": -74.0, "accuracy": 12}),
        ("Guardian Name", "text", f"Guardian {n}"),
        ("Relationship", "choice", "Mother"),
    ]
    if n % 10 == 0:
        image = base64.b64encode(rng.randbytes(7500)).decode()
        signature = {"image": f"data:image/png;base64,{image}", "signedAt": _moment(n)}
        fields.append(("Therapist Signature", "signature", signature))
    return {
        "id": f"note-{n}",
        "version": 1,
        "status": "published",
        "siteId": f"site-{student % _SITES}",
        "studentId": f"student-{student}",
        "userId": f"user-{user}",
        "appointmentId": None,
        "template": "Daily SOAP note",
        "publishedAt": _moment(n),
        "modifiedAt": _moment(n),
        "fields": [{"name": name, "type": kind, "value": value} for name, kind, value in fields],
    }
