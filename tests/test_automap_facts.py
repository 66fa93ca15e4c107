"""Automap of people: which facts have to be equal, and on which side they may change."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from demo.host.models import Agency, Client
from ensora_plugin.kinds import SITE, STUDENT, USER
from tests.opened import open_small, outcome
from tests.small import ACCOUNT, ORGANIZATION, OTHER, Small


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


SITES = [
    # the agency's name, the site's, what becomes of the site
    ("Northside", "  NORTHSIDE\u00a0", "maps"),
    ("Ko\u0308ln", "K\u00f6ln", "maps"),
    ("Stra\u00dfe One", "STRASSE  one", "maps"),
    ("O'Brien House", "O\u2019Brien House", "no_agency_of_that_name"),
    ("Westside", "Westside Annex", "no_agency_of_that_name"),
]


def test_a_site_maps_where_its_name_is_equal(sqlite_url: str) -> None:
    small, expected = Small(), {}
    for agency_name, name, told in SITES:
        agency = small.agency(agency_name)
        expected[small.site(name)] = str(agency) if told == "maps" else told
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, SITE) == expected


def test_a_student_who_moves_to_another_site_maps_by_it_and_a_mapped_one_stays(
    sqlite_url: str,
) -> None:
    small = Small()
    for name in ("One", "Two"):
        small.agency(name)
        small.site(name)
    small.client("Amir Stays")
    small.student("Amir Stays")
    small.client("Lina Moves", agency=2)
    small.student("Lina Moves")
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "1", "student-2": "other_agency"}
        for student in ("student-1", "student-2"):
            practice.store.change(ORGANIZATION, "students", student, siteId="site-2")
        practice.run()
        assert outcome(practice, STUDENT) == {"student-1": "1", "student-2": "2"}


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
