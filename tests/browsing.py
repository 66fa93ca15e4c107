"""A real browser: Chromium of the system through Playwright, in which any console error fails the
test.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync", "--disable-quic"),
)
#: The browser and htmx report an answer that refuses something, and a lost connection; the page
#: says both in words.
_REFUSALS = re.compile(
    r"the server responded with a status of (401|403|409|422|503)|net::ERR_INTERNET_DISCONNECTED"
    r"|^Response Status Error Code (401|403|409|422|503) from|^htmx:(sendError|afterRequest),"
)


def chromium() -> str:
    """Return the path of the system's Chromium; fails the test run where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.fail("Chromium is missing; `make test` installs it")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a headless Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


@contextmanager
def page_of(browser: Browser, address: str, **context: object) -> Iterator[Page]:
    """Open a page in a context of its own; errors of script or console fail when it closes."""
    opened = browser.new_context(base_url=address, **context)
    opened.set_default_timeout(15_000)
    page = opened.new_page()
    errors: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _REFUSALS.search(message.text):
            errors.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    opened.close()
    assert not errors, errors


def sign_in(page: Page, name: str) -> None:
    """Sign in at the host's own login, with the password that everybody has in the demo."""
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)
