"""A person stops a pull: what was stored stays, nothing more is written, the next one goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select

from demo.data import build_world
from ensora_plugin.clock import utcnow
from ensora_plugin.errors import EndedByPerson
from ensora_plugin.models import Note, RunCount
from ensora_plugin.runs.runs import ask_to_stop
from ensora_plugin.runs.schedule import claimable_runs
from ensora_plugin.runs.sync import perform
from ensora_plugin.signals import run_ended
from tests.practices import Practice, open_demo
from tests.running import claimed, connection_of, due, heard, run_of

ACCOUNT = "bright-steps"


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    world = build_world(notes=120, today=date(2026, 11, 20))
    with open_demo(database_url, world, connected=True) as practice:
        yield practice


def stop(practice: Practice) -> bool:
    """Ask as a person does, in a request of their own."""
    with practice.outside(), practice.app.app_context():
        return ask_to_stop(practice.session, practice.account_id(ACCOUNT), "ada")


def test_a_run_that_waits_ends_at_once(practice: Practice) -> None:
    run_id = due(practice, ACCOUNT)
    assert stop(practice)
    run = run_of(practice, run_id)
    assert (run.state, run.error_text) == ("stopped", "Stopped by ada.")
    assert claimable_runs(practice.session) == []
    connection = connection_of(practice, ACCOUNT)
    assert connection.failures == 0
    assert connection.due_at is not None
    assert connection.due_at > utcnow()
    assert not stop(practice)


def test_a_run_under_way_ends_after_its_page_and_the_next_one_goes_on(practice: Practice) -> None:
    run_id = due(practice, ACCOUNT)
    ours = claimed(practice, run_id)
    services = practice.state.services()
    pages = []

    def after_a_page() -> bool:
        pages.append(1)
        if len(pages) == 2:
            stop(practice)
        return False

    with heard(run_ended) as told, pytest.raises(EndedByPerson):
        perform(replace(services, stopping=after_a_page), ours)
    assert [(one["state"], one["code"]) for one in told] == [("stopped", "stopped")]
    run = run_of(practice, run_id)
    assert (run.state, run.step, run.error_text) == ("stopped", None, "Stopped by ada.")
    assert len(pages) == 2
    assert practice.session.scalars(select(Note.id)).first() is None
    fetched = practice.session.scalars(select(RunCount.fetched).filter_by(run_id=run_id)).all()
    assert sum(fetched) > 0
    practice.run(ACCOUNT)
    world = next(o for o in practice.world.organizations if o["id"] == f"org-{ACCOUNT}")
    stored = practice.session.scalars(
        select(Note.vendor_id).where(Note.account_id == practice.account_id(ACCOUNT))
    )
    assert sorted(stored) == sorted(note["id"] for note in world["notes"])
