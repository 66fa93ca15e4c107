"""Automap of session notes: the grace, the nearest, the zones."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from ensora_plugin.kinds import NOTE
from ensora_plugin.models import Connection, Note
from tests.opened import by_person, open_small, outcome
from tests.small import ACCOUNT, DAY, EAST, ORGANIZATION, Small, draft

CENTRAL = "America/Chicago"


@pytest.fixture
def trio() -> Small:
    made = Small()
    made.trio()
    return made


#: A note, appointments on its day, the place of the one that it maps to or the reason, and how
#: many minutes apart it is then.
SESSIONS: list[tuple[tuple[str, str], list[dict[str, Any]], int | str, int | None]] = [
    (("13:00", "14:00"), [{}], 0, None),
    (("12:55", "14:05"), [{}], 0, None),
    (("12:54", "14:00"), [{}], "outside_the_grace", 6),
    (("13:00", "14:06"), [{}], "outside_the_grace", 6),
    (("12:40", "14:10"), [{}], "outside_the_grace", 20),
    (("13:05:59", "14:05:59"), [{}], 0, None),
    (("13:00", "14:00"), [{"later": 1}], "no_appointment_that_day", None),
    (("13:00", "14:00"), [], "no_appointment_that_day", None),
    (("13:00", "14:00"), [{"status": "cancelled"}], "appointment_cancelled", 0),
    (("13:00", "14:00"), [{"kind": "meeting"}], "appointment_cancelled", 0),
    (("13:00", "14:00"), [{"status": "cancelled"}, {"start": "13:04"}], 1, None),
    (("13:00", "14:00"), [{"status": "rendered"}], 0, None),
    (("13:02", "14:00"), [{"start": "13:00"}, {"start": "13:04"}], "ambiguous", 2),
    (("13:02", "14:00"), [{"start": "13:00"}, {"start": "13:03"}], 1, None),
    (("13:00", "13:00"), [{}], "unreadable_date_or_time", None),
    (("23:30", "00:30"), [{"start": "23:30", "end": "23:59"}], "unreadable_date_or_time", None),
    (("1 PM", "2 PM"), [{}], "unreadable_date_or_time", None),
]


def test_a_note_maps_within_the_grace_or_says_how_far_it_is(sqlite_url: str, trio: Small) -> None:
    expected, minutes = {}, {}
    for case, (times, appointments, told, apart) in enumerate(SESSIONS):
        # Two days between the cases, so that none is a neighbour of another.
        day = DAY - timedelta(days=2 * case + 2)
        note = trio.note(*times, day)
        ids = [
            trio.appointment(day=day + timedelta(days=planned.pop("later", 0)), **planned)
            for planned in map(dict, appointments)
        ]
        expected[note] = str(ids[told]) if isinstance(told, int) else told
        minutes[note] = apart
    with open_small(sqlite_url, trio) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert outcome(practice, NOTE) == expected
        rows = practice.session.execute(select(Note.vendor_id, Note.why_minutes))
        assert dict(rows.all()) == minutes


def test_a_note_that_is_not_published_does_not_map(sqlite_url: str, trio: Small) -> None:
    trio.note(status="unpublished")
    trio.note(status="deleted", fields=[])
    trio.appointment()
    with open_small(sqlite_url, trio) as practice:
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "unpublished", "note-2": "unpublished"}


def test_an_appointment_of_other_parties_is_no_candidate(sqlite_url: str, trio: Small) -> None:
    trio.client("Other Child")
    trio.staff("Other Therapist")
    trio.agency("Other Place")
    trio.note()
    trio.appointment(client=2)
    trio.appointment(staff=2)
    trio.appointment(agency=2)
    with open_small(sqlite_url, trio) as practice:
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "no_appointment_that_day"}


def test_notes_at_one_time_are_told_apart_by_how_near_they_are(
    sqlite_url: str, trio: Small
) -> None:
    for start in ("13:01", "13:02", "13:05"):
        trio.note(start)
    for start in ("13:00", "13:05"):
        trio.appointment(start)
    with open_small(sqlite_url, trio) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        # note-1 is nearest to the first, note-3 to the second; note-2 comes too late for both.
        assert outcome(practice, NOTE) == {"note-1": "1", "note-2": "taken", "note-3": "2"}
        row = practice.session.scalars(select(Note).where(Note.vendor_id == "note-2")).one()
        assert (row.nearest, row.rival, row.why_minutes) == ("1", "note-1", 2)


def test_a_note_that_comes_later_never_drives_out_one_that_is_mapped(
    sqlite_url: str, trio: Small
) -> None:
    trio.note("13:04")
    trio.appointment("13:00")
    trio.appointment("13:08")
    with open_small(sqlite_url, trio) as practice:
        by_person(practice, "note", "note-1", 1)
        practice.store.publish_note(ORGANIZATION, {"id": "late", **draft("13:01")})
        practice.run(ACCOUNT, "pull", "automap")
        # The taken one is nearer to it than to its holder, so it still counts.
        assert outcome(practice, NOTE) == {"late": "taken", "note-1": "1"}


def test_an_ignored_note_does_not_stand_in_the_way(sqlite_url: str, trio: Small) -> None:
    trio.note()
    trio.note()
    trio.appointment()
    with open_small(sqlite_url, trio) as practice:
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "ambiguous", "note-2": "ambiguous"}
        by_person(practice, "note", "note-2", None)
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "1", "note-2": None}


def test_an_accounts_own_grace_counts(sqlite_url: str, trio: Small) -> None:
    trio.note("13:10")
    trio.note("15:05", "16:00")
    trio.appointment("13:00")
    trio.appointment("15:00", "16:00")
    with open_small(sqlite_url, trio) as practice:
        for grace, expected in ((0, "outside_the_grace"), (5, "2"), (10, "2")):
            practice.session.execute(update(Connection).values(grace_minutes=grace))
            practice.session.commit()
            practice.run(ACCOUNT, "pull", "automap")
            assert outcome(practice, NOTE)["note-2"] == expected
        assert outcome(practice, NOTE)["note-1"] == "1"


ZONES = [
    # the student's zone, the note's day and times, the appointment's (New York), what becomes of it
    (CENTRAL, DAY, ("12:00", "13:00"), DAY, ("13:00", "14:00"), "maps"),
    (CENTRAL, DAY, ("13:00", "14:00"), DAY, ("13:00", "14:00"), "outside_the_grace"),
    (CENTRAL, DAY, ("23:10", "23:50"), DAY + timedelta(days=1), ("00:10", "00:50"), "maps"),
    ("Mars/Base", DAY, ("13:00", "14:00"), DAY, ("13:00", "14:00"), "unreadable_date_or_time"),
    # Clocks went forward on 8 March and back on 1 November.
    (
        "",
        date(2026, 3, 8),
        ("02:30", "03:30"),
        date(2026, 3, 8),
        ("02:30", "03:30"),
        "unreadable_date_or_time",
    ),
    ("", date(2026, 3, 8), ("13:00", "14:00"), date(2026, 3, 8), ("13:00", "14:00"), "maps"),
    ("", date(2026, 11, 1), ("01:30", "02:30"), date(2026, 11, 1), ("01:30", "02:30"), "maps"),
    (
        "UTC",
        date(2026, 11, 1),
        ("05:30", "07:30"),
        date(2026, 11, 1),
        ("01:30", "02:30"),
        "no_appointment_that_day",
    ),
]


def test_zones_that_differ_compare_instants(database_url: str) -> None:
    small = Small()
    small.trio()
    expected = {}
    for case, (zone, day, times, other, planned, told) in enumerate(ZONES):
        name = f"Case {case}"
        client, student = small.client(name), small.student(name, zone=zone or EAST)
        note = small.note(*times, day, student=student)
        appointment = small.appointment(*planned, other, client=client)
        expected[note] = str(appointment) if told == "maps" else told
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert outcome(practice, NOTE) == expected


def test_a_changed_zone_makes_the_unmapped_notes_try_again(sqlite_url: str, trio: Small) -> None:
    trio.note("12:00", "13:00")
    trio.appointment("13:00", "14:00")
    with open_small(sqlite_url, trio) as practice:
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "outside_the_grace"}
        practice.store.change(ORGANIZATION, "students", "student-1", timeZone=CENTRAL)
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "1"}


def test_a_student_who_comes_after_their_notes_lets_them_try_again(
    database_url: str, trio: Small
) -> None:
    """The mapping stands from before the records were thrown away."""
    trio.appointment()
    trio.note()
    (student,), trio.vendor["students"] = trio.vendor["students"], []
    with open_small(database_url, trio) as practice:
        by_person(practice, "student", "student-1", 1)
        practice.run()
        assert outcome(practice, NOTE)["note-1"] not in ("1", None)
        practice.store.put(ORGANIZATION, "students", student)
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "1"}
