"""axe-core finds nothing against WCAG 2.2 AA on any page of the window, in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import insert, select, update

from demo.data import build_world
from ensora_plugin.clock import utcnow
from ensora_plugin.models import Connection, Export, Feed, Mapping, RenderingRow, Student
from tests.accessible import findings
from tests.browsing import page_of, sign_in
from tests.practices import Practice
from tests.served import served
from tests.window import open_window

LONG = "Wolfeschlegelsteinhausenbergerdorff" * 7 + "Wolfeschle"
RIGHT_TO_LEFT = "عبد الرحمن بن خالد"
PAGES = {
    "agencies": "/agencies/",
    "clients": "/clients/",
    "staff": "/staff/",
    "appointments": "/appointments/",
    "empty": "/clients/?show=ignored",
    "runs": "/runs/",
    "history": "/history/",
    "settings": "/settings/",
    "templates": "/settings/templates",
    "suggestions": "/clients/suggestions",
    "report": "/reports/clients/?columns=vendor_last_name,mapping,why,host_last_name",
    "groups": "/reports/appointments/?group=week&since=2026-10-01",
    "paper": "/reports/staff/print?side=host",
}


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("accessible")
    world = build_world(notes=150, today=date(2026, 11, 20))
    with open_window(f"sqlite:///{folder / 'host.db'}", world) as practice:
        with practice.app.app_context():
            own = select(Student).where(Student.account_id == practice.account_id("bright-steps"))
            names = practice.session.scalars(own.where(Student.active).order_by(Student.sort_key))
            for student, name in zip(names, (LONG, RIGHT_TO_LEFT), strict=False):
                student.first_name = student.last_name = name
            practice.session.commit()
        yield practice


@pytest.fixture(scope="module")
def address(practice: Practice) -> Iterator[str]:
    with served(practice.app) as address:
        yield address


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Browser, address: str) -> Iterator[Page]:
    with page_of(chromium, address, color_scheme=request.param) as page:
        sign_in(page, "ada")
        yield page


def open_page(page: Page, path: str) -> None:
    page.goto(f"/synchronization{path}")


@contextmanager
def connection_as(practice: Practice, **values: object) -> Iterator[None]:
    """Let the account's connection stand otherwise for a while."""
    own = Connection.account == "bright-steps"
    columns = [getattr(Connection, name) for name in values]
    with practice.app.app_context():
        before = practice.session.execute(select(*columns).where(own)).one()._asdict()
        practice.session.execute(update(Connection).where(own).values(values))
        practice.session.commit()
    try:
        yield
    finally:
        with practice.app.app_context():
            practice.session.execute(update(Connection).where(own).values(before))
            practice.session.commit()


@contextmanager
def held(practice: Practice) -> Iterator[None]:
    """Let the last pull have taken most students away, and wait for a person's word."""
    own = Feed.kind == "student"
    with practice.app.app_context():
        practice.session.execute(update(Feed).where(own).values(gone=1000))
        practice.session.commit()
    try:
        with connection_as(practice, held_at=utcnow()):
            yield
    finally:
        with practice.app.app_context():
            practice.session.execute(update(Feed).where(own).values(gone=0))
            practice.session.commit()


def row_of(page: Page, words: str) -> Locator:
    """Return the first row that says these words, by its id, which outlives a swap."""
    row = page.locator("#ensora-table tr[id]", has_text=words).first
    return page.locator(f"#{row.get_attribute('id')}")


def test_what_breaks_a_rule_is_found(page: Page) -> None:
    open_page(page, "/agencies/")
    page.evaluate("document.querySelector('#ensora').append(document.createElement('button'))")
    assert "button-name" in findings(page)[0]


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_a_page_has_no_findings(page: Page, path: str) -> None:
    open_page(page, path)
    assert findings(page) == []


def test_nor_have_the_hosts_pages_around_it(page: Page, practice: Practice) -> None:
    with practice.app.app_context():
        rendered = select(RenderingRow.appointment_id).where(RenderingRow.state == "rendered")
        appointment = practice.session.scalars(rendered.where(RenderingRow.account_id == 1)).first()
    for path in ("/settings/", f"/appointments/{appointment}"):
        page.goto(path)
        assert findings(page, "body") == [], path


def test_nor_has_the_page_of_a_large_file(page: Page, practice: Practice) -> None:
    before = practice.state.settings
    practice.state.settings = replace(before, export_rows=1)
    try:
        open_page(page, "/reports/clients/")
        page.get_by_role("button", name="CSV").click()
        page.wait_for_url("**/reports/exports/**")
        assert findings(page) == []
        for state in ("running", "failed", "done"):
            with practice.app.app_context():
                values = {"state": state, "rows": 1}
                practice.session.execute(update(Export).values(values))
                practice.session.commit()
            page.reload()
            assert findings(page) == [], state
    finally:
        practice.state.settings = before


def test_nothing_is_wider_than_a_phone_however_long_a_name_is(
    chromium: Browser, address: str
) -> None:
    with page_of(chromium, address, viewport={"width": 390, "height": 800}) as page:
        sign_in(page, "ada")

        def fits() -> bool:
            return bool(page.evaluate("document.documentElement.scrollWidth <= 390"))

        for path in PAGES.values():
            open_page(page, path)
            assert fits(), path
        for name in (LONG, RIGHT_TO_LEFT):
            open_page(page, "/clients/")
            expect(page.locator("#ensora-table .e-who", has_text=name).first).to_be_visible()
            assert fits(), name
        open_page(page, "/appointments/?show=auto&rendering=rendered")
        page.get_by_role("link", name="Evidence").first.click()
        expect(page.get_by_role("heading", name="Evidence of an appointment")).to_be_visible()
        page.wait_for_load_state()  # a heading can be seen before its style sheet is there
        assert fits()


def test_nor_has_a_row_with_its_drop_down_and_why_it_does_not_map(page: Page) -> None:
    open_page(page, "/clients/?show=to-map")
    row = row_of(page, "Ambiguous")
    row.get_by_text("Why?").click()
    expect(row.get_by_role("table")).to_be_visible()
    row.get_by_role("combobox").click()
    expect(row.get_by_role("option").first).to_be_visible()
    row.get_by_role("combobox").press("ArrowDown")
    assert findings(page) == []


def test_nor_has_a_row_that_shows_an_error(page: Page) -> None:
    open_page(page, "/clients/?show=to-map")
    row = row_of(page, "Why?")
    row.get_by_role("combobox").click()
    option = row.locator("[role=option]:not([aria-disabled]):not(.e-verb)").first
    expect(option).to_be_visible()
    option.evaluate("""one => one.setAttribute("hx-vals", '{"host_id": "0", "seen": 0}')""")
    option.click()
    expect(row.get_by_role("alert")).to_be_visible()
    assert findings(page) == []


def test_nor_has_the_question_before_a_change_with_consequences(page: Page) -> None:
    open_page(page, "/staff/?show=auto")
    row = page.locator("#ensora-table tr[id]:has(.e-delete[aria-disabled])").first
    row = page.locator(f"#{row.get_attribute('id')}")
    row.get_by_role("combobox").click()
    row.get_by_role("option", name="Ignore").click()
    expect(row.locator(".e-ask")).to_be_visible()
    assert findings(page) == []


def test_nor_has_a_tab_that_is_closed(page: Page, practice: Practice) -> None:
    with practice.app.app_context():
        site = practice.session.scalars(select(Mapping).filter_by(kind="site").limit(1)).one()
        kept = {column.name: getattr(site, column.name) for column in Mapping.__table__.columns}
        practice.session.delete(site)
        practice.session.commit()
    try:
        with page.expect_response(re.compile("clients")) as closed:
            open_page(page, "/clients/")
        assert closed.value.status == 403
        assert findings(page) == []
    finally:
        with practice.app.app_context():
            practice.session.execute(insert(Mapping).values(kept))
            practice.session.commit()


def test_nor_has_the_question_for_credentials(page: Page, practice: Practice) -> None:
    with connection_as(practice, state="activated"):
        open_page(page, "/")
        dialog = page.get_by_role("dialog")
        assert findings(page) == []
        dialog.get_by_label("User name").fill("nobody")
        dialog.get_by_role("button", name="Connect").click()
        expect(dialog.locator(".e-error").first).to_be_visible()
        assert findings(page) == []


def test_nor_has_what_is_said_of_a_held_pull(page: Page, practice: Practice) -> None:
    with held(practice):
        open_page(page, "/agencies/")
        expect(page.get_by_role("button", name="Agree, and go on")).to_be_visible()
        assert findings(page) == []


def test_nor_has_what_came_of_suggestions(page: Page) -> None:
    open_page(page, "/appointments/suggestions")
    page.get_by_label("All of them").uncheck()
    page.locator("[name=chosen]").first.check()
    page.get_by_role("button", name="Map what is ticked").click()
    expect(page.locator("#ensora-review")).to_contain_text("1 of 1 mapped")
    assert findings(page) == []
    page.get_by_role("button", name="Undo all of it").click()
    expect(page.locator("#ensora-review")).to_contain_text("1 of 1 undone")


def test_nor_has_a_sheet_of_evidence(page: Page) -> None:
    open_page(page, "/appointments/?show=auto&rendering=rendered")
    page.get_by_role("link", name="Evidence").first.click()
    expect(page.get_by_role("heading", name="Evidence of an appointment")).to_be_visible()
    assert findings(page) == []
    page.evaluate("window.print = () => document.body.classList.add('printed')")
    page.get_by_role("button", name="Print").click()
    expect(page.locator("body.printed")).to_have_count(1)
