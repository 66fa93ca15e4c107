"""Beside the tabs, in a real browser: a pull that is stopped, one that is held, the settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from demo.data import World, build_world
from ensora_plugin.clock import utcnow
from ensora_plugin.database import begin_write
from ensora_plugin.models import Connection, Feed
from tests.browsing import page_of, sign_in
from tests.deployment import Deployment, deployed
from tests.served import served


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The site with one worker that nobody rings; one account is connected and pulled."""
    folder: Path = tmp_path_factory.mktemp("places")
    world: World = build_world(notes=100, today=date(2026, 11, 20))
    with deployed(folder, f"sqlite:///{folder / 'host.db'}", "", world) as deployment:
        deployment.connect("bright-steps")
        deployment.worker("--workers", "1")
        deployment.until(deployment.ended(1))
        yield deployment


@pytest.fixture
def page(chromium: Browser, deployment: Deployment) -> Iterator[Page]:
    with served(deployment.app) as address, page_of(chromium, address) as page:
        sign_in(page, "ada")
        yield page


def test_a_pull_is_stopped_and_the_next_one_goes_on(page: Page, deployment: Deployment) -> None:
    deployment.slow(4, "/v1/students")
    page.goto("/synchronization/agencies/")
    panel = page.locator("#ensora-progress")
    panel.get_by_role("button", name="Sync now").click()
    # Nobody holds a run that waits for a worker: it would be stopped at once.
    expect(panel).to_contain_text("Pulling from", timeout=30_000)
    panel.get_by_role("button", name="Stop this pull").click()
    expect(panel).to_contain_text("Stopping after this page")
    deployment.play([])
    expect(panel.get_by_role("button", name="Sync now")).to_be_visible(timeout=30_000)
    assert deployment.runs()[-1].state == "stopped"
    page.goto("/synchronization/runs/")
    expect(page.get_by_role("article").first).to_contain_text("Stopped")


def test_a_held_pull_says_what_it_took_and_goes_on_when_agreed_to(
    page: Page, deployment: Deployment
) -> None:
    students = next(o for o in deployment.world.organizations if o["id"] == "org-bright-steps")
    with Session(deployment.state.engine) as session:
        # The worker may write between a read and the write that follows it.
        begin_write(session)
        own = select(Connection).filter_by(account="bright-steps")
        connection = session.scalars(own).one()
        connection.held_at = utcnow()
        gone = len(students["students"])
        session.execute(
            update(Feed)
            .where(Feed.account_id == connection.id, Feed.kind == "student")
            .values(gone=gone)
        )
        session.commit()
    page.goto("/synchronization/clients/")
    banner = page.locator("#ensora-held")
    expect(banner.get_by_role("alert")).to_contain_text(f"{gone} of")
    banner.get_by_role("button", name="Agree, and go on").click()
    expect(banner.get_by_role("alert")).to_have_count(0)
    expect(page.locator("#ensora-progress")).to_contain_text("Connected", timeout=30_000)
    page.goto("/synchronization/history/")
    expect(page.get_by_role("row", name="Agreed to a held pull").first).to_contain_text("ada")


def test_settings_say_beside_the_field_what_is_wrong_and_that_they_are_saved(page: Page) -> None:
    page.goto("/synchronization/settings/")
    grace = page.get_by_label("Grace time in minutes")
    grace.fill("999")
    page.get_by_role("button", name="Save").click()
    expect(grace).to_have_attribute("aria-invalid", "true")
    expect(grace).to_have_value("999")
    wrong = page.locator(f"#{grace.get_attribute('aria-describedby')}")
    expect(wrong).to_be_visible()
    expect(page.get_by_text("Saved.")).to_have_count(0)
    grace.fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(grace).to_have_value("7")
    expect(grace).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("The grace is 7 minutes now.")).to_be_visible()
