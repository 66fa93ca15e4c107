"""The reports in a real browser: chosen, narrowed by a bar, saved, and taken as a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.data import build_world
from tests.accessible import findings
from tests.browsing import page_of, sign_in
from tests.served import served
from tests.window import open_window


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    world = build_world(notes=150, today=date(2026, 11, 20))
    url = f"sqlite:///{tmp_path_factory.mktemp('reports') / 'host.db'}"
    with open_window(url, world) as practice, served(practice.app) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    with page_of(chromium, address) as page:
        sign_in(page, "ada")
        yield page


def test_a_manager_finds_what_is_not_mapped_and_takes_it_along(page: Page, tmp_path: Path) -> None:
    page.goto("/synchronization/clients/")
    page.get_by_role("link", name="Reports", exact=True).last.click()
    page.get_by_label("Reports", exact=True).get_by_role("link", name="Clients").click()
    expect(page.get_by_role("heading", name="CodeMetro by Ensora Health Clients")).to_be_visible()
    chart = page.get_by_role("table", name="Why not mapped")
    expect(chart).to_be_visible()
    assert findings(page) == []
    bar = chart.get_by_role("row").filter(has=page.get_by_text("No such client"))
    count = int(bar.get_by_role("cell").last.inner_text())
    bar.locator("svg").click()
    page.wait_for_url("**why=no_such_client**")
    rows = page.locator("#ensora-table tbody tr")
    expect(rows).to_have_count(count)

    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("link", name="Leave Site out").click()
    page.get_by_role("link", name="+ Student id").click()
    page.get_by_role("link", name="Move Student id to the left").click()
    heads = page.locator("#ensora-table thead th")
    expect(heads.nth(-3)).to_have_text("Student id")
    page.get_by_role("link", name="Student first name").last.click()
    expect(heads.first).to_have_attribute("aria-sort", "ascending")
    assert findings(page) == []

    page.get_by_text("Save view", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Nobody here")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Make it my default").click()
    page.goto("/synchronization/reports/clients/")
    expect(page.get_by_role("link", name="Nobody here")).to_have_attribute("aria-current", "true")
    expect(rows).to_have_count(count)
    assert findings(page) == []

    with page.expect_download() as started:
        page.get_by_role("button", name="CSV").click()
    file = tmp_path / "report.csv"
    started.value.save_as(file)
    with file.open(encoding="utf-8", newline="") as lines:
        told = list(csv.DictReader(lines))
    assert len(told) == count
    assert {row["Why not mapped"] for row in told} == {"No such client"}

    lead = rows.first.get_by_role("link", name="Open")
    lead.click()
    page.wait_for_url("**/synchronization/clients/**")
    expect(page.locator("#ensora-table tr[id^=row-]")).to_have_count(1)
    expect(page.get_by_text("No such client")).to_be_visible()


def test_nothing_of_a_report_is_wider_than_a_phone(chromium: Browser, address: str) -> None:
    phone = {"width": 390, "height": 800}
    with page_of(chromium, address, viewport=phone) as page:
        sign_in(page, "ada")
        for path in ("clients/", "appointments/?since=2026-10-01", "staff/print"):
            page.goto(f"/synchronization/reports/{path}")
            if "print" not in path:
                expect(page.get_by_role("table", name="Why not mapped")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            assert findings(page) == []
