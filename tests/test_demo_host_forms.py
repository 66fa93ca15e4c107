"""The demo host's create and edit pages: what is saved, where they lead, what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from demo.host import clock
from demo.host.events import entities_changed
from demo.host.models import Agency, Appointment, Authorization, Client, Login, Staff, db
from tests.practice import (
    AMIR,
    LATER,
    VISIT,
    Browser,
    appointment,
    errors_in,
    names_in,
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


def test_an_edit_is_saved_and_leads_back(app: Flask, ada: Browser) -> None:
    fields = {**AMIR, "last_name": "  Haddad-Ruiz ", "back": "/settings/?tab=1"}
    told: list[Any] = []
    with entities_changed.connected_to(lambda _sender, kind, ids: told.append((kind, ids))):
        answer = ada.post("/clients/edit/?id=1", page="/clients/edit/?id=1", **fields)
    assert answer.headers["Location"] == "/settings/?tab=1"
    assert stored_value(app, Client, 1, "last_name") == "Haddad-Ruiz"
    assert stored_value(app, Client, 1, "updated_at") >= clock.stored(LATER)
    assert told == [("client", [1])]
    assert '<p class="flash success" role="status">Saved.</p>' in ada.get("/settings/").text


def test_a_create_page_is_filled_in_and_leads_back_with_the_new_id(
    app: Flask, ada: Browser
) -> None:
    query = "first_name=Ren%C3%A9e&last_name=Ruiz&date_of_birth=2017-03-14&agency_id=2&active=&id=5"
    page = ada.get(f"/clients/new/?{query}&back=/settings/%3Fa%3D1")
    for part in ('value="Renée"', 'value="Ruiz"', 'value="2017-03-14"', 'selected value="2"'):
        assert part in page.text
    assert re.search(r'<input[^>]*checked[^>]*name="active"', page.text)
    fields = {**AMIR, "first_name": "Renée", "agency_id": "2", "account_id": "harbor-kids"}
    answer = ada.post("/clients/new/", page="/clients/new/", back="/settings/?a=1", **fields)
    with app.app_context():
        new = db.session.scalars(select(Client).where(Client.first_name == "Renée")).one()
        assert (new.account_id, new.agency_id) == ("bright-steps", 2)
        assert answer.headers["Location"] == f"/settings/?a=1&created={new.id}"
    assert '<p class="flash success" role="status">Saved.</p>' in ada.get("/settings/").text


def test_a_foreign_way_back_is_not_followed(ada: Browser) -> None:
    for back in ("//evil.example", "/\\evil.example", "https://evil.example"):
        assert "evil" not in ada.get(f"/clients/new/?back={back}&url={back}").text
        answer = ada.post("/clients/new/", page="/clients/new/", back=back, **AMIR)
        assert answer.headers["Location"] == "/clients/"


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("clients", {**AMIR, "first_name": " "}, "First name is required."),
        ("clients", {**AMIR, "last_name": "x" * 256}, "At most 255 characters."),
        ("clients", {**AMIR, "date_of_birth": "2015-02-29"}, "Not a valid date value."),
        ("clients", {**AMIR, "date_of_birth": "2026-03-12"}, "between 1900 and today"),
        ("clients", {**AMIR, "date_of_birth": "0001-01-01"}, "between 1900 and today"),
        ("clients", {**AMIR, "agency_id": "9"}, "Not a valid choice."),
        ("clients", {**AMIR, "terminated_on": "2010-01-01"}, "cannot end before"),
        ("staff", {"first_name": "A", "last_name": "B", "email": "a@b"}, "not an email address"),
        (
            "staff",
            {"first_name": "A", "last_name": "B", "email": "a@b.c", "agency_ids": "9"},
            "not a valid choice",
        ),
        (
            "staff",
            {"first_name": "A", "last_name": "B", "email": "a@b.c", "phone": "call me"},
            "not a phone number",
        ),
        ("agencies", {"name": "New", "time_zone": "Mars/Base"}, "This is no time zone"),
        (
            "agencies",
            {"name": "harbor center", "time_zone": "America/Chicago"},
            "Another agency has this name.",
        ),
        ("clients", {**AMIR, "agency_id": "0"}, "Choose an agency."),
        ("appointments", {**VISIT, "client_id": "0"}, "Choose a client."),
        ("appointments", {**VISIT, "staff_id": "0"}, "Choose staff."),
        ("appointments", {**VISIT, "end": "09:00"}, "The end is not after the start."),
        ("appointments", {**VISIT, "client_id": "2"}, "Lily Wong belongs to Harbor Center."),
        ("appointments", {**VISIT, "client_id": "9"}, "Not a valid choice."),
        ("appointments", {**VISIT, "staff_id": "2"}, "does not work at the chosen agency"),
    ],
)
def test_a_form_says_what_is_wrong_and_saves_nothing(
    app: Flask, ada: Browser, path: str, fields: dict[str, str], said: str
) -> None:
    model = {"clients": Client, "staff": Staff, "agencies": Agency, "appointments": Appointment}
    page = ada.post(f"/{path}/new/", page=f"/{path}/new/", **fields)
    assert page.status_code == 200
    assert "Nothing is saved yet" in page.text
    assert any(said in error for error in errors_in(page)), errors_in(page)
    with app.app_context():
        assert len(db.session.scalars(select(model[path])).all()) == 3


def test_an_agency_keeps_its_own_name_and_its_locks_are_saved(app: Flask, ada: Browser) -> None:
    fields = {
        "name": "Northside Clinic",
        "time_zone": "America/Denver",
        "guardian_signature_required": "y",
        "payroll_locked_until": "2026-02-28",
    }
    ada.post("/agencies/edit/?id=1", page="/agencies/edit/?id=1", **fields)
    assert stored_value(app, Agency, 1, "time_zone") == "America/Denver"
    assert stored_value(app, Agency, 1, "guardian_signature_required") is True
    assert stored_value(app, Agency, 1, "payroll_locked_until") == date(2026, 2, 28)
    assert stored_value(app, Agency, 1, "billing_locked_until") is None


def test_agencies_that_a_person_may_not_see_stay_with_a_staff_member(app: Flask) -> None:
    bo = Browser(app, "bo")
    fields = {"first_name": "Jo", "last_name": "Keller", "email": "jo@practice.example"}
    page = bo.post("/staff/edit/?id=1", page="/staff/edit/?id=1", **fields)
    assert "Choose at least one agency." in errors_in(page)
    bo.post("/staff/edit/?id=1", page="/staff/edit/?id=1", agency_ids="1", **fields)
    with app.app_context():
        assert {agency.id for agency in db.session.get_one(Staff, 1).agencies} == {1, 2}


def test_whoever_opens_an_agency_sees_it(app: Flask) -> None:
    with app.app_context():
        db.session.get_one(Login, 4).permissions += " create_agency"
        db.session.commit()
    dee = Browser(app, "dee")
    fields = {"name": "Lakeside", "time_zone": "America/Chicago"}
    dee.post("/agencies/new/", page="/agencies/new/", **fields)
    assert names_in(dee.get("/agencies/")) == ["Lakeside"]


def test_the_authorizations_of_a_client_stand_on_the_clients_page(app: Flask, ada: Browser) -> None:
    with app.app_context():
        appointment().status = "rendered"
        db.session.commit()
    page = ada.get("/clients/edit/?id=1").text
    assert ">A-1</a>" in page
    assert re.search(r"</meter> 1 h", page)
    path = "/clients/1/authorizations/"
    wrong = {"number": "A-2", "starts_on": "2026-04-01", "ends_on": "2026-03-01", "hours": "-1"}
    said = errors_in(ada.post(path, page=path, **wrong))
    assert said == ["The end lies before the start.", "Between 0 and 10,000 hours."]
    ada.post(path, page=path, **{**wrong, "ends_on": "2026-04-30", "hours": "12.5"})
    with app.app_context():
        new = db.session.scalars(select(Authorization).where(Authorization.number == "A-2")).one()
        assert (new.client_id, new.hours) == (1, 12.5)
    assert ada.get(f"/clients/2/authorizations/{new.id}").status_code == 404
