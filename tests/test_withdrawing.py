"""Taking notes back where the host fails, and what a re-mapped site lets go of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, update

from demo.host.adapter import DemoHost
from demo.host.models import Appointment, db
from ensora_plugin.errors import NotAllowed
from ensora_plugin.kinds import NOTE, SITE, STUDENT
from ensora_plugin.mapping.mapping import map_record, unmap_record
from ensora_plugin.mapping.releasing import Consequences
from ensora_plugin.models import Content, Mapping, Rejected, Site, Student
from tests.meddling import RENDERED, Meddled, appointment, change, hours, person, rows
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, ORGANIZATION, Small


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    small = hours(3)
    small.client("Lily Wong")
    with open_small(database_url, small) as practice:
        practice.run()
        yield practice


def raising() -> None:
    raise LookupError("Amir Haddad")


def committing() -> None:
    db.session.commit()


def committing_and_going_on() -> None:
    try:
        db.session.commit()
    except RuntimeError:
        db.session.get_one(Appointment, 2).results_notes = "left behind"


def for_the_second(fault: Callable[[], None]) -> Meddled:
    return Meddled(taking=lambda appointment_id: fault() if appointment_id == 2 else None)


def re_map_the_student(practice: Practice) -> Consequences:
    at, _ = person(practice)
    student = practice.session.scalars(select(Student)).one()
    happened = map_record(at, STUDENT, student, "2", seen=1)
    practice.session.commit()
    return happened


@pytest.mark.parametrize("fault", [raising, committing, committing_and_going_on])
def test_a_host_that_fails_keeps_that_note_and_the_others_leave(
    practice: Practice, fault: Callable[[], None]
) -> None:
    practice.state.host = for_the_second(fault)
    happened = re_map_the_student(practice)
    assert (happened.withdrawn, happened.locked) == (2, 1)
    texts = [appointment(practice, id).results_notes for id in (1, 2, 3)]
    assert texts == ["", "Hour 10", ""]
    assert practice.mapped(ACCOUNT, "note") == {"note-2": "2"}
    gone = ("withdrawn", False, [])
    assert list(rows(practice).values()) == [gone, RENDERED, gone]


@pytest.mark.parametrize(
    ("fault", "words"),
    [(raising, "LookupError"), (committing, "ended the transaction")],
)
def test_a_person_who_deletes_one_mapping_is_told_and_nothing_changes(
    practice: Practice, fault: Callable[[], None], words: str
) -> None:
    change(practice, update(Mapping).where(Mapping.kind == "note").values(state="user", by="ada"))
    practice.state.host = for_the_second(fault)
    before = practice.changed_rows()
    at, note = person(practice, "note-2")
    with pytest.raises(NotAllowed, match=words) as told:
        unmap_record(at, NOTE, note, seen=1)
    assert "Haddad" not in str(told.value)
    practice.session.rollback()
    assert practice.changed_rows() == before
    assert appointment(practice, 2).results_notes == "Hour 10"


def test_a_host_that_throws_the_transaction_away_changes_nothing(practice: Practice) -> None:
    practice.state.host = for_the_second(lambda: db.session.rollback())
    before = practice.changed_rows()
    with pytest.raises(NotAllowed, match="Nothing was changed"):
        re_map_the_student(practice)
    practice.session.rollback()
    assert practice.changed_rows() == before
    assert appointment(practice, 1).results_notes == "Hour 9"
    practice.state.host = DemoHost()
    assert re_map_the_student(practice).withdrawn == 3


def test_a_verb_may_use_savepoints_of_its_own(practice: Practice) -> None:
    def nested() -> None:
        with db.session.begin_nested():
            db.session.get_one(Appointment, 2).render_location = "inside"

    practice.state.host = for_the_second(nested)
    assert re_map_the_student(practice).withdrawn == 3
    assert appointment(practice, 2).render_location == "inside"


def moved() -> Small:
    """A student who moved from site 1 to site 2, with a note of each; both are one agency's."""
    small = Small()
    small.agency()
    small.agency("Southside")
    small.site()
    small.site("Southside")
    small.client(agency=2)
    small.student(site="site-2")
    small.staff(agencies=(1, 2))
    small.user(sites=("site-1", "site-2"))
    small.note("09:00", "10:00", site="site-1")
    small.appointment("09:00", "10:00", agency=1)
    small.note("11:00", "12:00", site="site-2")
    small.appointment("11:00", "12:00", agency=2)
    # Another student of site 1, to whom nothing happens.
    small.client("Lily Wong", "2017-03-04")
    small.student("Lily Wong", "2017-03-04", site="site-1")
    small.note("15:00", "16:00", student="student-2", site="site-1")
    small.appointment("15:00", "16:00", client=2)
    return small


def re_map_site_2(practice: Practice) -> Consequences:
    practice.session.rollback()
    spare = practice.session.scalar(select(db.func.count()).select_from(Appointment))
    assert spare == 3
    at, _ = person(practice)
    site = practice.session.scalars(select(Site).where(Site.vendor_id == "site-2")).one()
    happened = map_record(at, SITE, site, "3", seen=1)
    practice.session.commit()
    return happened


def test_a_re_mapped_site_lets_go_of_its_students_notes_wherever_they_were_written(
    database_url: str,
) -> None:
    small = moved()
    small.agency("Harbor")
    with open_small(database_url, small) as practice:
        practice.run()
        assert len(practice.mapped(ACCOUNT, "note")) == 3
        happened = re_map_site_2(practice)
        assert happened.removed == {"student": 1, "note": 2}
        assert happened.withdrawn == 2
        assert practice.mapped(ACCOUNT, "note") == {"note-3": "3"}
        assert practice.mapped(ACCOUNT, "student") == {"student-2": "2"}
        # The user still has a mapped site.
        assert practice.mapped(ACCOUNT, "user") == {"user-1": "1"}
        rejected = practice.session.execute(select(Rejected.kind, Rejected.vendor_id)).all()
        assert [tuple(row) for row in rejected] == [("site", "site-2")]
        # When the site is put right, all of them come back.
        at, _ = person(practice)
        site = practice.session.scalars(select(Site).where(Site.vendor_id == "site-2")).one()
        map_record(at, SITE, site, "2", seen=2)
        practice.session.commit()
        practice.run()
        assert len(practice.mapped(ACCOUNT, "note")) == 3
        assert appointment(practice).results_notes == "Went well."


def test_a_version_that_was_taken_back_is_kept(practice: Practice) -> None:
    re_map_the_student(practice)
    practice.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better."})
    practice.run(ACCOUNT, "pull")
    kept = practice.session.scalars(
        select(Content.version).where(Content.note_id == "note-1").order_by(Content.version)
    ).all()
    assert kept == [1, 2]
