"""Large seeded worlds, written straight into the tables: the host's appointments and the vendor's
notes.

A world is one account of the demo host. Every student has sessions on days of their own; most notes
fit one
appointment, and a known share does not: too late, no appointment, two notes for one appointment,
two appointments
for one note. What has to come of each note is counted while it is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from random import Random
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from demo.host.models import Base as HostBase
from ensora_plugin.models import Base

ACCOUNT = "bench"
AGENCIES = 8
#: Sessions of one student with one user on one day: most days have one.
MODIFIED = datetime(2026, 1, 1)  # noqa: DTZ001 - times in tables are naive UTC
CHUNK = 20_000
_HOST = HostBase.metadata.tables
_OURS = Base.metadata.tables


@dataclass
class Made:
    """What was made, and what has to come of it: the pairs as numbers, note -> appointment."""

    notes: int
    students: int
    users: int
    pairs: dict[int, int] = field(default_factory=dict)


def make_people(connection: Connection, *, students: int, users: int) -> None:
    """Write account, agencies, clients and staff, their records at the vendor, and the mappings of
    all.
    """
    put(connection, _HOST["account"], [{"id": ACCOUNT, "name": "Bench"}])
    put(
        connection,
        _OURS["ensora_connection"],
        [
            {
                "id": 1,
                "account": ACCOUNT,
                "state": "connected",
                "organization_id": "bench",
                "failures": 0,
                "generation": 1,
            }
        ],
    )
    put(
        connection,
        _HOST["agency"],
        (
            {
                "id": n,
                "account_id": ACCOUNT,
                "name": f"Agency {n}",
                "time_zone": "America/New_York",
                "guardian_signature_required": False,
            }
            for n in range(1, AGENCIES + 1)
        ),
    )
    put(
        connection,
        _OURS["ensora_site"],
        (
            record(n, "si") | named(f"Agency {n}") | {"name": f"Agency {n}"}
            for n in range(1, AGENCIES + 1)
        ),
    )
    put(connection, _HOST["client"], (_client(n) for n in range(1, students + 1)))
    put(connection, _OURS["ensora_student"], (_student(n) for n in range(1, students + 1)))
    put(connection, _HOST["staff"], (_staff(n) for n in range(1, users + 1)))
    put(connection, _OURS["ensora_user"], (_user(n) for n in range(1, users + 1)))
    put(
        connection,
        _OURS["ensora_mapping"],
        (
            mapping(kind, f"{prefix}{n}", n)
            for kind, prefix, many in (
                ("site", "si", AGENCIES),
                ("student", "st", students),
                ("user", "us", users),
            )
            for n in range(1, many + 1)
        ),
    )


def agency_of(student: int) -> int:
    """Return the agency of a client, and the site of a student, by number."""
    return student % AGENCIES + 1


def record(number: int, prefix: str) -> dict[str, Any]:
    """Return the columns that every record has."""
    return {
        "id": number,
        "account_id": 1,
        "vendor_id": f"{prefix}{number}",
        "modified_at": MODIFIED,
        "checksum": number.to_bytes(16, "big"),
    }


def named(name: str) -> dict[str, Any]:
    key = name.casefold()
    return {"match_key": key, "name_key": key, "sort_key": key, "active": True}


def mapping(kind: str, vendor_id: str, host_id: int) -> dict[str, Any]:
    """Return an automatic mapping as automap writes it."""
    return {
        "account_id": 1,
        "kind": kind,
        "vendor_id": vendor_id,
        "host_id": str(host_id),
        "state": "auto",
        "run_id": 1,
        "at": MODIFIED,
        "version": 1,
    }


def _client(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "account_id": ACCOUNT,
        "agency_id": agency_of(n),
        "first_name": f"First{n}",
        "last_name": f"Last{n}",
        "date_of_birth": date(2018, 1, 1),
        "gender": "",
        "active": True,
        "updated_at": MODIFIED,
    }


def _student(n: int) -> dict[str, Any]:
    return (
        record(n, "st")
        | named(f"First{n} Last{n}")
        | {
            "site_id": f"si{agency_of(n)}",
            "first_name": f"First{n}",
            "last_name": f"Last{n}",
            "date_of_birth": date(2018, 1, 1),
            "time_zone": "America/New_York",
        }
    )


def _staff(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "account_id": ACCOUNT,
        "first_name": f"Staff{n}",
        "last_name": f"Name{n}",
        "email": f"s{n}@bench.example",
        "title": "",
        "phone": "",
        "address": "",
        "has_user_account": True,
        "active": True,
        "updated_at": MODIFIED,
    }


def _user(n: int) -> dict[str, Any]:
    return (
        record(n, "us")
        | named(f"Staff{n} Name{n}")
        | {
            "type": "Employee",
            "first_name": f"Staff{n}",
            "last_name": f"Name{n}",
            "email": f"s{n}@bench.example",
            "title": "",
        }
    )


def make_sessions(
    connection: Connection,
    made: Made,
    *,
    first: int,
    count: int,
    seed: int = 7,
    since: date = date(2026, 1, 5),
    days: int = 200,
) -> None:
    """Write `count` notes and as many appointments from number `first` on, and note the true pairs.

    Of a hundred notes 90 fit one appointment, 4 are out of the grace, 2 have no appointment, and 4
    stand in
    groups of two notes and two appointments that compete, in which the nearer pairs are true.
    """
    rng = Random(f"{seed} {first}")
    notes: list[dict[str, Any]] = []
    appointments: list[dict[str, Any]] = []
    for number in range(first, first + count):
        # Numbers walk through the students, so that each (student, user, day) comes once.
        student = number % made.students + 1
        turn = number // made.students
        user = (student * 7 + turn) % made.users + 1
        day = since + timedelta(days=turn % days)
        start = 480 + (turn // days) * 60 % 600
        case = number % 100
        shift, length = rng.randrange(-5, 6), 45
        if case >= 96:
            # Two notes and two appointments of one group, ten minutes apart at most.
            if case % 2 == 0:
                _pair_of_two(made, notes, appointments, number, student, user, day, start)
            continue
        if 90 <= case < 94:
            shift = rng.choice((-1, 1)) * rng.randrange(6, 30)
        notes.append(_note(number, student, user, day, start + shift, start + length + shift))
        if case in (94, 95):
            day += timedelta(days=days + 30)
        appointments.append(_appointment(number, student, user, day, start, start + length))
        if case < 90:
            made.pairs[number] = number
    put(connection, _OURS["ensora_note"], notes)
    put(connection, _HOST["appointment"], appointments)


def _pair_of_two(
    made: Made,
    notes: list[Any],
    appointments: list[Any],
    number: int,
    student: int,
    user: int,
    day: date,
    start: int,
) -> None:
    """Appointments at 0 and 4 minutes, notes at 1 and 4: each note is nearest to its own."""
    for at, (note, appointment) in enumerate(((1, 0), (4, 4))):
        notes.append(_note(number + at, student, user, day, start + note, start + 45 + note))
        appointments.append(
            _appointment(
                number + at, student, user, day, start + appointment, start + 45 + appointment
            )
        )
        made.pairs[number + at] = number + at


def _note(n: int, student: int, user: int, day: date, start: int, end: int) -> dict[str, Any]:
    return record(n, "no") | {
        "version": 1,
        "status": "published",
        "site_id": f"si{agency_of(student)}",
        "student_id": f"st{student}",
        "user_id": f"us{user}",
        "template": "Note",
        "date": day,
        "start": start,
        "end": end,
        "sort_key": f"{day} {start:04}",
        "therapist_signed": True,
        "guardian_signed": False,
        "touched": 1,
    }


def _appointment(
    n: int, student: int, user: int, day: date, start: int, end: int
) -> dict[str, Any]:
    return {
        "id": n,
        "account_id": ACCOUNT,
        "agency_id": agency_of(student),
        "client_id": student,
        "staff_id": user,
        "date": day,
        "start": time(*divmod(start, 60)),
        "end": time(*divmod(end, 60)),
        "kind": "service",
        "status": "scheduled",
        "notes_required": True,
        "locked": False,
        "render_location": "",
        "results_notes": "",
        "updated_at": MODIFIED,
    }


def put(
    connection: Connection, table: Any, rows: Sequence[dict[str, Any]] | Iterator[dict[str, Any]]
) -> None:
    """Write rows in chunks."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        connection.execute(insert(table), chunk)
