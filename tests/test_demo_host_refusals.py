"""Each refusal of the demo host, caused and cured by a person on its pages alone."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from flask import Flask
from PIL import Image, ImageDraw

from demo.host import rendering
from demo.host.models import Appointment, AppointmentSignature, db
from demo.host.rules import MENDED_BY
from tests.practice import LATER, NOTE, Browser, appointment, note, open_practice, stored_value

PAGE = "/appointments/1"
VISIT = {
    "agency_id": "1",
    "kind": "service",
    "client_id": "1",
    "staff_id": "1",
    "date": "2026-03-10",
    "start": "13:00",
    "end": "14:00",
    "notes_required": "y",
    "results_notes": "Went well.",
}
CLIENT = {
    "first_name": "Amir",
    "last_name": "Haddad",
    "date_of_birth": "2016-02-29",
    "gender": "",
    "agency_id": "1",
    "terminated_on": "",
    "active": "y",
}
STAFF = {
    "first_name": "Jo",
    "last_name": "Keller",
    "email": "jo@practice.example",
    "agency_ids": ["1", "2"],
    "inactive_from": "",
    "has_user_account": "y",
    "active": "y",
}
AGENCY = {
    "name": "Northside Clinic",
    "time_zone": "America/New_York",
    "payroll_locked_until": "",
    "billing_locked_until": "",
}
HOURS = {"number": "A-1", "starts_on": "2026-03-01", "ends_on": "2026-03-31", "hours": "3"}


@pytest.fixture(autouse=True)
def moment() -> Iterator[None]:
    with time_machine.travel(LATER, tick=True):
        yield


@pytest.fixture
def app() -> Flask:
    return open_practice()


@pytest.fixture
def ada(app: Flask) -> Browser:
    """A person before whom lies an appointment that nothing stands in the way of."""
    browser = Browser(app, "ada")
    visit()(browser)
    sign("therapist")(browser)
    assert codes(browser) == []
    return browser


def codes(browser: Browser) -> list[str]:
    return re.findall(r'data-code="(\w+)"', browser.get(PAGE).text)


def picture(*, blank: bool = False) -> io.BytesIO:
    image = Image.new("L", (60, 30), 255)
    if not blank:
        ImageDraw.Draw(image).line((5, 5, 50, 25), fill=0, width=3)
    out = io.BytesIO()
    image.save(out, "PNG")
    return io.BytesIO(out.getvalue())


Step = Callable[[Browser], Any]


def edit(path: str, fields: dict[str, Any]) -> Callable[..., Step]:
    """Send a page's form, with some fields changed; None leaves one out."""

    def changed(**changes: Any) -> Step:
        def do(browser: Browser) -> None:
            sent = {name: value for name, value in (fields | changes).items() if value is not None}
            assert browser.post(path, page=path, **sent).status_code == 302

        return do

    return changed


visit = edit("/appointments/edit/?id=1", VISIT)
client = edit("/clients/edit/?id=1", CLIENT)
staff = edit("/staff/edit/?id=1", STAFF)
agency = edit("/agencies/edit/?id=1", AGENCY)
authorization = edit("/clients/1/authorizations/1", HOURS)


def button(name: str, id: int = 1) -> Step:
    return lambda browser: browser.post(f"/appointments/{id}/{name}", page=f"/appointments/{id}")


def sign(who: str, id: int = 1, *, blank: bool = False) -> Step:
    def do(browser: Browser) -> Any:
        file = (picture(blank=blank), "signed.png")
        return browser.post(f"/appointments/{id}/sign/{who}", page=PAGE, picture=file)

    return do


def unsign(who: str) -> Step:
    return lambda browser: browser.post(f"{PAGE}/unsign/{who}", page=PAGE)


def another(browser: Browser) -> None:
    """Hold and render an appointment of the same therapist at the same time."""
    edit("/appointments/new/", VISIT)(start="13:30", end="14:15")(browser)
    sign("therapist", 10)(browser)
    button("render", 10)(browser)


CASES = {
    "notes_required": (visit(results_notes=""), visit()),
    "cancelled": (button("cancel"), button("reinstate")),
    "not_a_service": (visit(kind="meeting"), visit()),
    "therapist_signature_missing": (unsign("therapist"), sign("therapist")),
    "guardian_signature_missing": (agency(guardian_signature_required="y"), sign("guardian")),
    "not_over_yet": (visit(end="14:45"), visit()),
    "overlap": (another, button("unrender", 10)),
    "no_authorization": (authorization(ends_on="2026-03-09"), authorization()),
    "authorization_hours_used_up": (authorization(hours="0.5"), authorization()),
    "period_locked": (agency(billing_locked_until="2026-03-10"), agency()),
    "locked": (button("lock"), button("unlock")),
    "client_terminated": (client(terminated_on="2026-03-09"), client()),
    "staff_inactive": (staff(inactive_from="2026-03-09"), staff()),
}


@pytest.mark.parametrize("code", CASES)
def test_a_person_causes_and_cures_it_on_the_pages(app: Flask, ada: Browser, code: str) -> None:
    cause, cure = CASES[code]
    cause(ada)
    assert codes(ada) == [code]
    page = ada.get(PAGE).text
    who = MENDED_BY.get(code)
    assert (f"To mend by: {who}." in page) if who else "To mend by" not in page
    button("render")(ada)
    assert stored_value(app, Appointment, 1, "status") != "rendered"
    cure(ada)
    assert codes(ada) == []
    button("render")(ada)
    assert stored_value(app, Appointment, 1, "status") == "rendered"


def test_a_note_that_lacks_words_is_cured_by_not_requiring_them(app: Flask) -> None:
    with app.app_context():
        rendering.render(db.session, appointment(), note(text=""), now=LATER)
        db.session.commit()
    ada = Browser(app, "ada")
    assert codes(ada) == ["notes_required"]
    visit(notes_required=None, results_notes=None)(ada)
    assert codes(ada) == []


def test_a_blank_signature_may_be_signed_anew_and_a_good_one_may_not(ada: Browser) -> None:
    unsign("therapist")(ada)
    sign("therapist", blank=True)(ada)
    assert codes(ada) == ["therapist_signature_missing"]
    assert "Blank" in ada.get(PAGE).text
    sign("therapist")(ada)
    assert codes(ada) == []
    sign("therapist", blank=True)(ada)
    assert "There is a signature already." in ada.get(PAGE).text


def test_nobody_signs_or_unsigns_what_is_rendered_or_locked(app: Flask, ada: Browser) -> None:
    for act, said in (("render", "un-render it first"), ("lock", "is locked")):
        button(act)(ada)
        for step in (sign("guardian"), unsign("therapist")):
            step(ada)
            assert said in ada.get(PAGE).text
        button("unrender")(ada)
    with app.app_context():
        window = appointment().signature
        assert window is not None
        assert window.therapist_signature is not None
        assert window.guardian_signature is None


def test_what_is_no_picture_is_no_signature(ada: Browser) -> None:
    svg = (io.BytesIO(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "signed.png")
    ada.post(f"{PAGE}/sign/guardian", page=PAGE, picture=svg)
    assert "no PNG or JPEG picture" in ada.get(PAGE).text
    assert ada.post(f"{PAGE}/sign/guardian", page=PAGE).status_code == 400


def test_a_note_leaves_what_people_typed_and_signed_by_hand(app: Flask, ada: Browser) -> None:
    sign("guardian")(ada)
    unsigned = note(guardian_signature=None)
    with app.app_context():
        assert rendering.render(db.session, appointment(), unsigned, now=LATER).rendered
        db.session.commit()
        window = appointment().signature
        assert window is not None
        by_hand, signed = window.guardian_signature, window.therapist_signature
        assert by_hand is not None
        assert signed == NOTE.therapist_signature.png  # type: ignore[union-attr]
    page = ada.get(PAGE).text
    assert "Typed here before the session note came:" in page
    assert "Went well." in page
    with app.app_context():
        assert rendering.withdraw(db.session, appointment(), unsigned).stored
        db.session.commit()
        one = appointment()
        assert one.results_notes == "Went well."
        assert one.signature is not None
        assert one.signature.guardian_signature == by_hand
        assert (one.signature.source, one.signature.therapist_by_hand) == ("", True)
        assert one.signature.guardian_name == ""
        assert len(db.session.query(AppointmentSignature).all()) == 1


def test_a_locked_appointment_that_holds_the_version_says_so(app: Flask) -> None:
    with app.app_context():
        rendering.render(db.session, appointment(), note(therapist_signature=None), now=LATER)
        appointment().locked = True
        db.session.commit()
        held = rendering.render(
            db.session, appointment(), note(therapist_signature=None), now=LATER
        )
        assert (held.stored, held.rendered) == (True, False)
        later = rendering.render(db.session, appointment(), note(version=2), now=LATER)
        assert (later.stored, [refusal.code for refusal in later.refusals]) == (False, ["locked"])
        # Another note is not in there, so there is nothing that the lock would hold.
        assert rendering.withdraw(db.session, appointment(), note(vendor_id="note-2")).stored
