"""What the drop-down finds at a host that told nobody, and what leads from a row to its history."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update

import ensora_plugin
from demo.data import World, build_world
from demo.host.models import Client
from ensora_plugin.models import Connection, Directory, Note, Student
from ensora_plugin.window.trail import ACTIONS
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window, record


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("looking")
    world: World = build_world(notes=60, today=date(2026, 11, 20))
    with open_window(f"sqlite:///{folder / 'host.db'}", world) as practice:
        yield practice


@pytest.fixture
def ada(practice: Practice) -> Person:
    return Person(practice.app, "ada")


@pytest.mark.parametrize("search", ["Öztürk", "öztürk, zeynep", "Zeynep Özt", "2 Feb 2003"])
def test_a_search_finds_whom_the_host_has_and_told_nobody_of(
    practice: Practice, ada: Person, search: str
) -> None:
    clients = practice.world.host["client"]
    known = next(row for row in clients if row["account_id"] == "bright-steps")
    told = {"last_name": "Öztürk", "first_name": "Zeynep", "date_of_birth": date(2003, 2, 2)}
    row = {name: value for name, value in known.items() if name not in ("id", "updated_at")}
    with practice.app.app_context():
        made = practice.session.execute(insert(Client).values(row | told)).inserted_primary_key
        practice.session.commit()
    student = record(practice, "clients", Student.why.is_not(None))
    found = ada.fragment(f"/clients/{student.id}/options?q={search}").text
    with practice.app.app_context():
        practice.session.delete(practice.session.get(Client, made[0]))
        practice.session.execute(delete(Directory).filter_by(host_id=str(made[0])))
        practice.session.commit()
    assert "Zeynep Öztürk" in found


def test_a_grace_of_no_minutes_is_the_accounts_own(practice: Practice, ada: Person) -> None:
    note, state = record(practice, "appointments", Note.why == "outside_the_grace"), practice.state
    usual = state.settings
    state.settings = replace(usual, grace_minutes=600)
    wide = ada.fragment(f"/appointments/{note.id}/why").text
    with practice.app.app_context():
        practice.session.execute(update(Connection).values(grace_minutes=0))
        practice.session.commit()
    none = ada.fragment(f"/appointments/{note.id}/why").text
    with practice.app.app_context():
        practice.session.execute(update(Connection).values(grace_minutes=None))
        practice.session.commit()
    state.settings = usual
    assert none.count("e-agrees") < wide.count("e-agrees")


def test_a_search_for_whom_nobody_has_says_so(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why.is_not(None))
    for search in ("zzzz", "%25", "_"):
        found = ada.fragment(f"/clients/{student.id}/options?q={search}").text
        assert "No client begins like" in found


def test_a_row_leads_those_who_may_read_it_to_its_history(practice: Practice) -> None:
    student = record(practice, "clients")
    address = f"{PREFIX}/history/?kind=clients&amp;record={student.vendor_id}"
    for name, reads in (("ada", True), ("cy", True), ("bo", False)):
        page = Person(practice.app, name).get(f"{PREFIX}/clients/").text
        assert ("/history/?kind=clients&amp;record=" in page) is reads
    trail = Person(practice.app, "ada").get(address.replace("&amp;", "&"))
    assert trail.status_code == 200
    assert f"<code>{student.vendor_id}</code>" in trail.text


def test_every_action_of_the_history_has_words() -> None:
    """Each that the code writes, by `action=` or as a change of a mapping."""
    written = set()
    for path in Path(ensora_plugin.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            given = [word.value for word in node.keywords if word.arg == "action"]
            if node.func.id == "write_change":
                given.append(node.args[1])
            elif node.func.id != "write_history":
                continue
            written |= {one.value for one in given if isinstance(one, ast.Constant)}
    assert written == set(ACTIONS)
