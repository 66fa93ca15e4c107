"""Automap, rule by rule: twins, what is taken, rejected, inactive, ignored, made by a person."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from demo.host.models import Appointment
from ensora_plugin.kinds import NOTE, SITE, STUDENT, USER
from ensora_plugin.models import Mapping, Student
from tests.opened import by_person, open_small, outcome, reject
from tests.small import ACCOUNT, Small


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


CENTRAL = "America/Chicago"


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
