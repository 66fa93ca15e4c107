"""The demo host's validations: each refusal, and what just passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from demo.host import rendering
from demo.host.models import Appointment, Authorization, db
from demo.host.rules import validate
from tests.practice import (
    DAY,
    LATER,
    NOTE,
    agency,
    appointment,
    client,
    note,
    open_practice,
    signature,
    staff,
)


@pytest.fixture(autouse=True)
def practice() -> Iterator[None]:
    with open_practice().app_context():
        yield


def render(**changes: Any) -> rendering.Outcome:
    outcome = rendering.render(db.session, appointment(), note(**changes), now=LATER)
    db.session.commit()
    return outcome


def codes(outcome: rendering.Outcome) -> list[str]:
    return [refusal.code for refusal in outcome.refusals]


def another(**facts: Any) -> None:
    """A rendered appointment of the same client and staff, apart from what `facts` say."""
    one = Appointment(
        account_id="bright-steps",
        agency_id=1,
        client_id=1,
        staff_id=1,
        date=DAY,
        start=time(9),
        end=time(10),
        status="rendered",
    )
    for name, value in facts.items():
        setattr(one, name, value)
    db.session.add(one)
    db.session.commit()


def cancelled() -> None:
    appointment().status = "cancelled"


def meeting() -> None:
    appointment().kind = "meeting"


def ended_services() -> None:
    client().terminated_on = DAY - timedelta(days=1)


def ended_employment() -> None:
    staff().inactive_from = DAY - timedelta(days=1)


def no_authorization() -> None:
    db.session.get_one(Authorization, 1).ends_on = DAY - timedelta(days=1)


def used_up() -> None:
    db.session.get_one(Authorization, 1).hours = 0.99


def overlapping() -> None:
    another(start=time(13, 59), end=time(15), client_id=2)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (cancelled, "cancelled"),
        (meeting, "not_a_service"),
        (ended_services, "client_terminated"),
        (ended_employment, "staff_inactive"),
        (no_authorization, "no_authorization"),
        (used_up, "authorization_hours_used_up"),
        (overlapping, "overlap"),
    ],
)
def test_a_fact_of_the_appointment_refuses_and_the_note_is_stored_all_the_same(
    make: Callable[[], None], code: str
) -> None:
    make()
    outcome = render()
    assert (outcome.stored, outcome.rendered, codes(outcome)) == (True, False, [code])
    assert appointment().results_notes == NOTE.text
    assert appointment().signature is not None
    assert appointment().status != "rendered"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": " \n\t"}, "notes_required"),
        ({"therapist_signature": None}, "therapist_signature_missing"),
        ({"therapist_signature": signature(blank=True)}, "therapist_signature_missing"),
        ({"guardian_signature": None}, "guardian_signature_missing"),
        ({"guardian_signature": signature(blank=True)}, "guardian_signature_missing"),
    ],
)
def test_a_note_that_lacks_something_is_refused(changes: dict[str, Any], code: str) -> None:
    agency().guardian_signature_required = True
    assert codes(render(**changes)) == [code]


def test_what_the_appointment_and_the_agency_do_not_require_is_not_missed() -> None:
    appointment().notes_required = False
    assert render(text="", guardian_signature=None).rendered


def test_the_last_day_of_services_and_of_employment_still_counts() -> None:
    client().terminated_on = staff().inactive_from = DAY
    assert render().rendered


def test_a_session_is_over_by_the_clock_of_its_agency() -> None:
    over_in_new_york = datetime(2026, 3, 10, 18, 0, tzinfo=UTC)
    render(text="")
    for seconds, refused in ((-1, True), (0, False)):
        now = over_in_new_york + timedelta(seconds=seconds)
        found = [refusal.code for refusal in validate(db.session, appointment(), now=now)]
        assert ("not_over_yet" in found) is refused
    agency().time_zone = "America/Los_Angeles"
    found = [refusal.code for refusal in validate(db.session, appointment(), now=over_in_new_york)]
    assert "not_over_yet" in found


@pytest.mark.parametrize(
    "facts",
    [
        {"start": time(14), "end": time(15)},
        {"start": time(12), "end": time(13)},
        {"start": time(13), "staff_id": 2, "client_id": 2},
        {"start": time(13), "end": time(14), "date": DAY + timedelta(days=1)},
        {"start": time(13), "end": time(14), "status": "scheduled"},
    ],
)
def test_what_only_touches_or_is_not_rendered_or_is_another_day_or_person_does_not_overlap(
    facts: dict[str, Any],
) -> None:
    another(**facts)
    assert render().rendered


def test_overlaps_are_seen_across_time_zones() -> None:
    agency(2).time_zone = "America/Chicago"
    another(agency_id=2, client_id=2, start=time(12), end=time(13))
    assert codes(render()) == ["overlap"]


def test_hours_count_what_is_rendered_within_the_authorization_only() -> None:
    db.session.get_one(Authorization, 1).hours = 2.0
    another(date=date(2026, 2, 28))
    another(status="scheduled")
    another(client_id=2)
    another()
    assert render().rendered
    appointment().status = "scheduled"
    another(start=time(8), end=time(8, 1))
    assert codes(render()) == ["authorization_hours_used_up"]


def test_a_second_authorization_with_hours_left_is_enough() -> None:
    used_up()
    days = {"starts_on": DAY, "ends_on": DAY}
    db.session.add(Authorization(client_id=1, number="A-2", hours=1, **days))
    assert render().rendered


def test_every_refusal_is_listed_at_once() -> None:
    cancelled()
    meeting()
    ended_services()
    outcome = render(text="", therapist_signature=None)
    assert codes(outcome) == [
        "cancelled",
        "not_a_service",
        "notes_required",
        "therapist_signature_missing",
        "client_terminated",
    ]
