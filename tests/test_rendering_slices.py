"""A rendering step that lets others go first again and again counts all, and comes to an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import update

from demo.host.models import Appointment
from ensora_plugin.errors import EndedByPerson
from ensora_plugin.runs.runs import ask_to_stop
from ensora_plugin.runs.sync import Stopped, perform
from tests.meddling import Meddled, change, hours
from tests.opened import open_small
from tests.practices import Practice
from tests.running import claimed, due, run_of
from tests.small import ACCOUNT

NOTES, IN_A_SLICE = 6, 2


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, hours(NOTES)) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        yield practice


def after(count: int) -> Callable[[], bool]:
    """Ask to stop when so many notes were rendered."""
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > count

    return stopping


def slices(practice: Practice, run_id: int) -> int:
    """Work on a run until it has ended; return how many slices it took."""
    for number in range(1, 2 * NOTES):
        ours = claimed(practice, run_id)
        services = replace(practice.state.services(), stopping=after(IN_A_SLICE))
        try:
            perform(services, ours)
        except Stopped:
            continue
        return number
    raise AssertionError("it never ends")


def counted(practice: Practice, run_id: int) -> tuple[int, int]:
    counts = practice.counts(run_of(practice, run_id))["note"]
    return counts.rendered, counts.refused


def test_what_was_rendered_before_others_went_first_is_counted(practice: Practice) -> None:
    run_id = due(practice, ACCOUNT, ("render",))
    assert slices(practice, run_id) == NOTES // IN_A_SLICE
    assert counted(practice, run_id) == (NOTES, 0)


def test_old_refusals_hold_up_nothing_new_and_are_each_asked_once(practice: Practice) -> None:
    change(practice, update(Appointment).where(Appointment.id <= 4).values(kind="meeting"))
    first = due(practice, ACCOUNT, ("render",))
    slices(practice, first)
    assert counted(practice, first) == (2, 4)
    practice.state.host = host = Meddled()
    again = due(practice, ACCOUNT, ("render",))
    assert slices(practice, again) == 4 // IN_A_SLICE
    assert [appointment for appointment, _ in host.calls] == [1, 2, 3, 4]
    assert counted(practice, again) == (0, 0)


def test_what_was_never_tried_goes_before_old_refusals(practice: Practice) -> None:
    change(practice, update(Appointment).where(Appointment.id <= 4).values(kind="meeting"))
    run_id = due(practice, ACCOUNT, ("render",))
    services = replace(practice.state.services(), stopping=after(4))
    with pytest.raises(Stopped):
        perform(services, claimed(practice, run_id))
    practice.state.host = host = Meddled()
    with practice.outside(), practice.app.app_context():
        ask_to_stop(practice.session, practice.account_id(ACCOUNT), "ada")
    practice.run(ACCOUNT, "render")
    assert [appointment for appointment, _ in host.calls] == [5, 6, 1, 2, 3, 4]


def test_what_was_rendered_before_a_person_stopped_it_is_counted(practice: Practice) -> None:
    run_id = due(practice, ACCOUNT, ("render",))
    ours = claimed(practice, run_id)
    told = after(2)

    def stopping() -> bool:
        if told():
            practice.session.rollback()
            ask_to_stop(practice.session, practice.account_id(ACCOUNT), "ada")
        return False

    with pytest.raises(EndedByPerson):
        perform(replace(practice.state.services(), stopping=stopping), ours)
    assert run_of(practice, run_id).state == "stopped"
    assert counted(practice, run_id) == (2, 0)
