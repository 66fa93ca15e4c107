"""The panel that polls while a run goes on, and what it lets the rest of the page do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.data import World
from ensora_plugin.models import Run
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
