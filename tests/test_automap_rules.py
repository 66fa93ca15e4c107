"""Automap, rule by rule, on worlds of a few lines each."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from demo.host.models import Agency, Appointment, Client
from ensora_plugin.kinds import NOTE, SITE, STUDENT, USER
from ensora_plugin.models import Connection, Mapping, Note, Student
from tests.small import (
    ACCOUNT,
    DAY,
    EAST,
    ORGANIZATION,
    OTHER,
    Small,
    by_person,
    draft,
    open_small,
    outcome,
    reject,
)

CENTRAL = "America/Chicago"


@pytest.fixture
def small() -> Small:
    made = Small()
    made.agency()
    made.site()
    return made


@pytest.fixture
def trio() -> Small:
    made = Small()
    made.trio()
    return made


def test_two_clients_that_are_equal_map_to_nobody(sqlite_url: str, small: Small) -> None:
    small.client()
    small.client()
    small.student()
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "ambiguous"}


def test_twins_stay_ambiguous_when_one_of_them_is_taken(sqlite_url: str, small: Small) -> None:
    small.client()
    small.client()
    small.student()
    small.student("Someone Else")
    with open_small(sqlite_url, small) as practice:
        by_person(practice, "student", "student-2", 1)
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "ambiguous", "student-2": "1"}


def test_the_twin_of_a_mapped_student_maps_to_nobody(sqlite_url: str, small: Small) -> None:
    small.client()
    small.student()
    small.student()
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert set(outcome(practice, STUDENT).values()) == {"ambiguous"}
        by_person(practice, "student", "student-1", 1)
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "1", "student-2": "ambiguous"}


def test_a_client_who_is_taken_by_another_name_is_named_with_its_holder(
    sqlite_url: str, small: Small
) -> None:
    small.client()
    small.student()
    small.student("Someone Else")
    with open_small(sqlite_url, small) as practice:
        by_person(practice, "student", "student-2", 1)
        practice.run()
        row = practice.session.scalars(select(Student).where(Student.why.is_not(None))).one()
        assert (row.vendor_id, row.why) == ("student-1", "taken")
        assert (row.nearest, row.rival) == ("1", "student-2")


def test_a_rejected_pair_is_not_made_again(sqlite_url: str, trio: Small) -> None:
    trio.note()
    trio.appointment()
    pairs = (("note", "note-1"), ("student", "student-1"), ("user", "user-1"), ("site", "site-1"))
    with open_small(sqlite_url, trio) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        for kind, vendor_id in pairs:
            reject(practice, kind, vendor_id, 1)
        practice.run()
        assert outcome(practice, SITE) == {"site-1": "rejected_by_a_person"}
        # Each stands on the one before it: the site first, then the people, then the note.
        by_person(practice, "site", "site-1", 1)
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "rejected_by_a_person"}
        assert outcome(practice, USER) == {"user-1": "rejected_by_a_person"}
        by_person(practice, "student", "student-1", 1)
        by_person(practice, "user", "user-1", 1)
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "rejected_by_a_person"}


def test_another_pair_than_the_rejected_one_is_made(sqlite_url: str, trio: Small) -> None:
    trio.note("13:00", "14:00")
    trio.appointment("13:00", "14:00")
    with open_small(sqlite_url, trio) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        reject(practice, "note", "note-1", 1)
        host = practice.session
        first = host.get_one(Appointment, 1)
        columns = ("account_id", "agency_id", "client_id", "staff_id", "date", "end")
        same = {name: getattr(first, name) for name in columns}
        host.add(Appointment(**same, start=first.start.replace(minute=4)))
        host.commit()
        practice.run(ACCOUNT, "automap")
        assert outcome(practice, NOTE) == {"note-1": "2"}


#: Which clients and students of one name are active -> the place of the client that each student
#: maps to, or the reason.
ACTIVITY: list[tuple[list[bool], list[bool], list[int | str]]] = [
    ([True], [False], [0]),
    ([False], [True], [0]),
    ([False], [False], [0]),
    ([True, False], [True], [0]),
    ([False, True], [True], [1]),
    ([False, True], [False], [1]),
    ([True], [False, True], ["taken", 0]),
    ([True, False], [True, False], [0, "taken"]),
    ([True, True, False], [True], ["ambiguous"]),
    ([False, False], [True], ["ambiguous"]),
    ([True], [True, True, False], ["ambiguous", "ambiguous", "ambiguous"]),
    ([True], [False, False], ["ambiguous", "ambiguous"]),
]


def test_of_two_equals_the_inactive_one_yields(sqlite_url: str, small: Small) -> None:
    expected: dict[str, str | None] = {}
    for case, (clients, students, told) in enumerate(ACTIVITY):
        name = f"Case {case}"
        ids = [small.client(name, active=active) for active in clients]
        for active, one in zip(students, told, strict=True):
            student = small.student(name, active=active)
            expected[student] = str(ids[one]) if isinstance(one, int) else one
    with open_small(sqlite_url, small) as practice:
        for _again in range(2):
            practice.run()
            assert outcome(practice, STUDENT) == expected


def test_one_who_yields_is_told_who_holds_the_client(sqlite_url: str, small: Small) -> None:
    small.client(active=False)
    small.client()
    small.student(active=False)
    small.student()
    with open_small(sqlite_url, small) as practice:
        practice.run()
        row = practice.session.scalars(select(Student).where(Student.why.is_not(None))).one()
        assert (row.why, row.nearest, row.rival) == ("taken", "2", "student-2")


def test_notes_of_an_inactive_student_still_find_their_appointments(
    sqlite_url: str, small: Small
) -> None:
    small.client()
    small.student(active=False)
    small.staff(active=False)
    small.user(active=False)
    small.note()
    small.appointment()
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "1"}


PLACES = [
    # the user's sites, the staff's agencies, what becomes of the user
    (("site-1",), (1,), "maps"),
    (("site-1", "site-2"), (2,), "maps"),
    (("site-2", "site-1"), (1, 3), "maps"),
    (("site-2", "site-2"), (2,), "maps"),
    (("site-1",), (2,), "other_agency"),
    (("site-1", "site-2"), (3,), "other_agency"),
    (("site-1",), (), "other_agency"),
    (("site-3",), (1,), "no_site_mapping"),
    (("site-3", "site-2"), (2,), "maps"),
    (("site-9",), (1,), "no_site_mapping"),
    ((), (1,), "no_site"),
]


def test_one_of_the_users_sites_has_to_be_mapped_to_an_agency_of_the_staff(
    sqlite_url: str,
) -> None:
    small = Small()
    for name in ("One", "Two", "Three"):
        small.agency(name)
    for name in ("One", "Two", "Nowhere"):
        small.site(name)
    expected = {}
    for case, (sites, agencies, told) in enumerate(PLACES):
        staff = small.staff(f"Case {case}", agencies=agencies)
        user = small.user(f"Case {case}", sites=sites)
        expected[user] = str(staff) if told == "maps" else told
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, USER) == expected


def test_a_parent_never_maps_and_nothing_is_said_of_them(sqlite_url: str, small: Small) -> None:
    small.staff()
    small.user(type="Parent")
    small.user()
    with open_small(sqlite_url, small) as practice:
        practice.run()
        # Nor is a parent the twin of an employee.
        assert outcome(practice, USER) == {"user-1": None, "user-2": "1"}


STUDENTS = [
    # the client's name, what is different of the student, what becomes of the student
    ("Amir One", {"name": "AMIR  one"}, "maps"),
    ("Amir Two", {"born": "2016-03-01"}, "no_such_client"),
    ("Amir Three", {"name": "Amir Threee"}, "no_such_client"),
    ("Amir Four", {"name": "Four Amir"}, "no_such_client"),
    ("Amir Five", {"name": "Amir \u00a0"}, "empty_name_or_birth_date"),
    ("Amir Six", {"site": "site-2"}, "other_agency"),
    ("Amir Seven", {"site": "site-3"}, "no_site_mapping"),
    ("Amir Eight", {"site": "site-9"}, "no_site_mapping"),
]


def test_a_student_maps_where_all_four_facts_are_equal(sqlite_url: str) -> None:
    small = Small()
    small.agency("One")
    small.agency("Two")
    for name in ("One", "Two", "Nowhere"):
        small.site(name)
    expected = {}
    for name, student, told in STUDENTS:
        client = small.client(name)
        expected[small.student(**{"name": name, **student})] = (
            str(client) if told == "maps" else told
        )
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, STUDENT) == expected


USERS = [
    # the staff's name and email, the user's, what becomes of the user
    ("Jo One", "one@x.example", "JO ONE", "ONE@x.example ", "maps"),
    ("Jo Two", "two@x.example", "Jo Two", "two@other.example", "no_such_staff"),
    ("Jo Three", "three@x.example", "Joanna Three", "three@x.example", "no_such_staff"),
    ("Jo Four", "", "Jo Four", "", "empty_name_or_email"),
    (" Five", "five@x.example", " Five", "five@x.example", "empty_name_or_email"),
]


def test_a_user_maps_where_names_and_email_are_equal_and_not_empty(
    sqlite_url: str, small: Small
) -> None:
    expected = {}
    for staff_name, staff_email, name, email, told in USERS:
        staff = small.staff(staff_name, staff_email)
        expected[small.user(name, email)] = str(staff) if told == "maps" else told
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, USER) == expected


def test_an_ignored_site_maps_nobody(sqlite_url: str, trio: Small) -> None:
    trio.note()
    trio.appointment()
    with open_small(sqlite_url, trio) as practice:
        by_person(practice, "site", "site-1", None)
        practice.run()
        for kind in (STUDENT, USER, NOTE):
            assert list(outcome(practice, kind).values()) == ["no_site_mapping"]
        assert practice.whys(ACCOUNT, SITE.model) == {"site-1": None}


def test_what_a_person_mapped_because_names_differ_lets_the_notes_match(sqlite_url: str) -> None:
    small = Small()
    small.agency("Northside Clinic")
    small.site("North")
    small.client("Amir Haddad")
    small.student("Ameer Hadad", "2016-02-28")
    small.staff("Jo Keller")
    small.user("Joanna Keller-Roe", "joanna@vendor.example")
    small.note()
    small.appointment()
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "no_site_mapping"}
        by_person(practice, "site", "site-1", 1)
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "no_client_and_no_staff_mapping"}
        by_person(practice, "student", "student-1", 1)
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "no_staff_mapping"}
        by_person(practice, "user", "user-1", 1)
        practice.run()
        assert outcome(practice, NOTE) == {"note-1": "1"}


def test_what_a_person_mapped_or_ignored_is_never_touched(sqlite_url: str, small: Small) -> None:
    small.client()
    small.client("Someone Else")
    small.student()
    small.student("Someone Else")
    with open_small(sqlite_url, small) as practice:
        by_person(practice, "student", "student-1", 2)
        by_person(practice, "student", "student-2", None)
        practice.run()
        rows = practice.session.scalars(select(Mapping).where(Mapping.kind == "student")).all()
        assert [(row.vendor_id, row.host_id, row.by) for row in rows] == [
            ("student-1", "2", "ada"),
            ("student-2", None, "ada"),
        ]


def test_names_that_change_later_do_not_undo_a_mapping(sqlite_url: str, trio: Small) -> None:
    with open_small(sqlite_url, trio) as practice:
        practice.run()
        practice.store.change(ORGANIZATION, "students", "student-1", lastName="Hadid")
        practice.session.execute(update(Agency).values(name="Southside"))
        practice.session.commit()
        practice.run()
        assert outcome(practice, SITE) == {"site-1": "1"}
        assert outcome(practice, STUDENT) == {"student-1": "1"}


def test_what_the_host_renames_or_adds_is_found_at_the_next_run(
    sqlite_url: str, trio: Small
) -> None:
    with open_small(sqlite_url, trio) as practice:
        practice.session.execute(update(Client).values(first_name="Omar"))
        practice.session.commit()
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "no_such_client"}
        practice.session.execute(update(Client).values(first_name="amir"))
        practice.session.commit()
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "1"}


def test_an_equal_client_of_another_account_does_not_count(sqlite_url: str, trio: Small) -> None:
    other = Small(OTHER, ids_from=100)
    other.agency()
    other.site()
    other.client(agency=100)
    other.student()
    with open_small(sqlite_url, trio, other) as practice:
        practice.run(ACCOUNT)
        practice.run(OTHER)
        assert outcome(practice, STUDENT) == {"student-1": "1"}
        assert outcome(practice, STUDENT, OTHER) == {"student-1": "100"}


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


def test_a_second_run_changes_nothing(database_url: str) -> None:
    small = Small()
    small.trio()
    small.client("Twin Roe")
    small.client("Twin Roe")
    small.student("Twin Roe")
    small.student("Nobody Here")
    small.student("Odd Zone", zone=CENTRAL)
    small.client("Odd Zone")
    for start in ("13:00", "13:02", "13:04", "13:06"):
        small.note(start)
        small.note(start, student="student-4")
    for start in ("13:01", "13:03", "13:09"):
        small.appointment(start)
        small.appointment(start.replace("13", "14"), "15:00", client=4)
    with open_small(database_url, small) as practice:
        practice.run()
        before = practice.changed_rows()
        counts = practice.counts(practice.run())
        assert {row.mapped for row in counts.values()} == {0}
        assert practice.changed_rows() == before
