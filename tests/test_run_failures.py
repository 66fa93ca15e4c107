"""Every failure of a run is written down in words, and the next pull is due when it should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import Select, select, text

from demo.host.adapter import DemoHost
from ensora_plugin.clock import utcnow
from ensora_plugin.connecting import connect
from ensora_plugin.errors import DatabaseFailed, EnsoraError, NeedsConnection, TokenRefused
from ensora_plugin.models import Run
from ensora_plugin.signals import connection_lost, pulls_failing, run_ended
from tests.opened import open_small
from tests.practices import ADMINS, Practice
from tests.running import connection_of, filled, heard, play
from tests.small import ACCOUNT, ORGANIZATION


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, filled()) as practice:
        yield practice


def fail(practice: Practice) -> EnsoraError:
    with pytest.raises(EnsoraError) as raised:
        practice.run()
    return raised.value


def test_each_failure_says_why_and_makes_the_pause_longer(practice: Practice) -> None:
    play(practice, "status", code=500)
    pauses = []
    for failures in range(1, 8):
        with heard(run_ended) as ended:
            error = fail(practice)
        connection = connection_of(practice)
        assert connection.due_at is not None
        pauses.append(round((connection.due_at - utcnow()).total_seconds() / 60))
        assert connection.failures == failures
        assert connection.error_code == error.code == "vendor_unreachable"
        assert connection.error_text == str(error)
        assert "HTTP 500" in str(error)
        (told,) = ended
        assert (told["account"], told["state"], told["code"]) == (ACCOUNT, "failed", error.code)
    assert pauses == [30, 60, 120, 240, 480, 480, 480]
    practice.emulator.extensions["emulator"].scenario.clear()
    with heard(run_ended) as ended:
        practice.run()
    assert [(one["state"], one["code"]) for one in ended] == [("done", None)]
    connection = connection_of(practice)
    assert (connection.failures, connection.error_code, connection.error_text) == (0, None, None)
    assert connection.due_at is not None
    assert round((connection.due_at - utcnow()).total_seconds() / 60) == 30


@pytest.mark.parametrize(("asked", "minutes"), [(600, 30), (2400, 40), (3600, 60), (315360000, 60)])
def test_the_next_pull_waits_as_long_as_the_vendor_asked_up_to_an_hour(
    practice: Practice, asked: int, minutes: int
) -> None:
    play(practice, "status", code=429, retry_after=asked)
    assert fail(practice).code == "vendor_busy"
    due_at = connection_of(practice).due_at
    assert due_at is not None
    assert round((due_at - utcnow()).total_seconds() / 60) == minutes


def test_an_account_that_keeps_failing_says_since_when_and_tells_the_host_once(
    practice: Practice,
) -> None:
    play(practice, "status", code=500)
    began = utcnow()
    with heard(pulls_failing) as told:
        for _ in range(5):
            fail(practice)
    assert [(one["account"], one["failures"], one["code"]) for one in told] == [
        (ACCOUNT, 3, "vendor_unreachable")
    ]
    since = connection_of(practice).failing_since
    assert since is not None
    assert began <= since < practice.session.scalars(select(Run.ended_at)).all()[1]
    practice.emulator.extensions["emulator"].scenario.clear()
    practice.run()
    assert connection_of(practice).failing_since is None
    play(practice, "status", code=500)
    with heard(pulls_failing) as told:
        for _ in range(3):
            fail(practice)
    assert len(told) == 1


def test_an_accounts_own_interval_counts(practice: Practice) -> None:
    connection_of(practice).interval_minutes = 10
    practice.session.commit()
    practice.run()
    due_at = connection_of(practice).due_at
    assert due_at is not None
    assert round((due_at - utcnow()).total_seconds() / 60) == 10


def test_a_refused_token_loses_the_connection_once(practice: Practice) -> None:
    practice.store.revoke_tokens(ORGANIZATION)
    with heard(connection_lost) as lost:
        assert isinstance(fail(practice), TokenRefused)
        connection = connection_of(practice)
        assert (connection.state, connection.due_at) == ("lost", None)
        assert "connected again" in str(connection.error_text)
        journal = practice.emulator.extensions["emulator"].journal
        journal.clear()
        error = fail(practice)
        assert (type(error), error.code) == (NeedsConnection, "needs_connection")
        assert journal.entries() == []
    assert lost == [{"account": ACCOUNT, "code": "token_refused"}]
    assert connection_of(practice).state == "lost"


def test_connecting_again_mends_a_lost_connection(practice: Practice) -> None:
    practice.store.revoke_tokens(ORGANIZATION)
    fail(practice)
    with practice.state.vendor() as vendor:
        connect(
            practice.session,
            ACCOUNT,
            vendor,
            practice.state.sealer,
            username=ADMINS[ACCOUNT],
            password="admin-demo",
            by="ada",
        )
    connection = connection_of(practice)
    assert (connection.state, connection.failures, connection.error_text) == ("connected", 0, None)
    assert practice.run().state == "done"


def test_a_token_of_another_organization_stops_the_account(practice: Practice) -> None:
    answer = {"organization": {"id": "org-third", "name": "Third"}}

    def moved(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [httpx2.Response(200, json=answer).content]

    practice.state.transport = httpx2.WSGITransport(app=moved)
    assert isinstance(fail(practice), TokenRefused)
    assert connection_of(practice).state == "lost"


class Raising(DemoHost):
    """A host whose adapter fails with words that nobody may read in a log."""

    def appointments(self, account: str) -> Select[Any]:
        raise LookupError("Amir Haddad")


def test_an_error_that_nobody_foresaw_is_recorded_without_its_words_and_raised(
    practice: Practice,
) -> None:
    practice.state.host = Raising()
    with heard(run_ended) as ended, pytest.raises(LookupError):
        practice.run()
    run = practice.session.scalars(select(Run)).one()
    assert (run.state, run.error_code) == ("failed", "unexpected")
    assert "LookupError" in str(run.error_text)
    assert "Haddad" not in str(run.error_text)
    assert [one["code"] for one in ended] == ["unexpected"]
    assert connection_of(practice).failures == 1
    # What was pulled and mapped before stays.
    assert practice.mapped(ACCOUNT, "student") == {"student-1": "1"}


def test_an_error_of_the_database_is_recorded_by_its_class_alone(practice: Practice) -> None:
    refuse = (
        "CREATE TRIGGER refuse BEFORE INSERT ON ensora_mapping "
        "BEGIN SELECT RAISE(ABORT, 'Amir Haddad'); END"
    )
    practice.session.execute(text(refuse))
    practice.session.commit()
    with pytest.raises(DatabaseFailed):
        practice.run()
    run = practice.session.scalars(select(Run)).one()
    assert (run.state, run.error_code) == ("failed", "database")
    assert "IntegrityError" in str(run.error_text)
    assert "Haddad" not in str(run.error_text)


def test_an_account_that_is_not_connected_is_told_so(practice: Practice) -> None:
    connection = connection_of(practice)
    connection.state, connection.token_sealed = "activated", None
    practice.session.commit()
    assert type(fail(practice)) is NeedsConnection
    assert connection_of(practice).state == "activated"
