"""What a person changes about a note that stands in an appointment, or is just going into it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.orm import ORMExecuteState

from demo.host.models import Agency, Appointment
from ensora_plugin.database import begin_write
from ensora_plugin.errors import NotAllowed
from ensora_plugin.history import lock_account
from ensora_plugin.kinds import NOTE, STUDENT, Kind
from ensora_plugin.mapping.changing import Stale
from ensora_plugin.mapping.mapping import map_record, unmap_record
from ensora_plugin.models import Mapping, Note
from ensora_plugin.rendering.withdrawing import Desk
from tests.meddling import RENDERED, Meddled, appointment, hours, rows
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, hours(1)) as practice:
        yield practice


def desk(practice: Practice, kind: Kind = NOTE) -> tuple[Desk, Any]:
    """A person's desk with the one note, or another record, in a transaction of its own."""
    session, account_id = practice.session, practice.account_id(ACCOUNT)
    begin_write(session)
    lock_account(session, account_id)
    state = practice.state
    at = Desk(session, account_id, ACCOUNT, state.host, state.sealer, "ada")
    return at, session.scalars(select(kind.model)).one()


def by_hand(practice: Practice) -> None:
    """Let the note's mapping be one that a person made."""
    practice.session.execute(
        update(Mapping).where(Mapping.kind == "note").values(state="user", by="ada")
    )
    practice.session.commit()


def unmap(practice: Practice) -> None:
    at, note = desk(practice)
    unmap_record(at, NOTE, note, seen=1)
    practice.session.commit()


@pytest.mark.parametrize("kind", [STUDENT, NOTE])
def test_automap_after_a_person_is_no_mapping_that_the_person_saw(
    database_url: str, kind: Kind
) -> None:
    small = hours(1)
    small.client("Kim Other", "2012-05-05")
    small.appointment("06:00", "07:00")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull")
        session = practice.session
        if kind is NOTE:
            practice.run(ACCOUNT, "automap")
            session.execute(delete(Mapping).where(Mapping.kind == "note"))
            session.execute(update(Note).values(touched=Note.touched + 1))
            session.commit()
        at, record = desk(practice, kind)
        map_record(at, kind, record, "2", seen=0)
        unmap_record(at, kind, record, seen=1)
        session.commit()
        practice.run(ACCOUNT, "automap")
        stands = session.scalars(select(Mapping).filter_by(kind=kind.name)).one()
        assert (stands.host_id, stands.state, stands.version) == ("1", "auto", 3)
        at, record = desk(practice, kind)
        with pytest.raises(Stale):
            map_record(at, kind, record, "2", seen=1)
        session.rollback()


def test_a_note_that_was_taken_back_and_is_mapped_there_again_goes_in_again(
    practice: Practice,
) -> None:
    practice.run()
    by_hand(practice)
    unmap(practice)
    assert appointment(practice).results_notes == ""
    at, note = desk(practice)
    map_record(at, NOTE, note, "1", seen=0)
    practice.session.commit()
    practice.run()
    assert appointment(practice).results_notes == "Hour 9"
    assert list(rows(practice).values()) == [RENDERED]


def test_a_note_that_a_locked_appointment_holds_cannot_be_unmapped_whatever_was_refused_since(
    practice: Practice,
) -> None:
    practice.session.execute(update(Agency).values(guardian_signature_required=True))
    practice.session.commit()
    practice.run()
    practice.session.execute(update(Appointment).values(locked=True))
    practice.session.commit()
    practice.run()
    by_hand(practice)
    at, note = desk(practice)
    with pytest.raises(NotAllowed, match="is locked"):
        unmap_record(at, NOTE, note, seen=1)
    practice.session.rollback()
    assert appointment(practice).results_notes == "Hour 9"


def test_a_note_in_a_locked_appointment_does_not_go_into_a_second_one(sqlite_url: str) -> None:
    small = hours(1)
    second = small.appointment("17:00", "17:50")
    with open_small(sqlite_url, small) as practice:
        practice.run()
        practice.session.execute(update(Appointment).values(locked=True))
        practice.session.commit()
        at, note = desk(practice)
        with pytest.raises(NotAllowed, match="stays in its appointment"):
            map_record(at, NOTE, note, str(second), seen=1)
        practice.session.rollback()
        assert practice.mapped(ACCOUNT, "note") == {"note-1": "1"}


@pytest.mark.parametrize("host_id", [" 1", "01", "9" * 30, "one"])
def test_an_id_in_other_letters_is_no_entity(practice: Practice, host_id: str) -> None:
    practice.run(ACCOUNT, "pull")
    at, note = desk(practice)
    with pytest.raises(NotAllowed, match="no such appointment"):
        map_record(at, NOTE, note, host_id, seen=0)
    practice.session.rollback()


def test_a_mapping_deleted_while_its_note_is_rendered_takes_the_note_back(
    database_url: str,
) -> None:
    with open_small(database_url, hours(1)) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        by_hand(practice)
        person: list[threading.Thread] = []

        def elsewhere() -> None:
            with practice.app.app_context():
                unmap(practice)

        def meanwhile(_: int) -> None:
            person.append(threading.Thread(target=elsewhere))
            person[0].start()
            person[0].join(0.5)

        practice.state.host = Meddled(after=meanwhile)
        practice.run(ACCOUNT, "render")
        practice.session.rollback()
        person[0].join(20)
        assert practice.mapped(ACCOUNT, "note") == {}
        assert appointment(practice).results_notes == ""
        assert list(rows(practice).values()) == [("withdrawn", False, [])]


def test_a_note_that_was_just_rendered_while_a_person_mapped_it_elsewhere_goes_in_there(
    sqlite_url: str,
) -> None:
    small = hours(1)
    small.appointment("15:00", "15:50")
    with open_small(sqlite_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        at, note = desk(practice)

        @event.listens_for(practice.session, "do_orm_execute")
        def rendered_meanwhile(told: ORMExecuteState) -> None:
            # Whoever waits for the lock of a rendering has read the mapping as it was before.
            if getattr(told.statement, "_for_update_arg", None) is not None:
                done = update(Mapping.__table__).values(unrendered=False)
                practice.session.connection().execute(done)

        map_record(at, NOTE, note, "2", seen=1)
        practice.session.commit()
        event.remove(practice.session, "do_orm_execute", rendered_meanwhile)
        practice.run()
        assert appointment(practice, 2).results_notes == "Hour 9"
