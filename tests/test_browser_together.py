"""A row in a real browser while others work: a second person, a permission that is withdrawn, an
error of the server, a pull; and the way over the host's create page and back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import update

from demo.data import build_world
from demo.host.models import Login
from tests.browsing import page_of, sign_in
from tests.practices import Practice
from tests.served import served
from tests.window import open_window

TO_MAP = "/synchronization/clients/?show=to-map"


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("together")
    world = build_world(notes=200, today=date(2026, 11, 20))
    with open_window(f"sqlite:///{folder / 'host.db'}", world) as practice:
        yield practice


@pytest.fixture(scope="module")
def address(practice: Practice) -> Iterator[str]:
    with served(practice.app) as address:
        yield address


@contextmanager
def window(chromium: Browser, address: str, name: str, **context: object) -> Iterator[Page]:
    with page_of(chromium, address, **context) as page:
        sign_in(page, name)
        page.goto(TO_MAP)
        yield page


@pytest.fixture
def ada(chromium: Browser, address: str) -> Iterator[Page]:
    with window(chromium, address, "ada") as page:
        yield page


def row_of(page: Page, words: str = "Why?") -> Locator:
    row = page.locator("#ensora-table tr[id]", has_text=words).first
    return page.locator(f"#{row.get_attribute('id')}")


def choose(row: Locator) -> None:
    row.get_by_role("combobox").click()
    row.locator("[role=option]:not([aria-disabled]):not(.e-verb)").first.click()


def test_of_two_people_in_a_row_the_second_is_told_what_the_first_did(
    ada: Page, chromium: Browser, address: str
) -> None:
    with window(chromium, address, "bo") as bo:
        own = row_of(bo)
        same = ada.locator(f"#{own.get_attribute('id')}")
        choose(same)
        expect(same.get_by_text("User", exact=True)).to_be_visible()
        mapped = same.get_by_role("combobox").input_value()
        choose(own)
        expect(own.get_by_role("alert")).to_contain_text("ada changed this mapping")
        # The row shows what stands, and nothing of it was overwritten.
        expect(own.get_by_role("combobox")).to_have_value(mapped)
        expect(own).to_contain_text("mapped by ada")
    same.get_by_role("button", name="Undo").click()
    expect(same.get_by_text("None", exact=True)).to_be_visible()


def test_the_tabs_count_what_is_left_as_it_is_mapped(ada: Page) -> None:
    count = ada.locator("#ensora-tabs [aria-current] .e-todo")
    before = int(count.inner_text().split()[0])
    row = row_of(ada)
    choose(row)
    expect(count).to_have_text(f"{before - 1} to map")
    row.get_by_role("button", name="Undo").click()
    expect(count).to_have_text(f"{before} to map")


def test_a_permission_that_is_withdrawn_is_said_and_the_old_value_comes_back(
    ada: Page, practice: Practice
) -> None:
    def give(permissions: str) -> None:
        with practice.app.app_context():
            practice.session.execute(
                update(Login).where(Login.name == "ada").values(permissions=permissions)
            )
            practice.session.commit()

    row = row_of(ada)
    row.get_by_role("combobox").click()
    option = row.locator("[role=option]:not([aria-disabled]):not(.e-verb)").first
    expect(option).to_be_visible()
    with practice.app.app_context():
        before = practice.session.query(Login).filter_by(name="ada").one().permissions
    give("view")
    try:
        option.click()
        expect(ada.locator("#ensora-toast")).to_contain_text("You may not do this any more")
        expect(row.get_by_role("combobox")).to_have_value("")
    finally:
        give(before)


def test_an_error_of_the_server_is_said_and_the_old_value_comes_back(ada: Page) -> None:
    ada.route(re.compile("/map$"), lambda route: route.fulfill(status=503, body="away"))
    row = row_of(ada)
    choose(row)
    expect(ada.locator("#ensora-toast")).to_contain_text("The system is busy. Try again")
    expect(row.get_by_role("combobox")).to_have_value("")
    ada.unroute(re.compile("/map$"))
    choose(row)
    expect(row.get_by_text("User", exact=True)).to_be_visible()
    row.get_by_role("button", name="Undo").click()
    expect(row.get_by_text("None", exact=True)).to_be_visible()


def test_no_row_moves_under_the_pointer_when_a_pull_ends(ada: Page) -> None:
    rows = ada.locator("#ensora-table tr[id]")
    rows.nth(1).hover()
    ada.evaluate("document.getElementById('ensora-table').dataset.marked = 'yes'")
    marked = ada.locator("#ensora-table[data-marked]")
    ada.evaluate("document.body.dispatchEvent(new CustomEvent('ensora-rows'))")
    toast = ada.locator("#ensora-toast")
    expect(toast).to_contain_text("The pull changed rows here.")
    expect(marked).to_have_count(1)
    toast.get_by_role("button", name="Show").click()
    expect(marked).to_have_count(0)
    expect(rows.first).to_be_visible()


def test_suggestions_are_mapped_together_and_taken_back(ada: Page) -> None:
    ada.goto("/synchronization/appointments/?show=to-map")
    ada.get_by_role("link", name=re.compile(r"Review \d+ suggestions?")).click()
    boxes = ada.locator("[name=chosen]")
    expect(boxes.nth(1)).to_be_visible()
    expect(boxes.first).to_be_checked()
    ada.get_by_label("All of them").uncheck()
    expect(boxes.first).not_to_be_checked()
    boxes.first.check()
    boxes.last.check()
    ada.get_by_role("button", name="Map what is ticked").click()
    told = ada.locator("#ensora-review")
    expect(told.get_by_text("2 of 2 mapped")).to_be_focused()
    expect(told.locator("tbody tr")).to_have_count(2)
    told.get_by_role("button", name="Undo all of it").click()
    expect(told.get_by_text("2 of 2 undone")).to_be_focused()
    expect(told.get_by_role("button", name="Undo all of it")).to_have_count(0)
    told.get_by_role("link", name="Back to Appointments").click()
    expect(ada).to_have_url(re.compile("show=to-map"))


def test_what_a_pull_says_waits_for_what_a_change_says(ada: Page) -> None:
    row = row_of(ada)
    choose(row)
    expect(ada.locator("#ensora-toast")).to_contain_text(" mapped to ")
    row.hover()
    ada.evaluate("document.body.dispatchEvent(new CustomEvent('ensora-rows'))")
    expect(ada.locator("#ensora-toast")).to_contain_text(" mapped to ")
    ada.locator("#ensora-toast").get_by_role("button", name="Undo").click()
    expect(row.get_by_text("None", exact=True)).to_be_visible()


def test_what_is_created_in_the_host_is_mapped_on_the_way_back(ada: Page) -> None:
    row = row_of(ada, "No such client")
    name = row.locator(".e-who").first.inner_text()
    row.get_by_role("link", name="Create client").click()
    first = ada.get_by_label("First name")
    expect(first).to_have_value(name.split()[0])
    ada.get_by_role("button", name="Save", exact=True).click()
    ada.wait_for_url("**/synchronization/clients/**")
    expect(ada.get_by_text("Client created and mapped.")).to_be_visible()
    ada.goto("/synchronization/clients/?show=user")
    expect(row_of(ada, name).get_by_role("combobox")).to_have_value(name)


def test_the_form_of_dates_and_renderings_stands_in_the_address(ada: Page) -> None:
    ada.goto("/synchronization/appointments/?show=auto")
    ada.get_by_label("Rendered").select_option("refused")
    ada.wait_for_url("**rendering=refused**")
    ada.get_by_label("from").fill("2026-11-02")
    ada.wait_for_url("**since=2026-11-02**")
    ada.go_back()
    ada.wait_for_url(lambda url: "rendering=refused" in url and "since" not in url)
    expect(ada.get_by_label("Rendered")).to_have_value("refused")
    ada.go_forward()
    ada.wait_for_url("**since=2026-11-02**")


def test_reduced_motion_moves_nothing(chromium: Browser, address: str) -> None:
    with window(chromium, address, "ada", reduced_motion="reduce") as page:
        tip = row_of(page).locator(".e-tip").first
        assert tip.evaluate("tip => getComputedStyle(tip).transitionDuration") == "0s"
