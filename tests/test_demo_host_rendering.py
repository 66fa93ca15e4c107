"""What a session note does to an appointment of the demo host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from demo.host import rendering
from demo.host.clock import stored
from demo.host.models import AppointmentSignature, Authorization, db
from tests.practice import (
    DAY,
    LATER,
    NOTE,
    agency,
    appointment,
    note,
    open_practice,
    signature,
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


def lock_by_hand() -> None:
    appointment().locked = True


def lock_payroll() -> None:
    agency().payroll_locked_until = DAY


def lock_billing() -> None:
    agency().billing_locked_until = DAY + timedelta(days=1)


def used_up() -> None:
    db.session.get_one(Authorization, 1).hours = 0.99


def test_a_note_that_meets_every_validation_renders_the_appointment_and_stores_its_facts() -> None:
    assert render() == rendering.Outcome(True, True, [])
    one, window = appointment(), appointment().signature
    assert (one.status, one.rendered_at) == ("rendered", LATER.replace(tzinfo=None))
    assert one.results_notes == NOTE.text
    assert window is not None
    assert (window.guardian_name, window.relationship_to_client) == ("Dana Haddad", "Mother")
    assert (window.session_date, window.session_start, window.session_end) == (
        DAY,
        time(13, 2),
        time(14, 1),
    )
    assert window.guardian_signature == b"\x89PNG guardian"
    assert window.therapist_signature == b"\x89PNG therapist"
    assert window.therapist_signed_at == stored(datetime(2026, 3, 10, 18, 2, tzinfo=UTC))
    places = (one.render_location, window.guardian_location, window.therapist_location)
    assert set(places) == {NOTE.location}


@pytest.mark.parametrize(
    ("lock", "code"),
    [(lock_by_hand, "locked"), (lock_payroll, "period_locked"), (lock_billing, "period_locked")],
)
def test_a_locked_appointment_is_not_touched(lock: Callable[[], None], code: str) -> None:
    lock()
    outcome = render()
    assert (outcome.stored, outcome.rendered, codes(outcome)) == (False, False, [code])
    assert appointment().results_notes == ""
    assert appointment().signature is None


def test_a_period_that_ended_the_day_before_locks_nothing() -> None:
    agency().payroll_locked_until = DAY - timedelta(days=1)
    assert render().rendered


def test_the_same_version_again_changes_nothing() -> None:
    render()
    db.session.commit()
    stamps = appointment().updated_at, appointment().rendered_at
    later = LATER + timedelta(days=1)
    again = rendering.render(db.session, appointment(), note(text="other"), now=later)
    assert again == rendering.Outcome(True, True)
    assert not db.session.dirty
    assert (appointment().updated_at, appointment().rendered_at) == stamps
    assert appointment().results_notes == NOTE.text


def test_the_same_version_is_tried_again_once_the_cause_is_gone() -> None:
    used_up()
    assert not render().rendered
    db.session.get_one(Authorization, 1).hours = 10
    assert render().rendered


def test_a_later_version_is_written_and_may_take_the_rendering_back() -> None:
    render()
    assert render(version=2, text="New words.").rendered
    assert appointment().results_notes == "New words."
    assert codes(render(version=3, therapist_signature=None)) == ["therapist_signature_missing"]
    assert (appointment().status, appointment().rendered_at) == ("scheduled", None)


def test_withdraw_takes_text_signatures_and_rendering_out() -> None:
    render()
    assert rendering.withdraw(db.session, appointment(), NOTE) == rendering.Outcome(True, False)
    db.session.commit()
    one = appointment()
    assert (one.results_notes, one.render_location, one.signature) == ("", "", None)
    assert (one.status, one.rendered_at) == ("scheduled", None)
    assert rendering.withdraw(db.session, one, NOTE).stored


def test_withdraw_is_refused_in_words_where_the_appointment_is_locked() -> None:
    render()
    lock_payroll()
    outcome = rendering.withdraw(db.session, appointment(), NOTE)
    assert (outcome.stored, outcome.rendered, codes(outcome)) == (False, True, ["period_locked"])
    assert "payroll" in outcome.refusals[0].text
    assert appointment().results_notes == NOTE.text


def test_withdraw_leaves_what_another_note_wrote() -> None:
    render()
    outcome = rendering.withdraw(db.session, appointment(), note(vendor_id="note-2"))
    assert outcome == rendering.Outcome(True, True)
    assert appointment().results_notes == NOTE.text


def sign_by_hand(who: str) -> None:
    window = appointment().signature or AppointmentSignature(source="")
    appointment().signature = window
    setattr(window, f"{who}_signature", b"on paper")
    setattr(window, f"{who}_by_hand", True)
    db.session.commit()


def signed(who: str = "therapist") -> tuple[bytes | None, bool]:
    """The picture of a signature, and whether it was made by hand."""
    window = appointment().signature
    assert window is not None
    return getattr(window, f"{who}_signature"), getattr(window, f"{who}_by_hand")


def test_a_signature_made_by_hand_gives_place_to_ink_alone() -> None:
    sign_by_hand("therapist")
    assert render(therapist_signature=signature(blank=True)).rendered
    assert signed() == (b"on paper", True)
    assert render(version=2).rendered
    assert signed() == (b"\x89PNG therapist", False)
    assert render(version=3, therapist_signature=signature(blank=True)).rendered
    assert signed() == (b"on paper", True)


def test_a_signature_made_by_hand_comes_back_when_the_note_is_taken_out() -> None:
    sign_by_hand("therapist")
    render()
    assert signed("guardian") == (b"\x89PNG guardian", False)
    rendering.withdraw(db.session, appointment(), NOTE)
    db.session.commit()
    assert signed() == (b"on paper", True)
    assert signed("guardian") == (None, False)


def test_the_verbs_flush_and_never_commit() -> None:
    rendering.render(db.session, appointment(), NOTE, now=LATER)
    db.session.rollback()
    assert (appointment().status, appointment().signature) == ("scheduled", None)
