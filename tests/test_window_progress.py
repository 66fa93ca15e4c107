"""The panel that polls while a run goes on, and what it lets the rest of the page do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from demo.data import World
from ensora_plugin.errors import VendorUnreachable
from ensora_plugin.models import Connection, Run
from ensora_plugin.runs.jobs import work_run
from ensora_plugin.runs.schedule import request_run
from tests.practices import Practice
from tests.window import Person, open_window


@pytest.fixture
def practice(tmp_path: Path, small_world: World) -> Iterator[Practice]:
    with open_window(f"sqlite:///{tmp_path / 'host.db'}", small_world) as practice:
        yield practice


def told(answer: object) -> dict[str, object]:
    return json.loads(answer.headers.get("HX-Trigger", "{}"))


def bar_of(answer: object) -> tuple[float, float]:
    """Return how much of how much the bar shows."""
    most, value = re.search(r'<progress [^>]*max="([\d.]+)" value="([\d.]+)"', answer.text).groups()
    return float(value), float(most)


def test_rows_come_anew_when_a_run_ended_before_it_was_seen_at_any_step(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    with practice.app.app_context():
        run_id = request_run(practice.session, practice.account_id("bright-steps"), "ada")
    waiting = ada.fragment("/progress?was=0")
    assert "was=0" in waiting.text
    assert "ensora-rows" not in told(waiting)
    with practice.app.app_context():
        work_run(run_id)
    over = ada.fragment("/progress?was=0")
    assert "load delay" in waiting.text
    assert "load delay" not in over.text
    assert "ensora-rows" in told(over)


def test_the_bar_is_never_full_while_a_run_goes_on(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    with practice.app.app_context():
        run_id = request_run(practice.session, practice.account_id("bright-steps"), "ada")
    assert bar_of(ada.fragment("/progress?was=0")) == (0, 3)
    with practice.app.app_context():
        run = practice.session.get_one(Run, run_id)
        run.state, run.step = "running", "render"
        practice.session.commit()
    assert bar_of(ada.fragment("/progress?was=0")) == (2.5, 3)


def test_an_account_that_keeps_failing_says_since_when_and_what_to_do(practice: Practice) -> None:
    ada, cy = Person(practice.app, "ada"), Person(practice.app, "cy")
    assert "Sync now" in ada.fragment("/progress").text
    scenario = practice.emulator.extensions["emulator"].scenario
    scenario.play([{"fault": "status", "args": {"code": 500}}])
    with practice.app.app_context():
        for _ in range(2):
            with pytest.raises(VendorUnreachable):
                practice.run()
        own = Connection.account == "bright-steps"
        since = practice.session.scalars(select(Connection.failing_since).where(own)).one()
        assert since is not None
    told = ada.fragment("/progress").text
    assert "The last 2 pulls failed" in told
    assert f">{since:%b} {since.day}, {since:%H:%M} UTC</time>" in told.split(" since <time")[1]
    assert ">Try again</button>" in told
    assert "Sync now" not in told
    assert "Ensora Data Collection" in told.split('<p class="e-error">')[1]
    # Who may only look reads the same, without the button.
    assert "The last 2 pulls failed since" in cy.fragment("/progress").text
    assert "Try again" not in cy.fragment("/progress").text
    status = practice.app.test_cli_runner().invoke(args=["ensora", "status", "bright-steps"])
    failing = f"  failed, 2 in a row since {since:%Y-%m-%d %H:%M} UTC: "
    assert any(line.startswith(failing) for line in status.output.splitlines())
    scenario.clear()
    with practice.app.app_context():
        practice.run()
    assert "Sync now" in ada.fragment("/progress").text
    status = practice.app.test_cli_runner().invoke(args=["ensora", "status", "bright-steps"])
    assert "in a row" not in status.output
