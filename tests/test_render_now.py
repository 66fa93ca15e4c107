"""A person asks for one rendering: what comes of it, who may, and that it happens once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from demo.host.models import Appointment, Client
from ensora_plugin.errors import NotAllowed
from ensora_plugin.models import History, Mapping, Note, RenderingRow
from ensora_plugin.rendering.applying import Work
from ensora_plugin.rendering.rendering import render_now
from tests.meddling import RENDERED, Meddled, appointment, change, hours, row_of, rows
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, DAY, ORGANIZATION, Small


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, hours(2)) as practice:
        yield practice


def ask(practice: Practice, note_id: str = "note-1") -> str | None:
    state = practice.state
    account_id = practice.account_id(ACCOUNT)
    record = practice.session.scalars(select(Note.id).where(Note.vendor_id == note_id)).one()
    parts = (state.session, account_id, ACCOUNT, state.host, state.sealer)
    return render_now(Work(*parts, run_id=None, still_ours=lambda: None, by="ada"), record)


def test_it_renders_that_note_alone_and_is_signed(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    assert ask(practice) == "rendered"
    assert rows(practice) == {("note-1", 1): RENDERED}
    row = practice.session.scalars(select(RenderingRow)).one()
    assert (row.by, row.run_id, row.applied_by, row.applied_run_id) == ("ada", None, "ada", None)
    told = practice.session.scalars(select(History).where(History.action == "render")).one()
    assert (told.by, told.vendor_id) == ("ada", "note-1")
    assert told.after == {"version": 1, "appointment_id": "1", "state": "rendered"}


def test_a_refusal_is_tried_again_at_once_when_its_cause_is_gone(practice: Practice) -> None:
    change(practice, update(Client).values(terminated_on=DAY - timedelta(days=1)))
    practice.run()
    assert row_of(practice).render_now
    assert ask(practice) is None
    change(practice, update(Client).values(terminated_on=None))
    assert ask(practice) == "rendered"
    row = practice.session.scalars(select(RenderingRow).where(RenderingRow.note_id == "note-1"))
    # A run had written it, a person had it rendered.
    assert [(one.by, one.applied_by, one.applied_run_id) for one in row] == [("ada", None, 1)]


def test_what_is_rendered_is_not_rendered_again(practice: Practice) -> None:
    practice.run()
    practice.state.host = host = Meddled()
    assert ask(practice) is None
    assert host.calls == []


def test_what_was_taken_back_by_hand_is_rendered_again(practice: Practice) -> None:
    practice.run()
    change(practice, update(Appointment).values(status="scheduled", rendered_at=None))
    assert ask(practice) == "rendered"
    assert appointment(practice).status == "rendered"
    assert appointment(practice, 2).status == "scheduled"


def test_what_is_refused_after_it_was_taken_back_by_hand_is_tried_again_by_runs(
    practice: Practice,
) -> None:
    practice.run()
    change(practice, update(Appointment).values(status="scheduled", rendered_at=None))
    change(practice, update(Client).values(terminated_on=DAY - timedelta(days=1)))
    assert ask(practice) == "refused"
    change(practice, update(Client).values(terminated_on=None))
    practice.run()
    assert rows(practice)["note-1", 1] == RENDERED
    assert appointment(practice).status == "rendered"
    # Nobody asked for the other one.
    assert appointment(practice, 2).status == "scheduled"


def test_what_cannot_be_rendered_is_said(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    with pytest.raises(NotAllowed, match="mapped to no appointment"):
        ask(practice)
    practice.run(ACCOUNT, "automap")
    practice.store.unpublish_note(ORGANIZATION, "note-1")
    practice.run(ACCOUNT, "pull")
    with pytest.raises(NotAllowed, match="not published"):
        ask(practice)
    change(practice, update(Mapping).where(Mapping.vendor_id == "note-2").values(host_id="99"))
    with pytest.raises(NotAllowed, match="mapped to no appointment"):
        ask(practice, "note-2")


def test_people_and_a_run_at_the_same_moment_render_once(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    practice.state.host = host = Meddled()
    ready = threading.Barrier(4)
    came: list[str | None] = []

    def person() -> None:
        with practice.app.app_context():
            ready.wait(10)
            came.append(ask(practice))
            practice.session.close()

    people = [threading.Thread(target=person) for _ in range(3)]
    for one in people:
        one.start()
    ready.wait(10)
    practice.run(ACCOUNT, "render")
    for one in people:
        one.join(20)
    assert sorted(host.calls) == [(1, 1), (2, 1)]
    assert len(came) == 3
    assert list(rows(practice).values()) == [RENDERED] * 2


def test_two_at_the_same_moment_do_not_both_render_what_overlaps(postgres_url: str) -> None:
    small = Small()
    small.trio()
    small.client("Lily Wong", "2017-03-04")
    small.student("Lily Wong", "2017-03-04")
    small.note("09:00", "10:00")
    small.appointment("09:00", "10:00")
    small.note("09:30", "10:30", student="student-2")
    small.appointment("09:30", "10:30", client=2)
    with open_small(postgres_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        people: list[threading.Thread] = []

        def elsewhere() -> None:
            with practice.app.app_context():
                ask(practice, "note-2")
                practice.session.close()

        def meanwhile(appointment_id: int) -> None:
            if appointment_id == 1 and not people:
                people.append(threading.Thread(target=elsewhere))
                people[0].start()
                # It waits for the staff member until this one is committed.
                people[0].join(0.5)

        practice.state.host = Meddled(after=meanwhile)
        practice.run(ACCOUNT, "render")
        people[0].join(20)
        assert [appointment(practice, id).status for id in (1, 2)] == ["rendered", "scheduled"]
        assert rows(practice)["note-2", 1] == ("refused", True, ["overlap"])
