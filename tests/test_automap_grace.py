"""The grace at both ends, in whole minutes; zones in which times do not exist or come twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import select, update

from ensora_plugin.kinds import NOTE
from ensora_plugin.models import Connection, Note
from tests.opened import open_small, outcome
from tests.small import ACCOUNT, DAY, Small

#: A note, an appointment, and how many minutes the farther of both ends is apart.
ENDS = [
    ("13:00", "14:00", "13:00", "14:00", 0),
    ("12:56", "14:00", "13:00", "14:00", 4),
    ("13:04", "14:00", "13:00", "14:00", 4),
    ("13:00", "13:56", "13:00", "14:00", 4),
    ("13:00", "14:04", "13:00", "14:00", 4),
    ("12:55", "14:00", "13:00", "14:00", 5),
    ("13:05", "14:05", "13:00", "14:00", 5),
    ("12:55", "13:55", "13:00", "14:00", 5),
    ("13:00", "14:05", "13:00", "14:00", 5),
    ("12:54", "14:00", "13:00", "14:00", 6),
    ("13:06", "14:00", "13:00", "14:00", 6),
    ("13:00", "13:54", "13:00", "14:00", 6),
    ("13:02", "14:06", "13:00", "14:00", 6),
    ("12:53", "14:07", "13:00", "14:00", 7),
    # Seconds are dropped on both sides before comparing.
    ("13:00:59", "14:00:59", "13:00:00", "14:00:00", 0),
    ("13:00:00", "14:00:00", "13:00:59", "14:00:59", 0),
    ("13:05:59", "14:00:00", "13:00:00", "14:00:00", 5),
    ("12:59:59", "14:00:00", "13:00:00", "14:00:00", 1),
    ("13:00:00", "14:00:00", "13:05:59", "14:04:59", 5),
    # Both ends of the day.
    ("00:00", "00:59", "00:05", "00:59", 5),
    ("23:00", "23:59", "23:00", "23:54", 5),
]


@pytest.mark.parametrize("grace", [0, 4, 5, 6])
def test_both_ends_have_to_be_within_the_grace(sqlite_url: str, grace: int) -> None:
    small = Small()
    small.trio()
    expected: dict[str, str | None] = {}
    minutes: dict[str, int | None] = {}
    for case, (start, end, from_, until, apart) in enumerate(ENDS):
        day = DAY - timedelta(days=case)
        note, appointment = small.note(start, end, day), small.appointment(from_, until, day)
        near = apart <= grace
        expected[note] = str(appointment) if near else "outside_the_grace"
        minutes[note] = None if near else apart
    with open_small(sqlite_url, small) as practice:
        practice.session.execute(update(Connection).values(grace_minutes=grace))
        practice.session.commit()
        practice.run(ACCOUNT, "pull", "automap")
        assert outcome(practice, NOTE) == expected
        rows = practice.session.execute(select(Note.vendor_id, Note.why_minutes))
        assert dict(rows.all()) == minutes


#: Clocks of New York go forward and back on these days; those of Arizona never do.
FORWARD, BACK = date(2026, 3, 8), date(2026, 11, 1)
NEXT = DAY + timedelta(days=1)
EAST, DETROIT, ARIZONA = "America/New_York", "America/Detroit", "America/Phoenix"
LONDON = "Europe/London"

#: Zone, day, start and end of the note; those of the appointment in New York; what becomes of it.
ZONES = [
    (DETROIT, DAY, "13:00", "14:00", DAY, "13:03", "14:00", "maps"),
    (ARIZONA, DAY, "11:00", "12:00", DAY, "13:00", "14:00", "maps"),
    (ARIZONA, date(2026, 7, 1), "10:00", "11:00", date(2026, 7, 1), "13:00", "14:00", "maps"),
    (ARIZONA, DAY, "10:00", "11:00", DAY, "13:00", "14:00", "outside_the_grace"),
    # The days beside it are looked at, but only for what is within the grace.
    (LONDON, NEXT, "01:00", "02:00", DAY, "20:00", "21:00", "maps"),
    (LONDON, NEXT, "01:00", "02:00", DAY, "18:00", "19:00", "outside_the_grace"),
    (LONDON, DAY, "13:00", "14:00", NEXT, "08:00", "09:00", "no_appointment_that_day"),
    (EAST, DAY, "13:00", "14:00", NEXT, "13:00", "14:00", "no_appointment_that_day"),
    # A gap: neither end may be in it.
    (EAST, FORWARD, "01:30", "02:30", FORWARD, "01:30", "02:30", "unreadable_date_or_time"),
    (EAST, FORWARD, "02:30", "03:30", FORWARD, "02:30", "03:30", "unreadable_date_or_time"),
    (EAST, FORWARD, "01:30", "03:30", FORWARD, "01:30", "03:30", "maps"),
    (ARIZONA, FORWARD, "02:30", "03:30", FORWARD, "05:30", "06:30", "maps"),
    # An overlap: equal zones compare clocks; others only where all readings say the same.
    (EAST, BACK, "01:30", "02:30", BACK, "01:30", "02:30", "maps"),
    (DETROIT, BACK, "01:30", "02:30", BACK, "01:30", "02:30", "maps"),
    (ARIZONA, BACK, "00:00", "00:30", BACK, "02:00", "02:30", "maps"),
    ("UTC", BACK, "05:30", "07:30", BACK, "01:30", "02:30", "no_appointment_that_day"),
    ("UTC", BACK, "06:30", "07:30", BACK, "01:30", "02:30", "no_appointment_that_day"),
    # No such zone.
    ("Mars/Base", DAY, "13:00", "14:00", DAY, "13:00", "14:00", "unreadable_date_or_time"),
    ("", DAY, "13:00", "14:00", DAY, "13:00", "14:00", "unreadable_date_or_time"),
    # Over midnight.
    (EAST, DAY, "23:30", "00:30", DAY, "23:30", "23:59", "unreadable_date_or_time"),
]


def test_another_grace_of_the_deployment_lets_every_unmapped_note_be_tried(
    database_url: str,
) -> None:
    small = Small()
    small.trio()
    small.appointment("13:00", "14:00")
    small.note("13:07", "14:00")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        practice.run(ACCOUNT, "automap")
        assert outcome(practice, NOTE) == {"note-1": "outside_the_grace"}
        practice.state.settings = replace(practice.state.settings, grace_minutes=10)
        practice.run(ACCOUNT, "automap")
        assert outcome(practice, NOTE) == {"note-1": "1"}


def test_zones_decide_what_is_the_same_time(database_url: str) -> None:
    small = Small()
    small.trio()
    expected: dict[str, str | None] = {}
    for case, (zone, day, start, end, other, from_, until, told) in enumerate(ZONES):
        name = f"Case {case}"
        client, student = small.client(name), small.student(name, zone=zone)
        note = small.note(start, end, day, student=student)
        appointment = small.appointment(from_, until, other, client=client)
        expected[note] = str(appointment) if told == "maps" else told
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert outcome(practice, NOTE) == expected


def test_what_cannot_be_read_is_said_before_whom_it_is_about(sqlite_url: str) -> None:
    small = Small()
    small.trio(client=False)
    small.note("02:30", "03:30", FORWARD)
    small.note("13:00", "14:00", FORWARD)
    with open_small(sqlite_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert outcome(practice, NOTE) == {
            "note-1": "unreadable_date_or_time",
            "note-2": "no_client_mapping",
        }


def test_the_loser_of_an_appointment_in_another_zone_is_told_who_took_it(sqlite_url: str) -> None:
    small = Small()
    small.trio()
    client, student = small.client("Far Away"), small.student("Far Away", zone=ARIZONA)
    small.note("11:01", "12:00", student=student)
    small.note("11:03", "12:00", student=student)
    appointment = small.appointment("13:00", "14:00", client=client)
    with open_small(sqlite_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert outcome(practice, NOTE) == {"note-1": str(appointment), "note-2": "taken"}
        row = practice.session.scalars(select(Note).where(Note.vendor_id == "note-2")).one()
        assert (row.nearest, row.rival, row.why_minutes) == (str(appointment), "note-1", 3)
