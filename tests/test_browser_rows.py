"""Rows as a person works in them, in a real browser: keyboard, undo, ignoring, filters, and what
is said when something is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browsing import page_of, sign_in
from tests.test_browser_thread import demo

__all__ = ["demo"]


@pytest.fixture
def page(chromium: Browser, demo: str) -> Iterator[Page]:
    """Eve in her window: her account is connected and pulled from the start."""
    with page_of(chromium, demo) as page:
        sign_in(page, "eve")
        page.goto("/synchronization/clients/?show=to-map")
        # A pull that ends meanwhile has something to say as well.
        expect(page.locator("#ensora-progress")).to_contain_text("Connected", timeout=60_000)
        page.reload()
        yield page


def first_row(page: Page) -> Locator:
    row = page.locator("#ensora-table tr[id]", has_text="Why?").first
    return page.locator(f"#{row.get_attribute('id')}")


def toast(page: Page) -> Locator:
    return page.locator("#ensora-toast")


def test_a_choice_is_undone_from_where_it_is_told(page: Page) -> None:
    row = first_row(page)
    row.get_by_role("combobox").click()
    row.locator("[role=option]:not([aria-disabled]):not(.e-verb)").first.click()
    expect(row.get_by_text("User", exact=True)).to_be_visible()
    expect(row.get_by_role("button", name="Undo")).to_be_visible()
    expect(toast(page)).to_contain_text(" mapped to ")
    toast(page).get_by_role("button", name="Undo").click()
    expect(row.get_by_text("None", exact=True)).to_be_visible()
    expect(toast(page)).to_contain_text("Undone")


def test_the_drop_down_works_by_keyboard_and_tells_what_it_found(page: Page) -> None:
    box = first_row(page).get_by_role("combobox")
    box.focus()
    box.press("Enter")
    options = first_row(page).get_by_role("option")
    expect(options.first).to_be_visible()
    expect(page.locator("#ensora-live")).to_have_text(re.compile(r"\d+ to choose from"))
    box.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", re.compile("-1$"))
    box.press("End")
    expect(options.last).to_have_attribute("aria-selected", "true")
    box.press("Home")
    expect(options.first).to_have_attribute("aria-selected", "true")
    box.press("z")
    box.press("z")
    expect(page.locator("#ensora-live")).to_contain_text("No client begins like")
    box.press("Escape")
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(box).to_have_value("")


def test_a_record_is_ignored_by_keyboard_with_a_reason(page: Page) -> None:
    row = first_row(page)
    box = row.get_by_role("combobox")
    box.focus()
    box.press("ArrowDown")
    expect(row.get_by_role("option").first).to_be_visible()
    # To create a client stands last.
    expect(row.get_by_role("option").last).to_have_text(re.compile("^Create a client"))
    box.press("ArrowDown")
    box.press("End")
    box.press("ArrowUp")
    box.press("Enter")
    reason = row.get_by_label("Why does it need no mapping?")
    expect(reason).to_be_focused()
    reason.fill("a test")
    reason.press("Enter")
    expect(row).to_contain_text("ignored by eve")
    expect(row).to_contain_text("a test")
    row.get_by_role("button", name="Stop ignoring").click()
    expect(row.get_by_text("None", exact=True)).to_be_visible()


def test_why_shows_candidates_side_by_side(page: Page) -> None:
    row = page.locator("#ensora-table tr[id]", has_text="Ambiguous").first
    row.get_by_text("Why?").click()
    facts = row.get_by_role("table")
    expect(facts).to_be_visible()
    expect(facts.get_by_role("columnheader", name="Data Collection")).to_be_visible()
    assert facts.get_by_role("columnheader").count() >= 2
    expect(facts.get_by_role("rowheader", name="Last name")).to_be_visible()


def test_a_live_search_stands_in_the_address_and_in_the_filters(page: Page) -> None:
    page.goto("/synchronization/clients/")
    name = page.locator("#ensora-table .e-who").nth(3).inner_text().split()[0]
    page.get_by_role("searchbox").fill(name)
    page.wait_for_url(lambda url: f"q={name[:1]}" in url)
    states = page.locator("#ensora-states")
    expect(states.get_by_role("link", name="Auto")).to_have_attribute("href", re.compile("q="))
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value(name)
    states.get_by_role("link", name="Auto").click()
    page.wait_for_url("**show=auto**")
    page.go_back()
    page.wait_for_url("**show=all**")
    expect(page.get_by_role("searchbox")).to_have_value(name)


def test_a_filter_is_an_address(page: Page) -> None:
    page.get_by_label("Agency").select_option(index=1)
    page.wait_for_url("**agency=**")
    assert "q=" not in page.url
    expect(page.get_by_label("Agency")).not_to_have_value("")


def test_a_session_that_ended_is_said_and_nothing_typed_is_lost(page: Page) -> None:
    row = first_row(page)
    row.get_by_role("combobox").click()
    row.get_by_role("option", name=re.compile("Ignore")).click()
    reason = row.get_by_label("Why does it need no mapping?")
    reason.fill("typed before the end")
    page.context.clear_cookies()
    row.get_by_role("button", name="Ignore student").click()
    expect(toast(page)).to_contain_text("Your session has ended")
    expect(toast(page).get_by_role("link", name="Sign in")).to_be_visible()
    expect(reason).to_have_value("typed before the end")


def test_a_lost_connection_puts_the_old_value_back(page: Page) -> None:
    page.goto("/synchronization/clients/?show=auto")
    row = page.locator("#ensora-table tr[id]").nth(1)
    box = row.get_by_role("combobox")
    before = box.input_value()
    box.click()
    option = row.locator("[role=option]:not([aria-disabled]):not(.e-verb)").last
    expect(option).to_be_visible()
    page.context.set_offline(True)
    option.click()
    expect(toast(page)).to_contain_text("The connection was lost")
    expect(box).to_have_value(before)
    page.context.set_offline(False)


def test_a_disabled_icon_says_why_by_keyboard(page: Page) -> None:
    icon = first_row(page).get_by_role("button", name="Delete mapping: Nothing to delete")
    expect(icon).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Tab")
    icon.focus()
    expect(icon.locator(".e-tip")).to_have_css("opacity", re.compile("^(1|0\\.)"))


def test_without_script_a_page_is_read_filtered_and_searched(chromium: Browser, demo: str) -> None:
    with page_of(chromium, demo, java_script_enabled=False) as page:
        sign_in(page, "eve")
        page.goto("/synchronization/clients/?show=auto")
        name = page.locator("#ensora-table .e-who").nth(2).inner_text()
        page.get_by_role("searchbox").fill(name)
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#ensora-table .e-who").first).to_have_text(name)
        page.locator("#ensora-states").get_by_role("link", name="All").click()
        assert "q=" in page.url


@pytest.mark.parametrize("width", [390, 640])
def test_nothing_is_wider_than_a_narrow_screen(chromium: Browser, demo: str, width: int) -> None:
    """640 pixels are a screen of 1280 at 200 %."""
    with page_of(chromium, demo, viewport={"width": width, "height": 800}) as page:
        sign_in(page, "eve")
        for tab in ("agencies", "clients", "staff", "appointments"):
            page.goto(f"/synchronization/{tab}/")
            expect(page.locator("#ensora-table")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_the_filters_stand_behind_a_button(chromium: Browser, demo: str) -> None:
    with page_of(chromium, demo, viewport={"width": 390, "height": 800}) as page:
        sign_in(page, "eve")
        page.goto("/synchronization/clients/?inactive=1")
        button, choice = page.get_by_label("Filters 1 set"), page.get_by_label("Sort")
        expect(choice).to_be_hidden()
        expect(page.get_by_role("searchbox")).to_be_visible()
        button.focus()
        page.keyboard.press("Space")
        expect(choice).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_label("Inactive").uncheck()
        page.wait_for_url(lambda url: "inactive" not in url)
        expect(page.get_by_label("Filters", exact=True)).to_be_attached()
        expect(choice).to_be_hidden()
    with page_of(chromium, demo) as page:
        sign_in(page, "eve")
        page.goto("/synchronization/clients/")
        expect(page.get_by_label("Sort")).to_be_visible()
        expect(page.get_by_text("Filters", exact=True)).to_be_hidden()
