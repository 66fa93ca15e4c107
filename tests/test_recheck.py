"""Unmapped notes are tried again exactly where their appointments are not what automap saw of them,
without a word from the host; in both hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ensora_plugin.automap.recheck import touch_changed
from ensora_plugin.automap.trying import held_generation
from ensora_plugin.models import Mapping, Note
from tests.hands import Hands
from tests.opened import open_small, open_small_other
from tests.small import ACCOUNT, DAY, EAST, Small

SERVICE = {"kind": "service", "status": "scheduled", "locked": False, "results_notes": ""}


def small(zone: str = EAST) -> Small:
    """A note without an appointment, one an hour before the only one, and one before two."""
    made = Small()
    made.agency()
    made.agency("West", "America/Chicago")
    made.site()
    made.client(active=True)
    made.student(zone=zone)
    for name in ("Jo Keller", "Kim Other"):
        made.staff(name, active=True)
    made.user()
    for weeks in range(3):
        made.note(day=_day(weeks))
    for day in (_day(1), _day(2), _day(2)):
        made.appointment("14:00", "15:00", day, **SERVICE)
    return made


def _day(weeks: int) -> date:
    return DAY - timedelta(weeks=weeks)


@pytest.fixture(params=["demo", "other"])
def hands(request: pytest.FixtureRequest, database_url: str) -> Iterator[Hands]:
    with opened(request.param, database_url, small()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        yield Hands(practice)


def opened(host: str, url: str, made: Small) -> Any:
    return (open_small if host == "demo" else open_small_other)(url, made)


def tried_again(hands: Hands, since: date = date.min) -> set[str]:
    """The notes that would be tried again."""
    practice = hands.practice
    session, account_id = practice.session, practice.account_id(ACCOUNT)
    appointment = practice.state.host.appointments(ACCOUNT).subquery("appointment")
    touch_changed(session, account_id, appointment, since)
    generation = held_generation(session, account_id)
    touched = set(session.scalars(select(Note.vendor_id).where(Note.touched == generation)))
    session.rollback()
    return touched


def test_what_did_not_change_is_not_tried_again(hands: Hands) -> None:
    assert tried_again(hands) == set()


@pytest.mark.parametrize(
    "values",
    [
        {"start": time(13, 30)},
        {"end": time(15, 30)},
        {"date": _day(0)},
        {"staff": 2},
        {"agency": 2},
    ],
    ids=str,
)
def test_a_changed_appointment_lets_the_notes_of_its_day_be_tried(
    hands: Hands, values: dict[str, Any]
) -> None:
    told = {f"{name}_id": hands.id(name, one) for name, one in values.items() if type(one) is int}
    hands.change("appointment", 1, **(told or values))
    other_day = {"note-1"} if "date" in values else set()
    assert tried_again(hands) == {"note-2"} | other_day


def test_an_appointment_more_or_less_lets_the_notes_of_its_day_be_tried(hands: Hands) -> None:
    hands.copy("appointment", 1, to=9)
    assert tried_again(hands) == {"note-2"}
    hands.practice.run(ACCOUNT, "automap")
    assert tried_again(hands) == set()
    hands.delete("appointment", 9)
    hands.delete("appointment", 2)
    assert tried_again(hands) == {"note-2", "note-3"}


def test_an_appointment_that_got_another_holder_lets_the_notes_of_its_day_be_tried(
    hands: Hands,
) -> None:
    session, account_id = hands.practice.session, hands.practice.account_id(ACCOUNT)
    held = Mapping(
        account_id=account_id,
        kind="note",
        vendor_id="note-1",
        host_id=str(hands.id("appointment", 1)),
        state="user",
        by="ada",
        at=session.scalar(select(Mapping.at).limit(1)),
    )
    session.add(held)
    session.commit()
    assert "note-2" in tried_again(hands)


def test_notes_before_the_first_day_are_left_alone(hands: Hands) -> None:
    hands.delete("appointment", 1)
    assert tried_again(hands, since=_day(1)) == {"note-2"}
    assert tried_again(hands, since=_day(1) + timedelta(days=1)) == set()


def test_of_more_than_two_appointments_nothing_is_kept(hands: Hands) -> None:
    hands.copy("appointment", 2, to=9)
    hands.practice.run(ACCOUNT, "automap")
    assert tried_again(hands) == {"note-3"}


def test_notes_with_an_appointment_of_another_zone_beside_them_are_tried_again(
    database_url: str,
) -> None:
    with opened("demo", database_url, small("America/Denver")) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        hands = Hands(practice)
        # Another day's note may compete for it, and that day is not looked at.
        assert tried_again(hands) == {"note-2", "note-3"}
        hands.change("appointment", 1, date=_day(1) + timedelta(days=2))
        practice.run(ACCOUNT, "automap")
        assert tried_again(hands) == {"note-3"}
        hands.change("appointment", 1, date=_day(1) + timedelta(days=1))
        assert tried_again(hands) == {"note-2", "note-3"}
