"""Why a record does not map, explained: what comes near it, fact by fact, and who took it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from ensora_plugin.explain.explain import Explanation, explain
from ensora_plugin.explain.explanation import Candidate
from ensora_plugin.kinds import NOTE, SITE, STUDENT, USER, Kind
from ensora_plugin.models import Student
from tests.opened import by_person, open_small, reject
from tests.practices import Practice
from tests.small import ACCOUNT, DAY, Small


@pytest.fixture
def trio() -> Small:
    made = Small()
    made.trio()
    return made


@pytest.fixture
def place() -> Small:
    made = Small()
    made.agency()
    made.site()
    return made


def why(
    practice: Practice, kind: Kind, vendor_id: str, agencies: frozenset[str] | None = None
) -> Explanation:
    account_id, host = practice.account_id(ACCOUNT), practice.state.host
    return explain(
        practice.session, account_id, ACCOUNT, host, kind, vendor_id, grace=5, agencies=agencies
    )


def facts(candidate: Candidate) -> dict[str, Any]:
    return {one.label: (one.vendor, one.host, one.equal) for one in candidate.facts}


def test_a_student_is_shown_beside_clients_fact_by_fact(database_url: str, place: Small) -> None:
    place.client("Ameer Hadad")
    place.client("Amir Haddad", "2016-03-01")
    place.client("Someone Else", "2010-01-01")
    place.client("Haddad Amir")
    place.student()
    with open_small(database_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, STUDENT, "student-1")
        assert (told.code, told.reason) == ("no_such_client", "No such client")
        assert [one.host_id for one in told.candidates] == ["2", "4", "1"]
        assert facts(told.candidates[0]) == {
            "First name": ("Amir", "Amir", True),
            "Last name": ("Haddad", "Haddad", True),
            "Date of birth": ("29 Feb 2016", "1 Mar 2016", False),
            "Agency": ("Northside", "Northside", True),
        }
        assert told.candidates[0].name == "Amir Haddad"
        assert told.candidates[2].differing == ("First name", "Last name")


def test_it_is_told_who_holds_a_client_and_what_a_person_rejected(
    database_url: str, place: Small
) -> None:
    place.client()
    place.client()
    place.student()
    place.student("Sam Roe")
    with open_small(database_url, place) as practice:
        by_person(practice, "student", "student-2", 1)
        reject(practice, "student", "student-1", 2)
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, STUDENT, "student-1")
        assert told.code == "ambiguous"
        first, second = told.candidates
        assert first.taken_by is not None
        assert (first.taken_by.vendor_id, first.taken_by.words) == ("student-2", "Sam Roe")
        assert (first.rejected, second.taken_by, second.rejected) == (False, None, True)


def test_a_user_is_shown_beside_staff_of_that_email_or_name(
    database_url: str, place: Small
) -> None:
    place.staff("Joanna Roe")
    place.staff("Jo Keller", "other@clinic.example", agencies=())
    place.staff("Kim Other", "kim@clinic.example")
    place.user()
    with open_small(database_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, USER, "user-1")
        assert told.code == "no_such_staff"
        assert [one.host_id for one in told.candidates] == ["2", "1"]
        assert facts(told.candidates[0])["Agency"] == ("Northside", "", False)
        assert facts(told.candidates[1])["Email"][2]


def test_a_site_is_shown_beside_agencies_of_a_name_like_it(database_url: str, place: Small) -> None:
    place.agency("South Side")
    place.agency("Lake")
    place.site("Southside")
    with open_small(database_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, SITE, "site-2")
        assert told.code == "no_agency_of_that_name"
        assert told.candidates[0].name == "South Side"


def test_a_note_is_shown_beside_its_appointments_and_the_note_that_took_one(
    database_url: str, trio: Small
) -> None:
    trio.appointment("13:00")
    trio.appointment("15:00", "16:00")
    trio.appointment("13:00", day=DAY + timedelta(days=1))
    taken = trio.note("13:00")
    late = trio.note("13:03", "14:07")
    with open_small(database_url, trio) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, NOTE, late)
        assert (told.code, told.reason) == ("outside_the_grace", "Outside the grace: 7 min apart")
        near, far = told.candidates
        assert (near.host_id, near.start_apart, near.end_apart) == ("1", 3, 7)
        assert facts(near)["Start"] == ("13:03", "13:00", True)
        assert facts(near)["End"] == ("14:07", "14:00", False)
        assert facts(near)["Client"] == ("Amir Haddad", "Amir Haddad", True)
        assert near.taken_by is not None
        assert near.taken_by.vendor_id == taken
        assert near.taken_by.words == "19 Nov 2026, 13:00–14:00, Amir Haddad with Jo Keller"
        assert (far.host_id, far.start_apart, far.taken_by) == ("2", 117, None)


def test_a_note_without_an_appointment_that_day_is_shown_what_is_near(
    database_url: str, trio: Small
) -> None:
    trio.client("Other Child", "2012-01-01")
    trio.staff("Kim Other", "kim@clinic.example")
    with_other_staff = trio.appointment(staff=2)
    with_other_child = trio.appointment(client=2)
    the_day_after = trio.appointment(day=DAY + timedelta(days=1))
    trio.appointment(client=2, staff=2)
    trio.appointment(staff=2, day=DAY + timedelta(days=1))
    trio.appointment(day=DAY + timedelta(days=2))
    note = trio.note()
    with open_small(database_url, trio) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, NOTE, note)
        assert told.code == "no_appointment_that_day"
        ids = [str(with_other_staff), str(with_other_child), str(the_day_after)]
        assert [one.host_id for one in told.candidates] == ids
        assert [one.differing for one in told.candidates] == [
            ("Staff",),
            ("Client",),
            ("Date", "Start", "End"),
        ]


@pytest.mark.parametrize("zone", ["America/New_York", "America/Detroit"])
def test_an_appointment_of_the_day_before_hides_none_of_that_day(
    sqlite_url: str, zone: str
) -> None:
    """Where zones differ, automap looks at the days beside, but takes of them only what is near."""
    small = Small()
    small.trio()
    small.student("Lily Wong", zone=zone)
    small.client("Lily Wong")
    small.staff("Kim Other", "kim@clinic.example")
    the_day_before = small.appointment(client=2, day=DAY - timedelta(days=1))
    with_other_staff = small.appointment(client=2, staff=2)
    note = small.note(student="student-2")
    with open_small(sqlite_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, NOTE, note)
        assert told.code == "no_appointment_that_day"
        ids = [str(with_other_staff), str(the_day_before)]
        assert [one.host_id for one in told.candidates] == ids


def test_where_the_client_is_not_mapped_the_one_that_comes_nearest_stands_in(
    database_url: str,
) -> None:
    small = Small()
    small.trio(client=False)
    small.client("Ameer Hadad")
    small.staff("Kim Other", "kim@clinic.example")
    near = small.appointment(staff=2)
    note = small.note()
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        practice.session.execute(update(Student).values(nearest="1"))
        practice.session.commit()
        told = why(practice, NOTE, note)
        assert told.code == "no_client_mapping"
        assert [one.host_id for one in told.candidates] == [str(near)]
        assert told.candidates[0].differing == ("Client", "Staff")


def test_what_stands_in_other_agencies_is_told_without_names(
    database_url: str, trio: Small
) -> None:
    trio.agency("Lake")
    trio.client("Amir Haddad", "2016-03-01", agency=2)
    trio.student("Amir Haddad", "2016-03-02")
    trio.appointment("18:00", "19:00")
    note = trio.note()
    with open_small(database_url, trio) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        told = why(practice, STUDENT, "student-2", frozenset({"1"}))
        assert [one.host_id for one in told.candidates] == ["1", ""]
        assert told.candidates[-1] == Candidate.elsewhere()
        assert why(practice, NOTE, note, frozenset({"2"})).candidates == (Candidate.elsewhere(),)
        told = why(practice, STUDENT, "student-2", frozenset({"2"}))
        assert [one.hidden for one in told.candidates] == [False, True]


def test_a_holder_of_another_agency_is_not_named(database_url: str, place: Small) -> None:
    place.agency("Lake")
    place.site("Lake")
    place.client()
    place.student("Amir Haddad", "2016-03-01")
    place.student("Secret Name", site="site-2")
    with open_small(database_url, place) as practice:
        by_person(practice, "student", "student-2", 1)
        practice.run(ACCOUNT, "pull", "automap")
        (told,) = why(practice, STUDENT, "student-1", frozenset({"1"})).candidates
        assert told.taken_by is not None
        assert (told.taken_by.vendor_id, told.taken_by.words) == (
            "",
            "a record of another agency",
        )


def test_fifty_candidates_are_told_at_most(sqlite_url: str, place: Small) -> None:
    for _ in range(60):
        place.client()
    place.student()
    with open_small(sqlite_url, place) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert len(why(practice, STUDENT, "student-1").candidates) == 50


def test_a_record_that_is_not_there_is_an_error(sqlite_url: str, place: Small) -> None:
    with open_small(sqlite_url, place) as practice, pytest.raises(LookupError):
        why(practice, STUDENT, "student-9")
