"""Where one pull takes unusually much away, automap and rendering wait until a person agrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from ensora_plugin.errors import Held, NotAllowed
from ensora_plugin.models import Connection, History, Mapping, Note, RenderingRow, Run, Student
from ensora_plugin.runs.guard import agree, losses
from ensora_plugin.runs.runs import claim, create_run
from ensora_plugin.runs.sync import perform
from ensora_plugin.signals import pull_held, run_ended
from tests.practices import Practice, open_pulled
from tests.running import connection_of, heard

ACCOUNT = "bright-steps"
ORGANIZATION = f"org-{ACCOUNT}"


@pytest.fixture
def practice(database_url: str, world: Any) -> Iterator[Practice]:
    with open_pulled(database_url, world, ACCOUNT) as practice:
        yield practice


def side(practice: Practice) -> dict[str, Any]:
    return next(o for o in practice.world.organizations if o["id"] == ORGANIZATION)


def take_away(practice: Practice, share: float) -> list[str]:
    """Unpublish a share of all published notes at the vendor; return their ids."""
    account_id = practice.account_id(ACCOUNT)
    published = practice.session.scalars(
        select(Note.vendor_id)
        .where(Note.account_id == account_id, Note.status == "published")
        .order_by(Note.id)
    ).all()
    chosen = list(published[: round(len(published) * share)])
    for note_id in chosen:
        practice.store.unpublish_note(ORGANIZATION, note_id)
    return chosen


def hold(practice: Practice) -> None:
    with pytest.raises(Held):
        practice.run(ACCOUNT)


def state(practice: Practice) -> list[Any]:
    practice.session.rollback()
    account_id = practice.account_id(ACCOUNT)
    mapped = select(func.count()).where(Mapping.account_id == account_id)
    rendered = select(func.count()).where(
        RenderingRow.account_id == account_id, RenderingRow.applied
    )
    reasons = select(func.count()).where(Note.account_id == account_id, Note.why == "unpublished")
    return [practice.session.scalar(each) for each in (mapped, rendered, reasons)]


def test_records_land_while_automap_and_rendering_wait(practice: Practice) -> None:
    before = state(practice)
    gone = take_away(practice, 0.3)
    with heard(pull_held) as told, heard(run_ended) as ended:
        hold(practice)
        hold(practice)
    assert [one["account"] for one in told] == [ACCOUNT]
    assert [one["state"] for one in ended] == ["held", "held"]
    assert state(practice) == before
    landed = select(Note.vendor_id).where(Note.status == "unpublished", Note.vendor_id.in_(gone))
    assert sorted(practice.session.scalars(landed)) == sorted(gone)
    connection = connection_of(practice, ACCOUNT)
    assert connection.held_at is not None
    assert (connection.failures, connection.error_code) == (0, None)
    run = practice.session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert run is not None
    assert (run.state, run.error_code) == ("held", "held")


def test_a_person_sees_what_it_would_do_and_lets_it_go_on(practice: Practice) -> None:
    gone = take_away(practice, 0.3)
    hold(practice)
    account_id, settings = practice.account_id(ACCOUNT), practice.state.settings
    (loss,) = losses(practice.session, account_id, settings)
    published = sum(note["status"] == "published" for note in side(practice)["notes"])
    assert (loss.gone, loss.of) == (len(gone), published)
    stand = select(func.count(RenderingRow.note_id.distinct())).where(
        RenderingRow.note_id.in_(gone), RenderingRow.applied
    )
    assert loss.applied == practice.session.scalar(stand) > 0
    assert f"{loss.gone} of {loss.of} session notes were unpublished or deleted" in loss.words
    with pytest.raises(NotAllowed, match="Look at the numbers again"):
        agree(practice.session, account_id, settings, by="ada", seen=loss.gone - 1)
    practice.session.rollback()
    agree(practice.session, account_id, settings, by="ada", seen=loss.gone)
    practice.session.commit()
    told = practice.session.scalars(select(History).where(History.action == "agree")).one()
    assert (told.by, told.after) == ("ada", {"note": {"gone": loss.gone, "of": loss.of}})
    assert practice.run(ACCOUNT).state == "done"
    assert connection_of(practice, ACCOUNT).held_at is None
    with pytest.raises(NotAllowed, match="Nothing is held"):
        agree(practice.session, account_id, settings, by="ada", seen=loss.gone)


def test_what_comes_back_lets_it_go_on_by_itself(practice: Practice) -> None:
    mapped, _, withdrawn = state(practice)
    gone = take_away(practice, 0.3)
    hold(practice)
    for note_id in gone:
        practice.store.edit_note(ORGANIZATION, note_id)
    assert practice.run(ACCOUNT).state == "done"
    assert connection_of(practice, ACCOUNT).held_at is None
    # What was applied is applied again, since each is a new version.
    assert state(practice)[::2] == [mapped, withdrawn]


def test_little_goes_on_by_itself_and_does_not_add_up_over_runs(practice: Practice) -> None:
    for _ in range(2):
        take_away(practice, 0.15)
        assert practice.run(ACCOUNT).state == "done"


def test_few_records_are_never_held_although_they_are_a_large_share(practice: Practice) -> None:
    sites = [site["id"] for site in side(practice)["sites"]]
    for site_id in sites[: len(sites) // 2]:
        practice.store.change(ORGANIZATION, "sites", site_id, active=False)
    assert practice.run(ACCOUNT).state == "done"


def test_students_made_inactive_at_once_are_held(practice: Practice) -> None:
    active = [one["id"] for one in side(practice)["students"] if one["active"]]
    for student_id in active[: len(active) // 2]:
        practice.store.change(ORGANIZATION, "students", student_id, active=False)
    hold(practice)
    (loss,) = losses(practice.session, practice.account_id(ACCOUNT), practice.state.settings)
    assert (loss.kind.name, loss.gone, loss.of) == ("student", len(active) // 2, len(active))
    assert practice.session.scalars(select(Student.id).where(~Student.active)).first()


def test_a_pull_that_failed_half_way_counts_for_the_next_one(practice: Practice) -> None:
    take_away(practice, 0.3)
    account_id = practice.account_id(ACCOUNT)
    hands = {"cause": "command", "by": "test"}
    run_id = create_run(practice.session, account_id, steps=("pull",), **hands)
    claimed = claim(practice.session, run_id, 60)
    assert claimed is not None
    perform(practice.state.services(), claimed)
    for step in ("automap", "render"):
        if step == "render":
            assert practice.session.get_one(Connection, account_id).held_at is not None
        with pytest.raises(Held):
            practice.run(ACCOUNT, step)
