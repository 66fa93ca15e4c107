"""The thread as a person lives it, on the whole demo: a button in Settings, the pop-up, four tabs
that fill by themselves, a row that becomes User, and the appointment with its signatures.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.redis_server import free_port
from tests.accessible import findings
from tests.browsing import page_of, sign_in

ROOT = Path(__file__).parents[1]
FACTS = (
    "Guardian Name",
    "Relationship",
    "Session Date",
    "Session Time",
    "Guardian Signature",
    "Location of Guardian Signature",
    "Therapist Signature",
    "Location of Therapist Signature",
    "Location of Appointment Render",
)
#: What a row says to those who may not do all.
WITHHELD = {
    "bo": "You do not have the permission to create client",
    "cy": "You do not have the permission to map",
    "dee": "You have no agency here",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`make demo` as a process of its own, on a free port; yields its address."""
    folder = tmp_path_factory.mktemp("demo")
    log = (folder / "demo.log").open("w+")
    command = [sys.executable, "-m", "demo", "--port", str(free_port()), "--notes", "150"]
    process = subprocess.Popen(
        [*command, "--data", str(folder / "var")], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        yield _ready(process, Path(log.name))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        log.close()


def _ready(process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Ready: (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def page(chromium: Browser, demo: str) -> Iterator[Page]:
    with page_of(chromium, demo) as page:
        yield page


def connect(page: Page, username: str, password: str) -> None:
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_label(re.compile("I agree")).check()
    page.get_by_role("button", name="Connect", exact=True).last.click()


def test_1_a_new_customer_is_asked_for_credentials_and_told_what_is_wrong(page: Page) -> None:
    sign_in(page, "ada")
    page.goto("/settings/")
    page.get_by_role("link", name="Synchronization").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Connect Ensora Data Collection")
    connect(page, "admin@brightsteps.example", "wrong")
    expect(dialog).to_contain_text("does not accept this user name and password")
    expect(page.get_by_label("User name")).to_have_value("admin@brightsteps.example")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label(re.compile("I agree"))).to_be_checked()
    connect(page, "therapist@brightsteps.example", "therapist-demo")
    expect(dialog).to_contain_text("is no Admin")


def test_2_after_consent_the_tabs_fill_by_themselves(page: Page) -> None:
    sign_in(page, "ada")
    page.goto("/synchronization/")
    connect(page, "admin@brightsteps.example", "admin-demo")
    page.wait_for_url("**/synchronization/agencies/")
    # Nobody clicks or reloads: the panel says that the pull goes on, and the rows appear.
    expect(page.locator("#ensora-table tbody tr[id]")).to_have_count(6, timeout=60_000)
    expect(page.locator("#ensora-progress")).to_contain_text("Connected", timeout=60_000)
    expect(page.locator("#ensora-tabs")).to_contain_text("to map")
    for tab in ("Clients", "Staff", "Appointments"):
        page.locator("#ensora-tabs").get_by_role("link", name=re.compile(tab)).click()
        expect(page.locator("#ensora-table").get_by_text("Auto", exact=True).first).to_be_visible()


def test_3_a_row_is_mapped_from_its_drop_down_without_a_page_load(page: Page) -> None:
    sign_in(page, "ada")
    page.goto("/synchronization/clients/?show=to-map")
    page.evaluate("window.sameDocument = true")
    row = page.locator("#ensora-table tbody tr", has_text="No such client").first
    row_id = row.get_attribute("id")
    box = row.get_by_role("combobox")
    box.click()
    expect(row.get_by_role("option").first).to_be_visible()
    box.press("Escape")
    expect(box).to_have_attribute("aria-expanded", "false")
    box.press("ArrowDown")
    expect(row.get_by_role("option").first).to_be_visible()
    free = row.locator("[role=option]:not([aria-disabled])").first
    name = free.locator(".e-who").inner_text()
    while "e-active" not in (free.get_attribute("class") or ""):
        box.press("ArrowDown")
    box.press("Enter")
    changed = page.locator(f"#{row_id}")
    expect(changed.get_by_text("User", exact=True)).to_be_visible()
    expect(changed.get_by_role("combobox")).to_have_value(name)
    expect(page.get_by_role("status").filter(has_text=" mapped to ")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True
    delete = changed.get_by_role("button", name=re.compile("Delete mapping"))
    delete.click()
    expect(changed.get_by_text("None", exact=True)).to_be_visible()
    assert page.evaluate("window.sameDocument") is True


def test_4_the_appointment_shows_notes_and_signatures(page: Page) -> None:
    sign_in(page, "ada")
    page.goto("/synchronization/appointments/?show=auto")
    rendered = page.locator("#ensora-table tbody tr", has_text="Rendered").first
    title = rendered.locator(".e-who").inner_text()
    page.goto("/appointments/")
    for link in [
        found.get_attribute("href") for found in page.locator("td a[href*='/appointments/']").all()
    ]:
        page.goto(link or "")
        if page.locator("img.signature").count():
            break
    assert title
    for fact in FACTS:
        expect(page.get_by_text(fact, exact=True).first).to_be_visible()
    expect(page.get_by_text("Results Notes").first).to_be_visible()
    picture = page.locator("img.signature").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")


@pytest.mark.parametrize("name", ["bo", "cy", "dee", "eve"])
def test_5_each_login_gets_its_own_window(page: Page, name: str) -> None:
    sign_in(page, name)
    page.goto("/synchronization/")
    tabs = page.locator("#ensora-tabs")
    agencies = tabs.get_by_role("link", name=re.compile("Agencies"))
    expect(agencies).to_have_count(0 if name == "dee" else 1)
    tabs.get_by_role("link", name=re.compile("Clients")).click()
    boxes = page.locator("#ensora-table").get_by_role("combobox")
    if name in ("cy", "dee"):
        expect(boxes).to_have_count(0)
    else:
        expect(boxes.first).to_be_visible()
    page.goto("/synchronization/clients/?show=to-map")
    if name in WITHHELD:
        expect(page.locator("#ensora-table")).to_contain_text(WITHHELD[name])
    else:
        expect(page.locator("#ensora-table a.e-create").first).to_be_visible()
    assert findings(page) == []


def test_6_nothing_of_a_page_stays_in_the_browser(page: Page) -> None:
    sign_in(page, "ada")
    page.goto("/synchronization/clients/")
    page.get_by_role("searchbox").fill("a")
    page.wait_for_timeout(600)
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_7_sync_now_starts_a_pull_and_the_panel_ends_by_itself(page: Page) -> None:
    sign_in(page, "ada")
    page.goto("/synchronization/agencies/")
    page.get_by_role("button", name="Sync now").click()
    expect(page.locator("#ensora-progress progress")).to_be_visible()
    expect(page.locator("#ensora-progress")).to_contain_text("Connected", timeout=60_000)
    assert page.locator("#ensora-progress[hx-trigger*=load]").count() == 0
