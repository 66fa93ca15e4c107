"""The demo host's lists and read views: what each person sees, finds and may not do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest
import time_machine
from flask import Flask

from demo.host.models import Client, db
from tests.practice import (
    AMIR,
    LATER,
    Browser,
    names_in,
    open_practice,
    stored_value,
)

LISTS = ("/clients/", "/staff/", "/agencies/", "/appointments/")


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


HIDDEN = {"bo": (2, 9), "cy": (9,), "dee": (1, 2, 9), "eve": (1, 2)}


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
    counts = [len(names_in(browser.get(path))) for path in LISTS]
    assert counts == [clients, staff, agencies, appointments]


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
    assert names_in(ada.get(f"/clients/?{query}")) == found


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
    assert len(names_in(ada.get(f"/appointments/?{query}"))) == count


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
        seen += names_in(page)
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
    assert stored_value(app, Client, 1, "first_name") == "Amir"
