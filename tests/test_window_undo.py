"""Undo, ignoring, and the way back from a create page: what a person does can be taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from demo.data import World
from ensora_plugin.models import History, Mapping, Note, Rejected, Student
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window, record


@pytest.fixture
def practice(sqlite_url: str, small_world: World) -> Iterator[Practice]:
    with open_window(sqlite_url, small_world) as practice:
        yield practice


@pytest.fixture
def ada(practice: Practice) -> Person:
    return Person(practice.app, "ada")


def stands(practice: Practice, vendor_id: str) -> tuple[str | None, str] | None:
    """The entity and the state that a student is mapped to."""
    with practice.app.app_context():
        row = practice.session.execute(
            select(Mapping.host_id, Mapping.state).where(
                Mapping.kind == "student", Mapping.vendor_id == vendor_id
            )
        ).first()
    return None if row is None else (row.host_id, row.state)


def rejected(practice: Practice) -> set[tuple[str, str]]:
    with practice.app.app_context():
        rows = practice.session.scalars(select(Rejected)).all()
        return {(row.vendor_id, row.host_id) for row in rows}


def free_client(practice: Practice) -> str:
    with practice.app.app_context():
        taken = set(practice.mapped("bright-steps", "student").values())
    return next(
        str(row["id"])
        for row in practice.world.host["client"]
        if row["account_id"] == "bright-steps" and str(row["id"]) not in taken
    )


def auto_student(practice: Practice, *, with_notes: bool) -> Student:
    """A student whom automap mapped, with or without notes that stand on it."""
    mapped = select(Mapping.vendor_id).where(Mapping.kind == "student", Mapping.state == "auto")
    standing = select(Note.student_id).join(
        Mapping, (Mapping.kind == "note") & (Mapping.vendor_id == Note.vendor_id)
    )
    has = Student.vendor_id.in_(standing)
    return record(  # type: ignore[return-value]
        practice, "clients", Student.vendor_id.in_(mapped), has if with_notes else ~has
    )


def undo_version(text: str) -> int:
    found = re.search(r'e-undo"[^>]*hx-vals=\'\{"seen": (\d+)\}', text)
    assert found is not None
    return int(found[1])


def test_undo_of_a_first_mapping_leaves_the_row_unmapped_and_rejects_nothing(
    practice: Practice, ada: Person
) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    done = ada.send(f"/clients/{student.id}/map", host_id=free_client(practice), seen=0)
    told = json.loads(done.headers["HX-Trigger"])["ensora-toast"]
    assert " mapped to " in told["text"]
    assert told["row"] == student.id
    undone = ada.send(f"/clients/{student.id}/undo", seen=undo_version(done.text))
    assert undone.status_code == 200
    assert "e-undo" not in undone.text
    assert stands(practice, student.vendor_id) is None
    assert rejected(practice) == set()


def test_undo_of_a_replaced_mapping_brings_automaps_back_with_its_rejection(
    practice: Practice, ada: Person
) -> None:
    student = auto_student(practice, with_notes=True)
    before = stands(practice, student.vendor_id)
    assert before is not None
    done = ada.send(
        f"/clients/{student.id}/map", host_id=free_client(practice), seen=1, confirmed="y"
    )
    assert rejected(practice) == {(student.vendor_id, before[0])}
    undone = ada.send(f"/clients/{student.id}/undo", seen=undo_version(done.text), confirmed="y")
    assert undone.status_code == 200
    assert stands(practice, student.vendor_id) == before
    assert rejected(practice) == set()
    with practice.app.app_context():
        rows = practice.session.scalars(select(History).where(History.kind == "student")).all()
        rows = [row for row in rows if row.by == "ada"]
        assert [(row.action, row.version) for row in rows] == [("map", 2), ("undo", 3)]


def test_a_rejection_that_a_choice_took_away_comes_back_with_its_undo(
    practice: Practice, ada: Person
) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0)
    ada.send(f"/clients/{student.id}/unmap", seen=1)
    assert rejected(practice) == {(student.vendor_id, chosen)}
    again = ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0)
    assert rejected(practice) == set()
    ada.send(f"/clients/{student.id}/undo", seen=undo_version(again.text))
    assert rejected(practice) == {(student.vendor_id, chosen)}


def test_undo_of_a_deletion_maps_again(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0)
    gone = ada.send(f"/clients/{student.id}/unmap", seen=1)
    back = ada.send(f"/clients/{student.id}/undo", seen=undo_version(gone.text))
    assert back.status_code == 200
    assert stands(practice, student.vendor_id) == (chosen, "user")
    assert rejected(practice) == set()


def test_what_changed_meanwhile_is_not_undone(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    first = ada.send(f"/clients/{student.id}/map", host_id=free_client(practice), seen=0)
    other = free_client(practice)
    ada.send(f"/clients/{student.id}/map", host_id=other, seen=1, confirmed="y")
    late = ada.send(f"/clients/{student.id}/undo", seen=undo_version(first.text))
    assert late.status_code == 409
    assert "was changed meanwhile" in unescape(late.text)
    assert stands(practice, student.vendor_id) == (other, "user")


def test_undo_is_refused_where_another_record_holds_the_entity_by_now(
    practice: Practice, ada: Person
) -> None:
    student, other = (
        record(practice, "clients", Student.why == why)
        for why in ("no_such_client", "empty_name_or_birth_date")
    )
    chosen = free_client(practice)
    ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0)
    gone = ada.send(f"/clients/{student.id}/unmap", seen=1)
    ada.send(f"/clients/{other.id}/map", host_id=chosen, seen=0)
    late = ada.send(f"/clients/{student.id}/undo", seen=undo_version(gone.text))
    assert late.status_code == 409
    assert "mapped to another student already" in late.text
    assert stands(practice, student.vendor_id) is None


def test_a_student_is_ignored_with_a_reason_and_taken_back(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    asked = ada.fragment(f"/clients/{student.id}/ignore")
    assert "Why does it need no mapping?" in asked.text
    silent = ada.send(f"/clients/{student.id}/ignore", seen=0, reason=" ")
    assert silent.status_code == 409
    assert "Say why this student is ignored." in silent.text
    done = ada.send(f"/clients/{student.id}/ignore", seen=0, reason="a test <child>")
    assert "ignored by ada" in done.text
    assert "a test &lt;child&gt;" in done.text
    assert stands(practice, student.vendor_id) == (None, "ignored")
    assert f'id="row-{student.id}"' in ada.get(f"{PREFIX}/clients/?show=ignored").text
    back = ada.send(f"/clients/{student.id}/unignore", seen=1)
    assert ">None<" in back.text
    assert stands(practice, student.vendor_id) is None


def test_ignoring_a_mapped_student_says_first_what_it_brings_about(
    practice: Practice, ada: Person
) -> None:
    student = auto_student(practice, with_notes=True)
    before = stands(practice, student.vendor_id)
    asked = ada.fragment(f"/clients/{student.id}/ignore").text
    assert re.search(r"\d+ (appointments?|session notes?) (lose|loses|are|is)", asked)
    assert stands(practice, student.vendor_id) == before
    done = ada.send(f"/clients/{student.id}/ignore", seen=1, reason="left")
    assert done.status_code == 200
    assert stands(practice, student.vendor_id) == (None, "ignored")
    undone = ada.send(f"/clients/{student.id}/undo", seen=undo_version(done.text))
    assert undone.status_code == 200
    assert stands(practice, student.vendor_id) == before


def way_back(ada: Person, row: int) -> str:
    """The address to which the create page leads back that the row's icon opens."""
    target = urlsplit(ada.get(f"{PREFIX}/clients/{row}/create").headers["Location"])
    return parse_qs(target.query)["back"][0]


def test_a_created_client_is_mapped_on_the_way_back(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    answer = ada.http.get(f"{way_back(ada, student.id)}&created={chosen}")
    assert answer.status_code == 302
    assert "Client created and mapped." in ada.get(f"{PREFIX}/clients/?show=to-map").text
    assert stands(practice, student.vendor_id) == (chosen, "user")
    assert "Client created" not in ada.get(f"{PREFIX}/clients/?show=to-map").text


def test_a_way_back_maps_nothing_that_may_not_be_chosen(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    foreign = next(
        row["id"] for row in practice.world.host["client"] if row["account_id"] == "harbor-kids"
    )
    ada.http.get(f"{way_back(ada, student.id)}&created={foreign}")
    said = ada.get(f"{PREFIX}/clients/?show=to-map").text
    assert "it is not mapped. There is no such client in your agencies." in said
    assert stands(practice, student.vendor_id) is None


def test_a_link_that_nobody_handed_out_maps_nothing(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    for way in ("", "&way=x", "&way=" + "a" * 5000):
        answer = ada.get(f"{PREFIX}/clients/created?row={student.id}&created={chosen}{way}")
        assert answer.status_code == 302
    bo = way_back(ada, student.id)
    Person(practice.app, "bo").http.get(f"{bo}&created={chosen}")
    assert stands(practice, student.vendor_id) is None
