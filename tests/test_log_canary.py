"""No name, birth date, address, clinical text or secret of the made world gets into a log line or
an error's text, whatever a run meets.
"""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from demo.data import World
from ensora_plugin.connecting import activated, token_of
from ensora_plugin.host.port import NoteView, Rendering
from tests.practices import ADMINS, KEY, Practice, open_demo, open_other
from tests.served import over_http

ACCOUNTS = list(ADMINS)


class Canaries:
    """What must never be told: whole texts, and people by first and last name in one line."""

    def __init__(self, practice: Practice) -> None:
        world = practice.world
        self.people = {frozenset(words(name)) for name in _names(world)}
        self.texts = {*_texts(world), *_secrets(practice)}
        assert min(map(len, self.texts)) > 7
        assert len(self.people) > 50
        assert len(self.texts) > 200

    def found_in(self, line: str) -> list[str]:
        there = words(line)
        people = [" ".join(name) for name in self.people if name <= there]
        return people + [told for told in self.texts if told in line]


def words(line: str) -> set[str]:
    return set(re.findall(r"\w+", line.casefold()))


def _names(world: World) -> Iterator[str]:
    for organization in world.organizations:
        for record in organization["students"] + organization["users_feed"]:
            if record["firstName"].strip() and record["lastName"].strip():
                yield f"{record['firstName']} {record['lastName']}"
    for row in world.host["client"] + world.host["staff"]:
        yield f"{row['first_name']} {row['last_name']}"


def _texts(world: World) -> Iterator[str]:
    for organization in world.organizations:
        yield from (student["dateOfBirth"] for student in organization["students"])
        yield from (user["email"] for user in organization["users_feed"] if user["email"].strip())
        for note in organization["notes"]:
            yield from (
                field["value"].strip()
                for field in note["fields"]
                if field["type"] == "text" and len(str(field.get("value") or "").strip()) > 12
            )


def _secrets(practice: Practice) -> Iterator[str]:
    yield KEY.partition(":")[2]
    for organization in practice.world.organizations:
        yield from (user["password"] for user in organization["users"])
    for account in ACCOUNTS:
        connection = activated(practice.session, account)
        token = token_of(connection, practice.state.sealer)
        yield token
        yield base64.b64encode(f"{connection.organization_id}:{token}".encode()).decode()


class Listener(logging.Handler):
    """Keeps every line of every logger, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name.split(".")[0])
        self.lines += self.format(record).splitlines()


@pytest.fixture
def listener() -> Iterator[Listener]:
    root, listener = logging.getLogger(), Listener()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield listener
    root.removeHandler(listener)
    root.setLevel(level)


def assert_silent(practice: Practice, lines: list[str]) -> None:
    canaries = Canaries(practice)
    assert [(line, found) for line in lines if (found := canaries.found_in(line))] == []


def test_the_canaries_are_seen(demo_practice: Practice) -> None:
    canaries = Canaries(demo_practice)
    organization = demo_practice.world.organizations[0]
    student = organization["students"][0]
    told = f"cannot map {student['lastName'].upper()}, {student['firstName']}"
    assert canaries.found_in(told) != []
    assert canaries.found_in(f"born {student['dateOfBirth']}") != []
    assert canaries.found_in(repr({"value": organization["notes"][0]["fields"]})) != []
    assert canaries.found_in("GET /v1/students?cursor=abc 200") == []


def test_a_whole_run_logs_nothing_of_the_world(demo_practice: Practice, listener: Listener) -> None:
    with over_http(demo_practice):
        for account in ACCOUNTS:
            demo_practice.run(account)
            result = demo_practice.app.test_cli_runner().invoke(args=["ensora", "status", account])
            listener.lines += result.output.splitlines()
    assert {"httpx2", "httpcore2", "werkzeug"} <= listener.loggers
    assert len(listener.lines) > 100
    assert_silent(demo_practice, listener.lines)


def talk(practice: Practice) -> None:
    """Let the host quote people in its errors."""

    class Talkative(type(practice.state.host)):  # type: ignore[misc]
        def render(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
            raise ValueError(f"cannot store {note.text!r} of {note.guardian_name}")

    practice.state.host = Talkative()


def refuse(table: str) -> Callable[[Practice], None]:
    """Let the database refuse rows of a table; its driver's message and the rows may be quoted."""

    def spoil(practice: Practice) -> None:
        raising = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        practice.session.execute(text(f"CREATE TRIGGER spoiled BEFORE INSERT ON {table} {raising}"))
        practice.session.commit()

    return spoil


def garble(practice: Practice) -> None:
    """Let the vendor send pages whose records break the contract by their values."""
    for organization in practice.world.organizations:
        for student in organization["students"]:
            name = f"{student['firstName']} {student['lastName']}"
            spoiled = {"active": name, "dateOfBirth": f"{student['dateOfBirth']} {name}"}
            practice.store.change(organization["id"], "students", student["id"], **spoiled)
        for user in organization["users_feed"]:
            name = f"{user['firstName']} {user['lastName']}"
            practice.store.change(organization["id"], "users", user["id"], type=name)


FAILURES = {
    "the host raises": talk,
    "a student is refused": refuse("ensora_student"),
    "a user is refused": refuse("ensora_user"),
    "an entry of the directory is refused": refuse("ensora_directory"),
    "a rendering is refused": refuse("ensora_rendering"),
    "the vendor breaks the contract": garble,
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("opened", [open_demo, open_other], ids=["demo", "other"])
def test_a_run_that_fails_tells_nothing_of_the_world(
    sqlite_url: str, world: World, listener: Listener, failure: str, opened: Any
) -> None:
    with opened(sqlite_url, world) as practice:
        FAILURES[failure](practice)
        for account in ACCOUNTS:
            try:
                practice.run(account)
            except Exception as error:
                listener.lines += "".join(traceback.format_exception(error)).splitlines()
            told = practice.app.test_cli_runner().invoke(args=["ensora", "status", account])
            listener.lines += told.output.splitlines()
        set_aside = practice.session.execute(text("SELECT reason FROM ensora_set_aside"))
        ended = practice.session.execute(text("SELECT error_text, state FROM ensora_run"))
        refusals = practice.session.execute(text("SELECT refusals FROM ensora_rendering"))
        rows = [*set_aside.all(), *ended.all(), *refusals.all()]
        assert_silent(practice, [*listener.lines, *map(str, rows)])
