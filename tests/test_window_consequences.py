"""A change with consequences asks first; what a new entity needs is handed over; any host is
protected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from demo.data import World
from ensora_plugin.models import Mapping, Note, Student
from tests.practices import Practice, open_other
from tests.window import PREFIX, Person, open_window, record


@pytest.fixture
def practice(sqlite_url: str, small_world: World) -> Iterator[Practice]:
    with open_window(sqlite_url, small_world) as practice:
        yield practice


def test_re_mapping_a_student_with_notes_asks_first_and_then_takes_them_back(
    practice: Practice,
) -> None:
    ada = Person(practice.app, "ada")
    with practice.app.app_context():
        account_id = practice.account_id("bright-steps")
        mapped = select(Mapping.vendor_id).where(
            Mapping.kind == "note", Mapping.account_id == account_id
        )
        student_id = practice.session.scalars(
            select(Note.student_id).where(Note.vendor_id.in_(mapped)).limit(1)
        ).one()
        taken = set(practice.mapped("bright-steps", "student").values())
    other = next(
        str(row["id"])
        for row in practice.world.host["client"]
        if row["account_id"] == "bright-steps" and str(row["id"]) not in taken
    )
    student = record(practice, "clients", Student.vendor_id == student_id)
    asked = ada.send(f"/clients/{student.id}/map", host_id=other, seen=1)
    assert asked.status_code == 409
    assert re.search(
        r"appointments? (loses? (its|their) note|(is|are) locked and stays?)", asked.text
    )
    assert "Map anyway" in asked.text

    def notes_of_student() -> int:
        with practice.app.app_context():
            return practice.session.scalar(
                select(func.count())
                .select_from(Mapping)
                .join(Note, Note.vendor_id == Mapping.vendor_id)
                .where(
                    Mapping.kind == "note",
                    Mapping.account_id == account_id,
                    Note.account_id == account_id,
                    Note.student_id == student_id,
                )
            )

    before = notes_of_student()
    assert before > 0
    done = ada.send(f"/clients/{student.id}/map", host_id=other, seen=1, confirmed="y")
    assert done.status_code == 200
    assert ">User<" in done.text
    # What a locked appointment holds stays; nothing else does.
    assert notes_of_student() < before


def test_the_create_icon_hands_over_the_agency_of_the_students_site(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    page = ada.get(f"{PREFIX}/clients/?show=to-map").text
    links = re.findall(r'href="([^"]+/create)"', page)
    assert links
    for link in links:
        target = ada.get(link).headers["Location"]
        assert target.startswith("/clients/new/")
        assert "agency_id=" in target


def test_a_host_without_csrf_protection_is_protected_all_the_same(
    sqlite_url: str, small_world: World
) -> None:
    with open_other(sqlite_url, small_world) as practice, practice.outside():
        client = practice.app.test_client()
        who = {"X-Practice": "bright-steps", "X-Person": "ada"}
        page = client.get(f"{PREFIX}/agencies/", headers=who)
        assert page.status_code == 200
        token = re.search(r'"X-CSRFToken": "([^"]+)"', page.text)
        assert token is not None
        assert client.post(f"{PREFIX}/sync", headers=who).status_code == 400
        allowed = {**who, "X-CSRFToken": token[1], "HX-Request": "true"}
        assert client.post(f"{PREFIX}/sync", headers=allowed).status_code == 200
