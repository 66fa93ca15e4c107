"""A small practice for tests of the demo host: the fixed cast, two accounts, three appointments."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from flask.testing import FlaskClient

from demo.host import create_app
from demo.host.clock import stored
from demo.host.models import Agency, Appointment, Client, Staff, db
from demo.host.seed import PASSWORD, seed
from ensora_plugin.host.port import NoteView, Signature

DAY = date(2026, 3, 10)
#: Half an hour after the appointment 1 ends, which is 13:00 to 14:00 in New York.
LATER = datetime(2026, 3, 10, 14, 30, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
LONG_AGO = stored(datetime(2026, 1, 1, tzinfo=UTC))
ALL = (
    "admin view map render report audit create_agency create_client create_staff "
    "edit_agency edit_client edit_staff"
)
NORTHSIDE, HARBOR, PIER = 1, 2, 9
#: No picture that a browser would show, but bytes that must come back as they are.
INK = b"\x89PNG ink"
#: What the forms of a client and of an appointment send.
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


class World:
    """Rows by table name, as the demo's maker of worlds gives them."""

    def __init__(self) -> None:
        bright, kids = "bright-steps", "harbor-kids"
        self.host: dict[str, list[dict[str, Any]]] = {
            "account": [
                {"id": bright, "name": "Bright Steps ABA"},
                {"id": kids, "name": "Harbor Kids Therapy"},
            ],
            "agency": [
                {"id": NORTHSIDE, "account_id": bright, "name": "Northside Clinic"},
                {"id": HARBOR, "account_id": bright, "name": "Harbor Center"},
                {"id": PIER, "account_id": kids, "name": "Pier"},
            ],
            "login": [
                _login(1, bright, "ada", ALL, all_agencies=True),
                _login(
                    2, bright, "bo", "view map render report edit_client edit_staff edit_agency"
                ),
                _login(3, bright, "cy", "view report audit", all_agencies=True),
                _login(4, bright, "dee", "view map"),
                _login(5, kids, "eve", ALL, all_agencies=True),
            ],
            "login_agency": [{"login_id": 2, "agency_id": NORTHSIDE}],
            "client": [
                _client(1, bright, NORTHSIDE, "Amir", "Haddad"),
                _client(2, bright, HARBOR, "Lily", "Wong"),
                _client(9, kids, PIER, "Zoë", "Kidd"),
            ],
            "staff": [
                _staff(1, bright, "Jo", "Keller"),
                _staff(2, bright, "Sam", "Ortiz"),
                _staff(9, kids, "Eli", "Stone"),
            ],
            "staff_agency": [
                {"staff_id": 1, "agency_id": NORTHSIDE},
                {"staff_id": 1, "agency_id": HARBOR},
                {"staff_id": 2, "agency_id": HARBOR},
                {"staff_id": 9, "agency_id": PIER},
            ],
            "authorization": [
                {
                    "id": 1,
                    "client_id": 1,
                    "number": "A-1",
                    "starts_on": date(2026, 3, 1),
                    "ends_on": date(2026, 3, 31),
                    "hours": 3.0,
                }
            ],
            "appointment": [
                _appointment(1, bright, NORTHSIDE, 1, 1),
                _appointment(2, bright, HARBOR, 2, 2),
                _appointment(9, kids, PIER, 9, 9),
            ],
            "appointment_signature": [],
        }


def _login(
    id: int, account: str, name: str, permissions: str, *, all_agencies: bool = False
) -> dict[str, Any]:
    return {
        "id": id,
        "account_id": account,
        "name": name,
        "permissions": permissions,
        "all_agencies": all_agencies,
    }


def _client(id: int, account: str, agency: int, first: str, last: str) -> dict[str, Any]:
    return {
        "id": id,
        "account_id": account,
        "agency_id": agency,
        "first_name": first,
        "last_name": last,
        "date_of_birth": date(2016, 2, 29),
        "updated_at": LONG_AGO,
    }


def _staff(id: int, account: str, first: str, last: str) -> dict[str, Any]:
    return {
        "id": id,
        "account_id": account,
        "first_name": first,
        "last_name": last,
        "email": f"{first.lower()}@practice.example",
        "updated_at": LONG_AGO,
    }


def _appointment(id: int, account: str, agency: int, client: int, staff: int) -> dict[str, Any]:
    return {
        "id": id,
        "account_id": account,
        "agency_id": agency,
        "client_id": client,
        "staff_id": staff,
        "date": DAY,
        "start": time(13),
        "end": time(14),
        "updated_at": LONG_AGO,
    }


def open_practice(url: str = "sqlite://") -> Flask:
    """Return the demo host with the small practice in the database `url` (by default in memory)."""
    app = create_app({"SQLALCHEMY_DATABASE_URI": url, "SECRET_KEY": "tests", "TESTING": True})
    with app.app_context():
        seed(db.session, World())
    return app


def signature(*, blank: bool = False, png: bytes = INK) -> Signature:
    signed = datetime(2026, 3, 10, 18, 2, tzinfo=UTC)
    return Signature(png, 300, 100, signed, blank, source_sha256="0" * 64, stored_sha256="1" * 64)


NOTE = NoteView(
    vendor_id="note-1",
    version=1,
    template="SOAP",
    published_at=datetime(2026, 3, 10, 18, 5, tzinfo=UTC),
    session_date=DAY,
    start=time(13, 2),
    end=time(14, 1),
    time_zone="America/New_York",
    text="Went <b>well</b>.\nMore tomorrow.",
    guardian_name="Dana Haddad",
    relationship="Mother",
    location="40.71, -74.00",
    therapist_signature=signature(png=b"\x89PNG therapist"),
    guardian_signature=signature(png=b"\x89PNG guardian"),
)


def note(**changes: Any) -> NoteView:
    return replace(NOTE, **changes)


def appointment(id: int = 1) -> Appointment:
    return db.session.get_one(Appointment, id)


def agency(id: int = NORTHSIDE) -> Agency:
    return db.session.get_one(Agency, id)


def client(id: int = 1) -> Client:
    return db.session.get_one(Client, id)


def staff(id: int = 1) -> Staff:
    return db.session.get_one(Staff, id)


def stored_value(app: Flask, model: Any, id: int, name: str) -> Any:
    """Read one column as it stands in the database."""
    with app.app_context():
        return getattr(db.session.get_one(model, id), name)


def names_in(page: Any) -> list[str]:
    """Return the first column of a list."""
    return re.findall(r'<a class="who" href="[^"]+">([^<]+)</a>', page.text)


def errors_in(page: Any) -> list[str]:
    """Return what a form says beside its fields."""
    return re.findall(r'<p class="error" id="[^"]+">([^<]+)</p>', page.text)


class Browser:
    """A person at the site: sends the CSRF token of the page that they last read."""

    def __init__(self, app: Flask, name: str | None = None) -> None:
        self.http: FlaskClient = app.test_client()
        if name is not None:
            assert self.sign_in(name).status_code == 302

    def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> Any:
        return self.post("/login", page="/login", name=name, password=password, **more)

    def get(self, path: str) -> Any:
        return self.http.get(path)

    def post(self, path: str, *, page: str = "/settings/", **fields: Any) -> Any:
        """Send a form with the token out of `page`."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.http.get(page).text)
        assert token is not None, page
        return self.http.post(path, data={"csrf_token": token[1], **fields})
