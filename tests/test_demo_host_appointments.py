"""The page of an appointment: its facts, its signatures, and what people do by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from demo.host import rendering
from demo.host.models import Agency, Appointment, db
from tests.practice import (
    LATER,
    NOTE,
    VISIT,
    Browser,
    appointment,
    open_practice,
    stored_value,
)


@pytest.fixture(autouse=True)
def moment() -> Iterator[None]:
    with time_machine.travel(LATER, tick=True):
        yield


@pytest.fixture
def app() -> Flask:
    return open_practice()


@pytest.fixture
def ada(app: Flask) -> Browser:
    return Browser(app, "ada")


def apply_note(app: Flask) -> None:
    with app.app_context():
        rendering.render(db.session, appointment(), NOTE, now=LATER)
        db.session.commit()


def act(browser: Browser, name: str) -> str:
    answer = browser.post(f"/appointments/1/{name}", page="/appointments/1")
    assert answer.headers["Location"] == "/appointments/1"
    return str(browser.get("/appointments/1").text)


def test_the_page_of_an_appointment_shows_notes_as_text_and_the_nine_facts(
    app: Flask, ada: Browser
) -> None:
    apply_note(app)
    page = ada.get("/appointments/1").text
    assert "Went &lt;b&gt;well&lt;/b&gt;.\nMore tomorrow." in page
    for label in (
        "Guardian Name",
        "Relationship",
        "Session Date",
        "Session Time",
        "Guardian Signature",
        "Location of Guardian Signature",
        "Therapist Signature",
        "Location of Therapist Signature",
        "Location of Appointment Render",
    ):
        assert f"<dt>{label}</dt>" in page
    for fact in ("Dana Haddad", "Mother", "Tue 10 Mar 2026", "13:02–14:01", "40.71, -74.00"):
        assert fact in page


def test_a_signature_is_a_picture_and_nothing_else(app: Flask, ada: Browser) -> None:
    assert ada.get("/appointments/1/guardian.png").status_code == 404
    apply_note(app)
    picture = ada.get("/appointments/1/guardian.png")
    assert picture.data == b"\x89PNG guardian"
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    assert picture.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert picture.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert picture.headers["Cache-Control"] == "no-store"
    assert ada.get("/appointments/1/other.png").status_code == 404


def test_the_page_says_why_it_cannot_be_rendered(ada: Browser) -> None:
    page = ada.get("/appointments/1").text
    codes = re.findall(r'data-code="(\w+)"', page)
    assert codes == ["notes_required", "therapist_signature_missing"]


def test_people_render_unrender_cancel_and_lock_by_hand(app: Flask, ada: Browser) -> None:
    assert "Results Notes are required and empty." in act(ada, "render")
    apply_note(app)
    steps = [
        ("cancel", "rendered", "un-render it first"),
        ("lock", "rendered", "Locked."),
        ("unrender", "rendered", "The appointment is locked."),
        ("unlock", "rendered", "Unlocked."),
        ("unrender", "scheduled", "Un-rendered."),
        ("render", "rendered", "Rendered."),
        ("unrender", "scheduled", "Un-rendered."),
        ("cancel", "cancelled", "Cancelled."),
        ("render", "cancelled", "The appointment is cancelled."),
        ("reinstate", "scheduled", "Reinstated."),
        ("reinstate", "scheduled", "not cancelled"),
    ]
    for name, status, said in steps:
        assert said in act(ada, name), name
        assert stored_value(app, Appointment, 1, "status") == status, name
    assert ada.post("/appointments/1/explode").status_code == 404
    assert ada.get("/appointments/1/lock").status_code == 405


def test_a_rendered_or_locked_appointment_cannot_be_edited(app: Flask, ada: Browser) -> None:
    path = "/appointments/edit/?id=1"
    apply_note(app)
    assert "un-render it to change it" in ada.post(path, page=path, **VISIT).text
    act(ada, "unrender")
    act(ada, "lock")
    assert "The appointment is locked." in ada.post(path, page=path, **VISIT).text
    act(ada, "unlock")
    assert stored_value(app, Appointment, 1, "date") == date(2026, 3, 10)
    fields = {**VISIT, "results_notes": "Other words."}
    assert ada.post(path, page=path, **fields).headers["Location"] == "/appointments/1"
    assert stored_value(app, Appointment, 1, "date") == date(2026, 3, 11)
    assert stored_value(app, Appointment, 1, "results_notes") == NOTE.text


def test_an_appointment_cannot_be_moved_into_a_locked_period(app: Flask, ada: Browser) -> None:
    with app.app_context():
        db.session.get_one(Agency, 1).payroll_locked_until = date(2026, 3, 1)
        db.session.commit()
    fields = {**VISIT, "date": "2026-02-27"}
    for path in ("/appointments/edit/?id=1", "/appointments/new/"):
        page = ada.post(path, page=path, **fields)
        assert "Northside Clinic has locked the period of 27 Feb 2026." in page.text
    with app.app_context():
        assert len(db.session.scalars(select(Appointment)).all()) == 3
    assert stored_value(app, Appointment, 1, "date") == date(2026, 3, 10)
