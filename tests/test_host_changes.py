"""What the host changes reaches automap: told by `ensora.changed`, seen by `updated_at`, or looked
for again; in both hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import delete, select

from ensora_plugin import Ensora
from ensora_plugin.clock import utcnow
from ensora_plugin.kinds import NOTE, STUDENT, USER
from ensora_plugin.models import Connection, Directory, Mapping, Note
from tests.hands import Hands
from tests.opened import open_small, open_small_other, outcome
from tests.other_host import DatedHost, OtherHost
from tests.practices import Practice
from tests.small import ACCOUNT, ORGANIZATION, Small

#: Before the days of which the unmapped notes are tried at each run.
LONG_AGO = date(2026, 3, 3)
ensora = Ensora()


def small() -> Small:
    """A client of another name, and a note an hour before its appointment."""
    made = Small()
    made.agency()
    made.site()
    made.client("Omar Haddad", active=True)
    made.client("Kim Other", "2012-05-05", active=True)
    made.student()
    made.staff(active=True)
    made.user()
    visit(made, "14:00", "15:00")
    made.note(day=LONG_AGO)
    return made


def visit(made: Small, start: str, end: str) -> int:
    told = {"kind": "service", "status": "scheduled", "locked": False, "results_notes": ""}
    return made.appointment(start, end, LONG_AGO, **told)


def opened(name: str, url: str) -> Any:
    if name == "demo":
        return open_small(url, small())
    return open_small_other(url, small(), host={"other": OtherHost, "dated": DatedHost}[name]())


@pytest.fixture(params=["demo", "other", "dated"])
def any_host(request: pytest.FixtureRequest, database_url: str) -> Iterator[Hands]:
    with opened(request.param, database_url) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        yield Hands(practice)


@pytest.fixture(params=["demo", "dated"])
def dated(request: pytest.FixtureRequest, database_url: str) -> Iterator[Hands]:
    with opened(request.param, database_url) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        yield Hands(practice)


@pytest.fixture
def undated(database_url: str) -> Iterator[Hands]:
    with opened("other", database_url) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        yield Hands(practice)


def automap(hands: Hands) -> None:
    hands.practice.run(ACCOUNT, "automap")


def said(hands: Hands, kind: Any) -> str | None:
    """What became of the one record of a kind: "maps", or why not."""
    practice = hands.practice
    (told,) = outcome(practice, kind).values()
    practice.session.rollback()
    return "maps" if practice.mapped(ACCOUNT, kind.name) else told


def due_now(practice: Practice) -> bool:
    practice.session.rollback()
    due = practice.session.scalars(
        select(Connection.due_at).where(Connection.account == ACCOUNT)
    ).one()
    return due is not None and due <= utcnow()


def name_right(hands: Hands, **how: Any) -> None:
    hands.change("client", 1, first_name="Amir", **how)


def move_into_the_grace(hands: Hands, **how: Any) -> None:
    hands.change("appointment", 1, start=time(13, 2), end=time(14, 1), **how)


# Told.


def test_a_client_that_the_host_tells_of_is_in_the_directory_and_a_run_is_due(
    any_host: Hands,
) -> None:
    practice = any_host.practice
    assert not due_now(practice)
    name_right(any_host)
    ensora.changed("client", [any_host.id("client", 1)], account=ACCOUNT)
    assert due_now(practice)
    facts = practice.session.scalars(select(Directory.facts).where(Directory.entity == "client"))
    assert ["amir", "haddad", "2016-02-29"] in facts.all()
    automap(any_host)
    assert said(any_host, STUDENT) == "maps"


def test_a_client_that_the_host_deleted_leaves_the_directory(any_host: Hands) -> None:
    any_host.delete("appointment", 1)
    any_host.delete("client", 1)
    ensora.changed("client", [any_host.id("client", 1)], account=ACCOUNT)
    rows = any_host.practice.session.scalars(
        select(Directory.host_id).where(Directory.entity == "client")
    )
    assert rows.all() == [str(any_host.id("client", 2))]


def test_an_appointment_that_the_host_tells_of_maps_its_note(any_host: Hands) -> None:
    name_right(any_host)
    automap(any_host)
    assert said(any_host, NOTE) == "outside_the_grace"
    move_into_the_grace(any_host, stamped=False)
    ensora.changed("appointment", [any_host.id("appointment", 1)], account=ACCOUNT)
    automap(any_host)
    assert said(any_host, NOTE) == "maps"


def test_a_deleted_appointment_is_no_longer_the_nearest(any_host: Hands) -> None:
    name_right(any_host)
    automap(any_host)
    any_host.delete("appointment", 1)
    ensora.changed("appointment", [any_host.id("appointment", 1)], account=ACCOUNT)
    automap(any_host)
    assert said(any_host, NOTE) == "no_appointment_that_day"


def test_an_appointment_that_moves_away_lets_the_notes_beside_its_own_look_again(
    any_host: Hands,
) -> None:
    practice = any_host.practice
    name_right(any_host)
    any_host.change("appointment", 1, start=time(13), end=time(14))
    ensora.changed("appointment", [any_host.id("appointment", 1)], account=ACCOUNT)
    automap(any_host)
    assert said(any_host, NOTE) == "maps"
    organization = practice.world.organizations[0]
    beside = organization["notes"][0] | {"id": "note-2"}
    practice.store.publish_note(ORGANIZATION, beside)
    practice.run(ACCOUNT, "pull", "automap")
    assert practice.whys(ACCOUNT, Note)["note-2"] == "taken"
    any_host.change("appointment", 1, start=time(16), end=time(17), stamped=False)
    ensora.changed("appointment", [any_host.id("appointment", 1)], account=ACCOUNT)
    automap(any_host)
    assert practice.whys(ACCOUNT, Note)["note-2"] == "outside_the_grace"


def test_in_a_request_the_work_is_done_when_its_answer_is_out(undated: Hands) -> None:
    practice = undated.practice

    @practice.app.get("/rename")
    def rename() -> str:
        name_right(undated)
        ensora.changed("client", [undated.id("client", 1)])
        return "too early" if due_now(practice) else "saved"

    with practice.outside():
        response = practice.app.test_client().get("/rename", headers={"X-Practice": ACCOUNT})
        assert response.text == "saved"
        response.close()
    assert due_now(practice)


def test_a_fault_is_logged_and_does_not_break_the_hosts_save(
    demo_small: Practice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_account: str) -> Any:
        raise RuntimeError("Amir Haddad")

    monkeypatch.setattr(demo_small.state.host, "clients", broken)
    ensora.changed("client", [1], account=ACCOUNT)
    assert "event=changes_not_taken" in caplog.text
    assert "code=RuntimeError" in caplog.text
    assert "Haddad" not in caplog.text


def test_what_is_no_kind_of_the_host_is_refused(demo_small: Practice) -> None:
    with pytest.raises(ValueError, match="agency, client, staff, appointment"):
        ensora.changed("student", [1], account=ACCOUNT)  # type: ignore[arg-type]


def test_an_account_without_the_feature_is_left_alone(demo_small: Practice) -> None:
    ensora.changed("client", [1], account="nobody")
    assert not due_now(demo_small)


@pytest.fixture
def demo_small(database_url: str) -> Iterator[Practice]:
    with opened("demo", database_url) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        yield practice


# Seen by updated_at.


def test_an_appointment_that_says_that_it_changed_maps_a_note_of_long_ago(dated: Hands) -> None:
    name_right(dated)
    automap(dated)
    assert said(dated, NOTE) == "outside_the_grace"
    move_into_the_grace(dated)
    automap(dated)
    assert said(dated, NOTE) == "maps"


def test_a_change_before_the_daily_look_at_all_rows_maps_a_note_of_long_ago(dated: Hands) -> None:
    name_right(dated)
    automap(dated)
    move_into_the_grace(dated)
    assert said(dated, NOTE) == "outside_the_grace"
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        automap(dated)
        assert said(dated, NOTE) == "maps"


def test_where_nothing_says_what_changed_the_last_days_are_tried_again(undated: Hands) -> None:
    name_right(undated)
    automap(undated)
    move_into_the_grace(undated)
    automap(undated)
    assert said(undated, NOTE) == "outside_the_grace"
    state = undated.practice.state
    state.settings = replace(state.settings, recheck_days=400)
    automap(undated)
    assert said(undated, NOTE) == "maps"


def test_a_row_that_did_not_say_so_is_not_read_and_found_within_a_day(dated: Hands) -> None:
    dated.change("client", 2, first_name="Somebody")
    automap(dated)
    name_right(dated, stamped=False)
    automap(dated)
    assert said(dated, STUDENT) == "no_such_client"
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        automap(dated)
        assert said(dated, STUDENT) == "maps"


def test_a_change_that_was_committed_late_is_seen(dated: Hands) -> None:
    practice = dated.practice
    dated.change("client", 1, first_name="Noor")
    automap(dated)
    with time_machine.travel(utcnow() - timedelta(minutes=8)):
        name_right(dated)
    automap(dated)
    assert said(dated, STUDENT) == "maps"
    practice.session.rollback()


def test_clients_that_come_or_go_unseen_are_noticed_by_their_number(dated: Hands) -> None:
    session = dated.practice.session

    def entries() -> set[str]:
        rows = session.scalars(select(Directory.host_id).where(Directory.entity == "client"))
        return set(rows)

    dated.change("client", 2, first_name="Somebody")
    automap(dated)
    two = {str(dated.id("client", number)) for number in (1, 2)}
    dated.copy("client", 1, to=3)
    automap(dated)
    assert entries() == two | {str(dated.id("client", 3))}
    dated.delete("client", 3)
    automap(dated)
    assert entries() == two


def test_staff_who_leave_an_agency_do_not_map_by_it(any_host: Hands) -> None:
    practice = any_host.practice
    any_host.leave(1, 1)
    practice.session.execute(delete(Mapping).where(Mapping.kind == USER.name))
    practice.session.commit()
    automap(any_host)
    assert said(any_host, USER) == "other_agency"
