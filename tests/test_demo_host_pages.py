"""The demo host's pages: what each person sees, may change, and is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import time_machine
from flask import Flask, url_for
from sqlalchemy import select

from demo.host import clock, rendering
from demo.host.events import entities_changed
from demo.host.models import Agency, Appointment, Authorization, Client, Login, Staff, db
from tests.practice import LATER, NOTE, PIER, Browser, appointment, open_practice

LISTS = ("/clients/", "/staff/", "/agencies/", "/appointments/")
AMIR = {
    "first_name": "Amir",
    "last_name": "Haddad",
    "date_of_birth": "2016-02-29",
    "gender": "",
    "agency_id": "1",
    "active": "y",
}
VISIT = {
    "agency_id": "1",
    "kind": "service",
    "client_id": "1",
    "staff_id": "1",
    "date": "2026-03-11",
    "start": "09:00",
    "end": "10:00",
    "notes_required": "y",
    "results_notes": "",
}


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


def names(page: Any) -> list[str]:
    return re.findall(r'<a class="who" href="[^"]+">([^<]+)</a>', page.text)


def errors(page: Any) -> list[str]:
    return re.findall(r'<p class="error" id="[^"]+">([^<]+)</p>', page.text)


def one(app: Flask, model: Any, id: int, name: str) -> Any:
    with app.app_context():
        return getattr(db.session.get_one(model, id), name)


@pytest.mark.parametrize(
    ("person", "clients", "staff", "agencies", "appointments"),
    [
        ("ada", 2, 2, 2, 2),
        ("bo", 1, 1, 1, 1),
        ("cy", 2, 2, 2, 2),
        ("dee", 0, 0, 0, 0),
        ("eve", 1, 1, 1, 1),
    ],
)
def test_lists_are_bounded_by_account_and_agencies(
    app: Flask, person: str, clients: int, staff: int, agencies: int, appointments: int
) -> None:
    browser = Browser(app, person)
    counts = [len(names(browser.get(path))) for path in LISTS]
    assert counts == [clients, staff, agencies, appointments]


HIDDEN = {"bo": (2, 9), "cy": (9,), "dee": (1, 2, 9), "eve": (1, 2)}


@pytest.mark.parametrize("person", HIDDEN)
def test_what_a_person_may_not_see_does_not_exist(app: Flask, person: str) -> None:
    browser = Browser(app, person)
    for id in (*HIDDEN[person], 12345):
        for path in (
            f"/clients/edit/?id={id}",
            f"/staff/edit/?id={id}",
            f"/agencies/edit/?id={id}",
            f"/appointments/edit/?id={id}",
            f"/appointments/{id}",
            f"/appointments/{id}/therapist.png",
            f"/clients/{id}/authorizations/",
        ):
            assert browser.get(path).status_code in {403, 404}, path
            assert browser.get(path).status_code == 404 or "authorizations" not in path
    for id in ("x", "1;1", "9" * 30, "-1", ""):
        assert browser.get(f"/clients/edit/?id={id}").status_code == 404


def test_every_page_of_flask_admin_that_the_site_does_not_offer_is_gone(ada: Browser) -> None:
    for name in ("clients", "staff", "agencies", "appointments"):
        for rest in ("details/?id=1", "export/csv/", "ajax/lookup/?name=x", "edit/"):
            assert ada.get(f"/{name}/{rest}&url=//evil.example").status_code == 404
        for rest in ("delete/", "action/", "ajax/update/"):
            assert ada.post(f"/{name}/{rest}", id="1").status_code == 404
    assert ada.get("/clients/").status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=amir", ["Haddad, Amir"]),
        ("search=amir+haddad", ["Haddad, Amir"]),
        ("search=2016-02", ["Haddad, Amir", "Wong, Lily"]),
        ("search=nobody", []),
        ("agency=2", ["Wong, Lily"]),
        ("agency=9", []),
        ("agency=x&active=maybe", ["Haddad, Amir", "Wong, Lily"]),
        ("active=0", []),
        ("active=1&sort=0&desc=1", ["Wong, Lily", "Haddad, Amir"]),
        ("page=-3", ["Haddad, Amir", "Wong, Lily"]),
        ("page=5", []),
    ],
)
def test_lists_are_searched_filtered_and_sorted(ada: Browser, query: str, found: list[str]) -> None:
    assert names(ada.get(f"/clients/?{query}")) == found


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("search=keller", 1),
        ("status=scheduled", 2),
        ("status=rendered", 0),
        ("kind=meeting", 0),
        ("from=2026-03-10&to=2026-03-10", 2),
        ("from=2026-03-11", 0),
        ("to=2026-03-09", 0),
        ("from=yesterday", 2),
        ("agency=2&sort=1", 1),
    ],
)
def test_appointments_are_found_by_people_status_kind_and_day(
    ada: Browser, query: str, count: int
) -> None:
    assert len(names(ada.get(f"/appointments/?{query}"))) == count


def test_a_long_list_has_pages(app: Flask, ada: Browser) -> None:
    with app.app_context():
        for number in range(60):
            born = date(2015, 1, 1)
            name = f"Child {number:02}"
            db.session.add(
                Client(
                    account_id="bright-steps",
                    agency_id=1,
                    first_name="A",
                    last_name=name,
                    date_of_birth=born,
                )
            )
        db.session.commit()
    seen: list[str] = []
    path: str | None = "/clients/?agency=1"
    while path:
        page = ada.get(path)
        seen += names(page)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1].replace("&amp;", "&") if following else None
    assert len(seen) == len(set(seen)) == 61
    assert "51–61 of 61" in page.text


def test_a_person_without_the_permission_looks_but_does_not_write(app: Flask) -> None:
    cy = Browser(app, "cy")
    for kind in ("clients", "staff", "agencies", "appointments"):
        page = cy.get(f"/{kind}/edit/?id=1")
        assert "<fieldset" in page.text
        assert "disabled" in page.text
        assert ">Save</button>" not in page.text
        assert cy.post(f"/{kind}/edit/?id=1", first_name="X", name="X").status_code == 403
        assert cy.get(f"/{kind}/new/").status_code == 403
        assert cy.post(f"/{kind}/new/", **AMIR).status_code == 403
        assert "/new/" not in cy.get(f"/{kind}/").text
    assert cy.post("/appointments/1/cancel").status_code == 403
    assert cy.post("/clients/1/authorizations/", number="A-9").status_code == 403
    assert one(app, Client, 1, "first_name") == "Amir"


def test_a_person_without_the_report_permission_has_no_reports(app: Flask) -> None:
    dee = Browser(app, "dee")
    assert dee.get("/reports/").status_code == 403
    assert 'href="/reports/"' not in dee.get("/settings/").text


def test_an_edit_is_saved_and_leads_back(app: Flask, ada: Browser) -> None:
    fields = {**AMIR, "last_name": "  Haddad-Ruiz ", "back": "/settings/?tab=1"}
    told: list[Any] = []
    with entities_changed.connected_to(lambda _sender, kind, ids: told.append((kind, ids))):
        answer = ada.post("/clients/edit/?id=1", page="/clients/edit/?id=1", **fields)
    assert answer.headers["Location"] == "/settings/?tab=1"
    assert one(app, Client, 1, "last_name") == "Haddad-Ruiz"
    assert one(app, Client, 1, "updated_at") >= clock.stored(LATER)
    assert told == [("client", [1])]


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
    assert any(said in error for error in errors(page)), errors(page)
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
    assert one(app, Agency, 1, "time_zone") == "America/Denver"
    assert one(app, Agency, 1, "guardian_signature_required") is True
    assert one(app, Agency, 1, "payroll_locked_until") == date(2026, 2, 28)
    assert one(app, Agency, 1, "billing_locked_until") is None


def test_agencies_that_a_person_may_not_see_stay_with_a_staff_member(app: Flask) -> None:
    bo = Browser(app, "bo")
    fields = {"first_name": "Jo", "last_name": "Keller", "email": "jo@practice.example"}
    page = bo.post("/staff/edit/?id=1", page="/staff/edit/?id=1", **fields)
    assert "Choose at least one agency." in errors(page)
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
    assert names(dee.get("/agencies/")) == ["Lakeside"]


def test_the_authorizations_of_a_client_stand_on_the_clients_page(app: Flask, ada: Browser) -> None:
    with app.app_context():
        appointment().status = "rendered"
        db.session.commit()
    page = ada.get("/clients/edit/?id=1").text
    assert ">A-1</a>" in page
    assert re.search(r"</meter> 1 h", page)
    path = "/clients/1/authorizations/"
    wrong = {"number": "A-2", "starts_on": "2026-04-01", "ends_on": "2026-03-01", "hours": "-1"}
    said = errors(ada.post(path, page=path, **wrong))
    assert said == ["The end lies before the start.", "Between 0 and 10,000 hours."]
    ada.post(path, page=path, **{**wrong, "ends_on": "2026-04-30", "hours": "12.5"})
    with app.app_context():
        new = db.session.scalars(select(Authorization).where(Authorization.number == "A-2")).one()
        assert (new.client_id, new.hours) == (1, 12.5)
    assert ada.get(f"/clients/2/authorizations/{new.id}").status_code == 404


def apply_note(app: Flask) -> None:
    with app.app_context():
        rendering.render(db.session, appointment(), NOTE, now=LATER)
        db.session.commit()


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


def act(browser: Browser, name: str) -> str:
    answer = browser.post(f"/appointments/1/{name}", page="/appointments/1")
    assert answer.headers["Location"] == "/appointments/1"
    return str(browser.get("/appointments/1").text)


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
        assert one(app, Appointment, 1, "status") == status, name
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
    assert one(app, Appointment, 1, "date") == date(2026, 3, 10)
    fields = {**VISIT, "results_notes": "Other words."}
    assert ada.post(path, page=path, **fields).headers["Location"] == "/appointments/1"
    assert one(app, Appointment, 1, "date") == date(2026, 3, 11)
    assert one(app, Appointment, 1, "results_notes") == NOTE.text


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
    assert one(app, Appointment, 1, "date") == date(2026, 3, 10)


def test_others_offer_cards_for_settings_and_reports(app: Flask) -> None:
    menu = app.extensions["host_menu"]
    menu["settings"].append(lambda: ("Synchronization", "What it is", url_for("admin.index"), True))
    menu["settings"].append(("Hidden", "", "/hidden/", False))
    menu["reports"].append(("Staff report", "Who", "/reports/staff", True))
    ada = Browser(app, "ada")
    page = ada.get("/settings/").text
    assert "Synchronization" in page
    assert "Hidden" not in page
    assert 'href="/reports/staff"' in ada.get("/reports/").text


def test_the_top_bar_marks_the_section_of_the_page(app: Flask, ada: Browser) -> None:
    app.extensions["host_menu"]["settings"].append(("Sync", "", "/static/", True))
    current = re.compile(r'aria-current="page">(\w+)</a>')
    for path, section in (
        ("/clients/edit/?id=1", "Clients"),
        ("/agencies/", "Agencies"),
        ("/static/nothing", "Settings"),
    ):
        assert current.findall(ada.get(path).text) == [section]
    page = ada.get("/settings/").text
    assert "ada · Bright Steps ABA" in page
    order = re.findall(r'<a href="/\w+/"(?: aria-current="page")?>(\w+)</a>', page)
    assert order == ["Clients", "Staff", "Appointments", "Agencies", "Reports", "Settings"]


def test_the_report_counts_only_what_the_person_may_see(app: Flask) -> None:
    eve = Browser(app, "eve").get("/reports/").text
    assert "Pier" in eve
    assert "Northside" not in eve
    assert f"agency={PIER}" in eve


def test_pages_hold_no_inline_script_or_style_and_nothing_from_elsewhere(
    app: Flask, ada: Browser
) -> None:
    apply_note(app)
    paths = [*LISTS, "/settings/", "/reports/", "/appointments/1", "/appointments/edit/?id=1"]
    paths += [f"{path}new/" for path in LISTS] + ["/clients/edit/?id=1", "/nowhere"]
    for path in paths:
        page = ada.get(path).text
        assert not re.search(r"<style|<script(?![^>]* src=\"/static/)|\sstyle=|\son\w+=", page)
        assert not re.search(r'(?:src|href|action)="(?:https?:|//|javascript:)', page)
