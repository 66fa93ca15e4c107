"""Rendering: each version of a note once into its appointment, tried again while refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import delete, select, update

from demo.host.models import Agency, Appointment, AppointmentSignature, Client
from ensora_plugin.clock import utcnow
from ensora_plugin.errors import EndedByPerson
from ensora_plugin.models import Content, Mapping, RenderingRow, Run
from ensora_plugin.pull.content import content_place
from ensora_plugin.rendering.soap import content_fields, read_soap
from ensora_plugin.runs.runs import claim, create_run
from ensora_plugin.runs.sync import Stopped, perform
from ensora_plugin.signals import appointment_rendered
from tests.meddling import RENDERED, Meddled, appointment, hours, rows
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, ORGANIZATION, Small


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, hours()) as practice:
        yield practice


@pytest.fixture
def on_each(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, hours()) as practice:
        yield practice


def change(practice: Practice, statement: Any) -> None:
    practice.session.execute(statement)
    practice.session.commit()


def test_text_and_signature_of_a_note_stand_in_its_appointment(practice: Practice) -> None:
    practice.run()
    one = appointment(practice)
    assert (one.status, one.results_notes) == ("rendered", "Hour 9")
    assert one.signature is not None
    assert one.signature.therapist_signature
    assert one.signature.therapist_location == "40.70000, -74.00000"
    assert (one.signature.source, one.signature.source_version) == ("note-1", 1)


def test_each_version_is_applied_once_however_often_it_runs(on_each: Practice) -> None:
    on_each.state.host = host = Meddled()
    with time_machine.travel(utcnow()):
        counts = on_each.counts(on_each.run())["note"]
        assert (counts.rendered, counts.refused) == (3, 0)
        for _again in range(2):
            counts = on_each.counts(on_each.run())["note"]
            assert (counts.rendered, counts.refused) == (0, 0)
    assert host.calls == [(1, 1), (2, 1), (3, 1)]
    assert list(rows(on_each).values()) == [RENDERED] * 3


def test_a_mark_that_nothing_is_rendered_for_goes_out(on_each: Practice) -> None:
    change(on_each, update(Client).values(terminated_on=utcnow().date() - timedelta(days=30)))
    on_each.run()
    done = update(RenderingRow).where(RenderingRow.note_id == "note-1").values(state="rendered")
    change(on_each, done)
    on_each.run()
    marked = select(Mapping.vendor_id).where(Mapping.kind == "note", Mapping.unrendered)
    # What is refused is looked at again.
    assert sorted(on_each.session.scalars(marked)) == ["note-2", "note-3"]


def test_a_refused_note_is_tried_again_and_renders_when_the_host_changed(
    practice: Practice,
) -> None:
    change(practice, update(Client).values(terminated_on=utcnow().date() - timedelta(days=30)))
    counts = practice.counts(practice.run())["note"]
    assert (counts.rendered, counts.refused) == (0, 3)
    refused = ("refused", True, ["client_terminated"])
    assert list(rows(practice).values()) == [refused] * 3
    # Refused, but the text is there.
    assert appointment(practice).results_notes == "Hour 9"
    before = practice.changed_rows()
    counts = practice.counts(practice.run())["note"]
    assert (counts.rendered, counts.refused) == (0, 0)
    assert practice.changed_rows() == before
    change(practice, update(Client).values(terminated_on=None))
    assert practice.counts(practice.run())["note"].rendered == 3
    assert list(rows(practice).values()) == [RENDERED] * 3


def test_other_refusals_than_last_time_are_written_down(practice: Practice) -> None:
    change(practice, update(Agency).values(guardian_signature_required=True))
    practice.run()
    assert set(map(str, rows(practice).values())) == {
        str(("refused", True, ["guardian_signature_missing"]))
    }
    change(practice, update(Appointment).where(Appointment.id == 1).values(locked=True))
    practice.run()
    # Its text stands there all the same.
    assert rows(practice)["note-1", 1] == ("refused", True, ["locked"])


def test_a_run_that_lets_others_go_first_asks_once_for_each_and_counts_all(
    on_each: Practice,
) -> None:
    on_each.run(ACCOUNT, "pull", "automap")
    change(on_each, update(Appointment).where(Appointment.id <= 2).values(kind="meeting"))
    on_each.run()
    on_each.store.edit_note(ORGANIZATION, "note-3", {"Notes": "Better."})
    on_each.run(ACCOUNT, "pull")
    change(on_each, update(Appointment).where(Appointment.id == 2).values(kind="service"))
    on_each.state.host = host = Meddled()
    account_id = on_each.account_id(ACCOUNT)
    run_id = create_run(on_each.session, account_id, cause="command", by=None, steps=("render",))
    for _slice in range(2):
        moments = iter([False, True])
        services = replace(on_each.state.services(), stopping=moments.__next__)
        ours = claim(on_each.session, run_id, 60)
        assert ours is not None
        with pytest.raises(Stopped):
            perform(services, ours)
    last = claim(on_each.session, run_id, 60)
    assert last is not None
    perform(on_each.state.services(), last)
    # What is new goes first; what stays refused is asked once.
    assert host.calls == [(3, 2), (1, 1), (2, 1)]
    run = on_each.session.get_one(Run, run_id)
    counts = on_each.counts(run)["note"]
    assert (run.state, counts.rendered, counts.refused) == ("done", 2, 0)


def test_a_run_that_a_person_stops_counts_what_it_did(practice: Practice) -> None:
    def stop(_: int) -> None:
        practice.session.execute(update(Run).values(stop_by="ada"))

    practice.state.host = Meddled(after=stop)
    with pytest.raises(EndedByPerson):
        practice.run()
    run = practice.session.scalars(select(Run)).one()
    assert (run.state, practice.counts(run)["note"].rendered) == ("stopped", 1)


def test_an_edited_note_is_applied_again(practice: Practice) -> None:
    practice.run()
    practice.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better."})
    assert practice.counts(practice.run())["note"].rendered == 1
    assert appointment(practice).results_notes == "Better."
    found = rows(practice)
    assert found["note-1", 1] == ("replaced", False, [])
    assert found["note-1", 2] == RENDERED
    assert len(found) == 4


def test_after_the_hosts_lock_an_edited_note_touches_nothing(practice: Practice) -> None:
    practice.run()
    change(practice, update(Appointment).values(locked=True))
    practice.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better."})
    practice.run()
    assert appointment(practice).results_notes == "Hour 9"
    assert rows(practice)["note-1", 2] == ("refused", False, ["locked"])
    change(practice, update(Appointment).values(locked=False))
    practice.run()
    assert appointment(practice).results_notes == "Better."
    assert rows(practice)["note-1", 2] == RENDERED


def test_what_is_withdrawn_at_the_source_stays_in_the_clinical_record(practice: Practice) -> None:
    practice.run()
    practice.store.unpublish_note(ORGANIZATION, "note-1")
    practice.store.delete_note(ORGANIZATION, "note-2")
    practice.run()
    for id, text in ((1, "Hour 9"), (2, "Hour 10")):
        one = appointment(practice, id)
        assert (one.status, one.results_notes) == ("rendered", text)
    assert list(rows(practice).values()) == [RENDERED] * 3
    assert len(practice.mapped(ACCOUNT, "note")) == 3


def test_a_version_that_was_applied_is_kept_sealed_and_others_are_not(practice: Practice) -> None:
    def versions() -> list[int]:
        practice.session.rollback()
        found = select(Content.version).where(Content.note_id == "note-1")
        return list(practice.session.scalars(found.order_by(Content.version)))

    practice.run()
    for text in ("second", "third"):
        practice.store.edit_note(ORGANIZATION, "note-1", {"Notes": text})
        practice.run(ACCOUNT, "pull")
    # The second was never applied.
    assert versions() == [1, 3]
    practice.run()
    practice.store.delete_note(ORGANIZATION, "note-1")
    practice.run()
    assert versions() == [1, 3, 4]
    account_id = practice.account_id(ACCOUNT)
    for version, text in ((1, "Hour 9"), (3, "third")):
        content = practice.session.get_one(Content, (account_id, "note-1", version))
        assert text.encode() not in content.sealed
        place = content_place(account_id, "note-1", version)
        soap = read_soap(content_fields(practice.state.sealer.open(content.sealed, *place)))
        assert soap.notes == text


def test_a_signature_that_is_not_taken_is_said_and_the_text_lands(sqlite_url: str) -> None:
    small = Small()
    small.trio()
    images = ("signed on paper", "data:image/png;base64,é", "data:image/png;base64,AAAA")
    for hour, image in enumerate(images, start=10):
        small.note(f"{hour}:00", f"{hour}:50", signature=image)
        small.appointment(f"{hour}:00", f"{hour}:50")
    with open_small(sqlite_url, small) as practice:
        practice.run()
        codes = ["therapist_signature_missing", "therapist_signature_refused"]
        assert list(rows(practice).values()) == [("refused", True, codes)] * len(images)
        assert appointment(practice).results_notes == "Went well."


def test_an_appointment_that_vanished_is_skipped_and_its_mapping_stays(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    change(practice, delete(AppointmentSignature))
    change(practice, delete(Appointment).where(Appointment.id == 2))
    practice.run()
    assert list(rows(practice)) == [("note-1", 1), ("note-3", 1)]
    assert practice.mapped(ACCOUNT, "note")["note-2"] == "2"


def test_the_host_is_told_after_the_commit_by_ids_only(practice: Practice) -> None:
    told: list[dict[str, Any]] = []

    def hear(account: str, **facts: Any) -> None:
        assert not practice.session.in_transaction()
        told.append({"account": account, **facts})

    with appointment_rendered.connected_to(hear):
        practice.run()
    assert told[0] == {
        "account": ACCOUNT,
        "appointment_id": "1",
        "note_id": "note-1",
        "version": 1,
        "state": "rendered",
    }
    assert len(told) == 3


def test_sessions_are_rendered_in_the_order_of_their_time(sqlite_url: str) -> None:
    small = Small()
    small.trio()
    for hour in (15, 9, 12):
        small.note(f"{hour:02}:00", f"{hour:02}:50")
        small.appointment(f"{hour:02}:00", f"{hour:02}:50")
    with open_small(sqlite_url, small) as practice:
        practice.state.host = host = Meddled()
        practice.run()
        assert [appointment_id for appointment_id, _ in host.calls] == [2, 3, 1]


def test_a_run_that_only_renders_needs_no_vendor(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    practice.store.revoke_tokens(ORGANIZATION)
    run = practice.run(ACCOUNT, "render")
    assert practice.session.get_one(Run, run.id).state == "done"
    assert list(rows(practice).values()) == [RENDERED] * 3
