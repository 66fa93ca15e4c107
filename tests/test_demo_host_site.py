"""The demo host as a site: top bar, cards, reports, and pages without inline code."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask, url_for

from demo.host import rendering
from demo.host.models import db
from tests.practice import (
    LATER,
    NOTE,
    PIER,
    Browser,
    appointment,
    open_practice,
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


def apply_note(app: Flask) -> None:
    with app.app_context():
        rendering.render(db.session, appointment(), NOTE, now=LATER)
        db.session.commit()


def test_every_page_of_flask_admin_that_the_site_does_not_offer_is_gone(ada: Browser) -> None:
    for name in ("clients", "staff", "agencies", "appointments"):
        for rest in ("details/?id=1", "export/csv/", "ajax/lookup/?name=x", "edit/"):
            assert ada.get(f"/{name}/{rest}&url=//evil.example").status_code == 404
        for rest in ("delete/", "action/", "ajax/update/"):
            assert ada.post(f"/{name}/{rest}", id="1").status_code == 404
    assert ada.get("/clients/").status_code == 200


def test_a_person_without_the_report_permission_has_no_reports(app: Flask) -> None:
    dee = Browser(app, "dee")
    assert dee.get("/reports/").status_code == 403
    assert 'href="/reports/"' not in dee.get("/settings/").text


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
