"""Other content under a version that was applied: it counts as changed, and what was is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from demo.host.models import Appointment
from ensora_plugin.access import Scope
from ensora_plugin.host.port import ALL, PERMISSIONS, Actor
from ensora_plugin.models import Content, Note, RenderingRow, ReplacedContent
from ensora_plugin.pull.content import content_place
from ensora_plugin.rendering.evidence import evidence
from ensora_plugin.rendering.soap import content_fields, read_soap
from tests.five_students import calm, forget_cursors, play
from tests.meddling import change, chip_of, hours
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, ORGANIZATION


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, hours(1)) as practice:
        practice.run()
        forget_cursors(practice)
        yield practice


def send_otherwise(practice: Practice, text: str) -> None:
    """Let the feed have another text in the note, whose version and times stay."""
    fields = practice.store.get(ORGANIZATION, "session-notes", "note-1")["fields"]
    other = [{**one, "value": text} if one["name"] == "Notes" else one for one in fields]
    play(practice, "member", "session-notes", member="fields", value=other)


def written(practice: Practice) -> str:
    practice.session.expire_all()
    return str(practice.session.scalars(select(Appointment.results_notes)).one())


def text_of(practice: Practice, sealed: bytes) -> str:
    place = content_place(practice.account_id(ACCOUNT), "note-1", 1)
    return read_soap(content_fields(practice.state.sealer.open(sealed, *place))).notes


def test_it_is_applied_again_and_what_stood_there_is_kept_sealed(practice: Practice) -> None:
    before = written(practice)
    send_otherwise(practice, "Came otherwise.")
    run = practice.run()
    assert practice.counts(run)["note"].changed == 1
    assert practice.counts(run)["note"].rendered == 1
    assert written(practice) == "Came otherwise."
    assert practice.session.scalars(select(Note.version)).one() == 1
    now = practice.session.scalars(select(Content)).one()
    kept = practice.session.scalars(select(ReplacedContent)).one()
    assert (now.version, text_of(practice, now.sealed)) == (1, "Came otherwise.")
    assert (kept.version, text_of(practice, kept.sealed)) == (1, before)
    row = practice.session.scalars(select(RenderingRow)).one()
    assert (row.state, row.applied, row.refusals) == ("rendered", True, [])
    # Once more the same changes nothing.
    forget_cursors(practice)
    again = practice.run()
    assert (practice.counts(again)["note"].unchanged, practice.counts(again)["note"].rendered) == (
        1,
        0,
    )


def test_a_locked_appointment_keeps_its_text_and_says_so(practice: Practice) -> None:
    before = written(practice)
    practice.session.execute(update(Appointment).values(locked=True))
    practice.session.commit()
    send_otherwise(practice, "Came otherwise.")
    practice.run()
    assert written(practice) == before
    row = practice.session.scalars(select(RenderingRow)).one()
    assert (row.state, row.applied) == ("refused", True)
    assert [refusal["code"] for refusal in row.refusals] == ["locked"]
    assert len(practice.session.scalars(select(ReplacedContent)).all()) == 1


def proofs(practice: Practice) -> list[tuple[str, bool, str, str | None, list[bool]]]:
    """Of what the sheet says was written: state, whether it stands, by whom, its text, and whether
    its signatures are those that were written.
    """
    practice.session.rollback()
    scope = Scope.of(practice.account_id(ACCOUNT), ACCOUNT, Actor("1", "ada", ALL, PERMISSIONS))
    found = evidence(practice.session, scope, practice.state.host, practice.state.sealer, "1")
    practice.session.rollback()
    assert found is not None
    return [
        (
            one.state,
            one.stands,
            one.applied_by,
            one.view.text if one.view else None,
            [signature.as_stored for signature in one.signatures],
        )
        for one in found.versions
    ]


def test_the_evidence_tells_both_contents_and_which_run_wrote_each(practice: Practice) -> None:
    [before] = proofs(practice)
    send_otherwise(practice, "Came otherwise.")
    again = practice.run()
    now = ("rendered", True, f"run {again.id}", "Came otherwise.", [True])
    assert proofs(practice) == [now, ("replaced", False, *before[2:])]


def test_the_evidence_of_a_locked_appointment_is_what_stands_there(practice: Practice) -> None:
    [before] = proofs(practice)
    change(practice, update(Appointment).values(locked=True))
    for text in ("Came otherwise.", "And otherwise again."):
        send_otherwise(practice, text)
        practice.run()
        forget_cursors(practice)
        assert proofs(practice) == [("refused", *before[1:])]
    word, below = chip_of(practice)
    assert word == "Changed after lock"
    assert below.startswith("What came before under this version stands there.")
    change(practice, update(Appointment).values(locked=False))
    last = practice.run()
    now = ("rendered", True, f"run {last.id}", "And otherwise again.", [True])
    assert proofs(practice) == [now, ("replaced", False, *before[2:])]


def test_another_document_that_says_the_same_is_not_applied_again(practice: Practice) -> None:
    play(practice, "member", "session-notes", member="mood", value="calm")
    run = practice.run()
    assert (practice.counts(run)["note"].changed, practice.counts(run)["note"].rendered) == (1, 0)
    assert practice.session.scalars(select(ReplacedContent)).all() == []
    calm(practice)


def test_a_key_that_is_gone_lets_the_content_come_anew(practice: Practice) -> None:
    practice.session.execute(update(Content).values(sealed=b"\x00"))
    practice.session.commit()
    send_otherwise(practice, "Came otherwise.")
    practice.run()
    assert written(practice) == "Came otherwise."
