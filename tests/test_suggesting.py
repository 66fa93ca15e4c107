"""The entity that comes nearest to a record that equals none: a suggestion, never a mapping."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, select, update

from demo.host.models import Authorization, Client
from ensora_plugin.kinds import SITE, STUDENT, USER, Kind
from ensora_plugin.models import Site, Student
from tests.opened import by_person, open_small, reject
from tests.practices import Practice
from tests.small import ACCOUNT, Small

BORN, OTHER_DAY = "2016-02-29", "2016-03-01"


@pytest.fixture
def place() -> Small:
    made = Small()
    made.agency()
    made.site()
    return made


def nearest(practice: Practice, kind: Kind) -> dict[str, str | None]:
    practice.session.rollback()
    model: Any = kind.model
    rows = practice.session.execute(select(model.vendor_id, model.nearest))
    return {row.vendor_id: row.nearest for row in rows}


STUDENTS = [
    # the client's name and birth date, the student's, whether the client is suggested
    ("Amir Haddad", OTHER_DAY, "amir  HADDAD", BORN, True),
    ("Ameer Hadad", BORN, "Amir Haddad", BORN, True),
    ("Zoe\u0308 O'Brien", BORN, "Zoe OBrien", BORN, True),
    ("Haddad Amir", BORN, "Amir Haddad", BORN, True),
    ("Amir Smith-Roe", BORN, "Amir Haddad", BORN, True),
    ("Jo Keller", BORN, "Joanna Keller", BORN, True),
    ("Lina Haddad", BORN, "Omar Haddad", BORN, False),
    ("Ameer Hadad", OTHER_DAY, "Amir Haddad", BORN, False),
    ("Noor Castellano", BORN, "Amir Haddad", BORN, False),
]


@pytest.mark.parametrize(("client", "born", "student", "birth", "told"), STUDENTS)
def test_a_client_is_suggested_who_shares_enough(
    sqlite_url: str, place: Small, client: str, born: str, student: str, birth: str, told: bool
) -> None:
    place.client(client, born)
    place.student(student, birth)
    with open_small(sqlite_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert practice.mapped(ACCOUNT, "student") == {}
        assert nearest(practice, STUDENT) == {"student-1": "1" if told else None}


def test_of_several_the_one_with_most_equal_facts_is_suggested(
    database_url: str, place: Small
) -> None:
    place.agency("Lake")
    place.client("Ameer Haddad")
    elsewhere = place.client("Amir Haddad", OTHER_DAY, agency=2)
    here = place.client("Amir Haddad", OTHER_DAY)
    place.student()
    with open_small(database_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice, STUDENT) == {"student-1": str(here)}
        reject(practice, "student", "student-1", here)
        practice.run(ACCOUNT, "automap")
        assert nearest(practice, STUDENT) == {"student-1": "1"}
        reject(practice, "student", "student-1", 1)
        practice.run(ACCOUNT, "automap")
        assert nearest(practice, STUDENT) == {"student-1": str(elsewhere)}


def test_a_user_is_suggested_the_staff_of_that_email_or_that_name(
    database_url: str, place: Small
) -> None:
    place.staff("Joanna Roe", "jo@clinic.example")
    place.staff("Kim Other", "")
    place.user("Jo Keller", "JO@clinic.example")
    place.user("Kim Other", "kim@clinic.example")
    place.user("Nobody Here", "")
    with open_small(database_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice, USER) == {"user-1": "1", "user-2": "2", "user-3": None}


def test_a_site_is_suggested_an_agency_of_a_name_like_it(database_url: str) -> None:
    small = Small()
    small.agency("Northside Clinic")
    small.agency("Lake")
    small.site("North Side Clinic")
    small.site("Elsewhere")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice, SITE) == {"site-1": "1", "site-2": None}


def test_a_suggestion_follows_what_changes_in_the_host(database_url: str, place: Small) -> None:
    place.client("Someone Else", "2010-01-01")
    place.student()
    with open_small(database_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice, STUDENT) == {"student-1": None}
        practice.session.execute(update(Client).values(first_name="Amir", last_name="Haddad"))
        practice.session.commit()
        practice.run(ACCOUNT, "automap")
        assert nearest(practice, STUDENT) == {"student-1": "1"}
        practice.session.execute(update(Client).values(last_name="Castellano"))
        practice.session.commit()
        practice.run(ACCOUNT, "automap")
        assert nearest(practice, STUDENT) == {"student-1": None}


def test_a_suggestion_goes_with_its_client_and_when_the_student_maps(
    database_url: str, place: Small
) -> None:
    gone = place.client("Amir Haddad", OTHER_DAY)
    place.client("Bo Roe", OTHER_DAY)
    place.student()
    place.student("Bo Roe")
    with open_small(database_url, place) as practice:
        session = practice.session
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice, STUDENT) == {"student-1": "1", "student-2": "2"}
        session.execute(delete(Authorization).where(Authorization.client_id == gone))
        session.execute(delete(Client).where(Client.id == gone))
        by_person(practice, "student", "student-2", 2)
        practice.run(ACCOUNT, "automap")
        assert nearest(practice, STUDENT) == {"student-1": None, "student-2": None}
        rows = session.execute(select(Student.why, Student.suggested_by).order_by(Student.id))
        (why, by), mapped = rows
        assert (why, by is None, tuple(mapped)) == ("no_such_client", False, (None, None))


def test_where_the_site_is_not_mapped_it_comes_first(sqlite_url: str) -> None:
    small = Small()
    small.agency("Lake")
    small.site("Elsewhere")
    small.client("Amir Haddad", OTHER_DAY)
    small.student()
    with open_small(sqlite_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert practice.whys(ACCOUNT, Student) == {"student-1": "no_site_mapping"}
        assert nearest(practice, STUDENT) == {"student-1": None}
        assert practice.whys(ACCOUNT, Site) == {"site-1": "no_agency_of_that_name"}


def test_a_birth_date_that_very_many_have_tells_nothing(sqlite_url: str, place: Small) -> None:
    for number in range(201):
        place.client(f"Ameer{number} Hadad")
    place.student("Ameer Hadad")
    with open_small(sqlite_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice, STUDENT) == {"student-1": None}
