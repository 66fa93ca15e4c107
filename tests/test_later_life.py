"""What happens to a note and its appointment after they were mapped, and what the row then says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from demo.host.models import Appointment, AppointmentSignature, Client
from ensora_plugin.access import Scope
from ensora_plugin.host.port import ALL, PERMISSIONS, Actor
from ensora_plugin.kinds import NOTE, SITE, STUDENT, USER, Kind
from ensora_plugin.listing.listing import list_row
from ensora_plugin.listing.rows import row_view
from ensora_plugin.mapping.mapping import map_record
from ensora_plugin.models import History, Mapping, Note, RenderingRow, Student
from tests.hands import Hands
from tests.meddling import (
    RENDERED,
    Meddled,
    appointment,
    change,
    chip_of,
    hours,
    person,
    row_of,
    rows,
)
from tests.opened import by_person, open_small, open_small_other
from tests.practices import Practice
from tests.small import ACCOUNT, DAY, ORGANIZATION, Small


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, crowd()) as practice:
        yield practice


@pytest.fixture
def on_each(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, crowd()) as practice:
        yield practice


def crowd() -> Small:
    """Two notes with their appointments, and other people to whom an appointment may be given."""
    small = hours(2)
    small.agency("Southside")
    small.client("Lily Wong")
    small.staff("Sam Ortiz", "sam@clinic.example")
    return small


def facts(id: int = 1, **values: Any) -> Any:
    """Change an appointment as somebody does in the host."""
    return update(Appointment).where(Appointment.id == id).values(**values)


def test_edited_before_the_lock_it_is_applied_again(on_each: Practice) -> None:
    on_each.run()
    on_each.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better."})
    on_each.run(ACCOUNT, "pull")
    assert chip_of(on_each) == ("Waiting", "Version 1 stands there.")
    on_each.run()
    assert appointment(on_each).results_notes == "Better."
    assert rows(on_each)["note-1", 1] == ("replaced", False, [])
    assert rows(on_each)["note-1", 2] == RENDERED
    assert chip_of(on_each)[0] == "Rendered"


def test_edited_after_the_lock_it_reads_changed_after_lock(on_each: Practice) -> None:
    on_each.run()
    change(on_each, facts(locked=True))
    stood = appointment(on_each).updated_at
    on_each.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better."})
    on_each.run()
    word, below = chip_of(on_each)
    assert word == "Changed after lock"
    assert "Version 1 stands there. The appointment is locked." in below
    assert "To mend by: biller." in below
    assert (appointment(on_each).results_notes, appointment(on_each).updated_at) == (
        "Hour 9",
        stood,
    )
    assert rows(on_each)["note-1", 1] == RENDERED
    change(on_each, facts(locked=False))
    on_each.run()
    assert chip_of(on_each)[0] == "Rendered"


def test_unpublished_or_deleted_after_it_was_applied_it_stays_and_asks_a_person(
    practice: Practice,
) -> None:
    practice.run()
    practice.store.unpublish_note(ORGANIZATION, "note-1")
    practice.store.delete_note(ORGANIZATION, "note-2")
    practice.run()
    for note_id in ("note-1", "note-2"):
        said = row_of(practice, note_id)
        assert "withdrawn at the source" in said.note
        assert not said.render_now
        assert chip_of(practice, note_id) == ("Rendered", "Version 1 stands there.")
    assert appointment(practice).results_notes == "Hour 9"


def test_published_again_its_new_version_goes_in(practice: Practice) -> None:
    practice.run()
    practice.store.unpublish_note(ORGANIZATION, "note-1")
    practice.run()
    practice.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Once more."})
    practice.run()
    assert appointment(practice).results_notes == "Once more."
    assert "withdrawn" not in row_of(practice).note
    assert rows(practice)["note-1", 3] == RENDERED


def test_unpublished_before_it_was_applied_it_never_goes_in(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    practice.store.unpublish_note(ORGANIZATION, "note-1")
    practice.run()
    assert "not published" in row_of(practice).note
    assert chip_of(practice) == ("Not published", "")
    assert appointment(practice).results_notes == ""


DRIFTS = {
    "client": ({"client_id": 2}, "appointment of another client now"),
    "staff": ({"staff_id": 2}, "appointment of another staff member now"),
    "agency": ({"agency_id": 2}, "appointment of another agency now"),
    "day": ({"date": DAY - timedelta(days=1)}, "appointment on another day now"),
}


@pytest.mark.parametrize("what", DRIFTS)
def test_an_appointment_given_away_or_moved_before_it_is_written_is_left_alone(
    on_each: Practice, what: str
) -> None:
    values, words = DRIFTS[what]
    on_each.run(ACCOUNT, "pull", "automap")
    change(on_each, facts(**values))
    on_each.state.host = host = Meddled()
    on_each.run(ACCOUNT, "render")
    assert host.calls == [(2, 1)]
    assert rows(on_each)["note-1", 1] == ("refused", False, [f"another_{what}"])
    assert appointment(on_each).results_notes == ""
    said = row_of(on_each)
    assert words in said.note
    assert "To mend by: scheduler." in said.rendering_sub
    # A person who chooses it all the same has said so.
    at, note = person(on_each)
    map_record(at, NOTE, note, "1", seen=1)
    on_each.session.commit()
    on_each.run(ACCOUNT, "render")
    assert appointment(on_each).results_notes == "Hour 9"


def test_an_appointment_given_back_is_written(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    change(practice, facts(client_id=2))
    practice.run(ACCOUNT, "render")
    change(practice, facts(client_id=1))
    practice.run(ACCOUNT, "render")
    assert rows(practice)["note-1", 1] == RENDERED
    assert row_of(practice).note == ""


def test_times_moved_within_the_day_are_told_and_written(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    change(practice, facts(start=time(15), end=time(16)))
    practice.run(ACCOUNT, "render")
    assert rows(practice)["note-1", 1] == RENDERED
    assert row_of(practice).label_sub == "start 360, end 370 min apart"


@pytest.mark.parametrize("what", DRIFTS)
def test_given_away_or_moved_after_it_was_written_it_stays_and_is_flagged(
    practice: Practice, what: str
) -> None:
    values, words = DRIFTS[what]
    practice.run()
    change(practice, facts(**values))
    practice.run()
    assert appointment(practice).results_notes == "Hour 9"
    assert rows(practice)["note-1", 1] == RENDERED
    assert words in row_of(practice).note


def test_another_day_elsewhere_is_no_other_day(sqlite_url: str) -> None:
    small = Small()
    small.agency(zone="Asia/Tokyo")
    small.site()
    small.client()
    small.student(zone="America/New_York")
    small.staff()
    small.user()
    small.note("20:00", "21:00", date(2026, 11, 18))
    small.appointment("10:00", "11:00", date(2026, 11, 19))
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert rows(practice) == {("note-1", 1): RENDERED}
        assert row_of(practice).note == ""


def two_zones() -> Small:
    small = Small()
    small.agency(zone="America/Chicago")
    small.site()
    small.client()
    small.student(zone="America/New_York")
    small.staff()
    small.user()
    return small


@pytest.mark.parametrize("days", [-1, 1])
def test_moved_by_a_day_in_another_zone_it_is_on_another_day(sqlite_url: str, days: int) -> None:
    small = two_zones()
    small.note("13:00", "14:00", date(2026, 11, 18))
    small.appointment("12:00", "13:00", date(2026, 11, 18))
    with open_small(sqlite_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert practice.mapped(ACCOUNT, "note") == {"note-1": "1"}
        change(practice, facts(date=date(2026, 11, 18) + timedelta(days=days)))
        practice.run(ACCOUNT, "render")
        assert rows(practice) == {("note-1", 1): ("refused", False, ["another_day"])}
        assert "appointment on another day now" in row_of(practice).note


def test_paired_over_midnight_in_another_zone_it_is_on_its_day(sqlite_url: str) -> None:
    small = two_zones()
    # 23:58 in Chicago.
    small.note("00:58", "01:58", date(2026, 11, 18))
    small.appointment("00:01", "01:01", date(2026, 11, 18))
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert rows(practice) == {("note-1", 1): RENDERED}
        assert row_of(practice).note == ""


UNREADABLE = ("refused", False, ["unreadable_date_or_time"])


def test_edited_so_that_it_cannot_be_read_it_is_refused_and_says_so(on_each: Practice) -> None:
    on_each.run()
    on_each.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better.", "End Time": ""})
    on_each.run()
    assert rows(on_each)["note-1", 2] == UNREADABLE
    word, below = chip_of(on_each)
    assert word == "Refused"
    assert "Version 1 stands there. The note's date or time cannot be read." in below
    assert "To mend by: therapist." in below
    assert appointment(on_each).results_notes == "Hour 9"
    on_each.store.edit_note(ORGANIZATION, "note-1", {"End Time": "09:50"})
    on_each.run()
    assert rows(on_each)["note-1", 3] == RENDERED


def test_over_midnight_it_is_refused_also_where_a_person_mapped_it(practice: Practice) -> None:
    times = {"Start Time": "23:30", "End Time": "00:30"}
    practice.store.edit_note(ORGANIZATION, "note-1", times)
    practice.run()
    by_person(practice, "note", "note-1", 1)
    practice.run()
    assert rows(practice)["note-1", 2] == UNREADABLE


def test_cancelled_before_it_is_rendered_it_is_refused_and_told(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    change(practice, facts(status="cancelled"))
    practice.run()
    assert rows(practice)["note-1", 1] == ("refused", True, ["cancelled"])
    said = row_of(practice)
    assert "appointment cancelled, or no service" in said.note
    assert "To mend by: scheduler." in said.rendering_sub


def test_rendering_taken_back_by_hand_waits_for_a_person(practice: Practice) -> None:
    practice.run()
    change(practice, facts(status="scheduled", rendered_at=None))
    practice.run()
    assert appointment(practice).status == "scheduled"
    said = row_of(practice)
    assert said.rendering is not None
    assert said.rendering.text == "Un-rendered"
    assert said.render_now


def test_deleted_it_is_flagged_and_the_note_goes_to_another(practice: Practice) -> None:
    practice.run()
    change(practice, delete(AppointmentSignature).where(AppointmentSignature.appointment_id == 1))
    change(practice, delete(Appointment).where(Appointment.id == 1))
    practice.run()
    assert chip_of(practice) == ("Gone", "")
    assert "no longer there" in row_of(practice).note
    assert not row_of(practice).render_now
    at, note = person(practice)
    practice.session.execute(delete(Mapping).where(Mapping.vendor_id == "note-2"))
    map_record(at, NOTE, note, "2", seen=1)
    practice.session.commit()
    assert rows(practice)["note-1", 1] == ("withdrawn", False, [])


def test_re_mapped_by_a_person_it_leaves_the_one_and_goes_into_the_other(
    database_url: str,
) -> None:
    small = crowd()
    second = small.appointment("17:00", "17:50")
    with open_small(database_url, small) as practice:
        practice.run()
        at, note = person(practice)
        map_record(at, NOTE, note, str(second), seen=1)
        practice.session.commit()
        assert (appointment(practice).results_notes, appointment(practice).status) == (
            "",
            "scheduled",
        )
        practice.run()
        assert appointment(practice, second).results_notes == "Hour 9"
        found = practice.session.scalars(
            select(RenderingRow)
            .where(RenderingRow.note_id == "note-1")
            .order_by(RenderingRow.appointment_id)
        ).all()
        assert [(row.appointment_id, row.state) for row in found] == [
            ("1", "withdrawn"),
            (str(second), "rendered"),
        ]
        # Who applied it is still told, and who took it back.
        assert (found[0].applied_run_id, found[0].by) == (1, "ada")
        told = practice.session.scalars(select(History).where(History.action == "withdraw")).one()
        assert (told.by, told.before) == ("ada", {"version": 1, "appointment_id": "1"})


def test_a_re_mapped_person_takes_their_unlocked_notes_along(practice: Practice) -> None:
    practice.run()
    change(practice, facts(2, locked=True))
    at, _ = person(practice)
    change_student(practice, at)
    assert appointment(practice, 1).results_notes == ""
    assert appointment(practice, 2).results_notes == "Hour 10"
    assert practice.mapped(ACCOUNT, "note") == {"note-2": "2"}
    practice.run()
    # What is locked keeps its note, and says that it is another's now.
    assert "appointment of another client" in row_of(practice, "note-2").note


def change_student(practice: Practice, at: Any) -> None:
    student = practice.session.scalars(select(Student)).one()
    happened = map_record(at, STUDENT, student, "2", seen=1)
    practice.session.commit()
    assert (happened.withdrawn, happened.locked) == (1, 1)
    assert happened.removed == {"note": 1}


def test_what_the_host_shows_is_what_the_therapist_wrote(sqlite_url: str) -> None:
    text = (
        "Line one\r\nline two\n\n\t<script>alert(1)</script> {{ 7*7 }} & \u202eshalom\u202c "
        "שלום 👩‍👧‍👦 e\u0301\u200b " + "long " * 20_000
    )
    small = Small()
    small.trio()
    small.note(text=text)
    small.appointment()
    with open_small(sqlite_url, small) as practice:
        practice.run()
        assert appointment(practice).results_notes == text


def test_the_rows_of_other_agencies_say_nothing_of_their_renderings(practice: Practice) -> None:
    change(practice, update(Client).values(terminated_on=DAY - timedelta(days=9)))
    practice.run()
    change(practice, facts(agency_id=2))
    actor = Actor("2", "bo", frozenset([1]), frozenset(["view", "map", "render"]))
    scope = Scope.of(practice.account_id(ACCOUNT), ACCOUNT, actor)
    record = practice.session.scalars(select(Note.id).where(Note.vendor_id == "note-1")).one()
    row = list_row(practice.session, scope, practice.state.host, NOTE, record)
    with practice.app.test_request_context():
        said = row_view(row, scope, NOTE, at="", pages=())
    assert said.label == "another agency"
    assert (said.rendering, said.rendering_sub, said.evidence_of) == (None, "", "")


@pytest.mark.parametrize("kind", [SITE, STUDENT, USER], ids=lambda kind: kind.name)
@pytest.mark.parametrize("host", ["demo", "other"])
def test_a_mapped_entity_that_vanishes_keeps_its_mapping_and_the_row_says_so(
    database_url: str, host: str, kind: Kind
) -> None:
    small = Small()
    small.agency()
    small.site()
    small.client(active=True)
    small.student()
    small.staff(active=True)
    small.user()
    small.appointment(kind="service", status="scheduled", locked=False, results_notes="")
    opened = open_small if host == "demo" else open_small_other
    with opened(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        before = practice.mapped(ACCOUNT, kind.name)
        assert list(before) == [f"{kind.name}-1"]
        assert remark_of(practice, kind) == ""
        vanish(Hands(practice), kind)
        practice.run(ACCOUNT, "automap")
        assert practice.mapped(ACCOUNT, kind.name) == before
        assert remark_of(practice, kind) == "no longer there"


def remark_of(practice: Practice, kind: Kind) -> str:
    everywhere = Actor("1", "ada", ALL, PERMISSIONS)
    scope = Scope.of(practice.account_id(ACCOUNT), ACCOUNT, everywhere)
    record = practice.session.scalars(select(kind.model.id)).one()
    with practice.app.test_request_context():
        row = list_row(practice.session, scope, practice.state.host, kind, record)
        said = row_view(row, scope, kind, at="", pages=()).note
    practice.session.rollback()
    return said


def vanish(hands: Hands, kind: Kind) -> None:
    """Delete an entity, with whatever in the host points to it."""
    hands.delete("appointment", 1)
    if kind in (SITE, USER):
        hands.leave(1, 1)
    if kind is SITE:
        hands.delete("client", 1)
    hands.delete(kind.entity, 1)
