"""The window, page by page: what people see and change in it, and what is refused in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import select

from demo.data import World
from ensora_plugin.models import (
    Connection,
    History,
    Mapping,
    Note,
    Rejected,
    RenderingRow,
    Site,
    Student,
)
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window, record


@pytest.fixture
def practice(sqlite_url: str, small_world: World) -> Iterator[Practice]:
    with open_window(sqlite_url, small_world) as practice:
        yield practice


@pytest.fixture
def ada(practice: Practice) -> Person:
    return Person(practice.app, "ada")


def mapping_of(practice: Practice, kind: str, vendor_id: str) -> Mapping | None:
    with practice.app.app_context():
        return practice.session.scalars(
            select(Mapping).where(
                Mapping.account_id == practice.account_id("bright-steps"),
                Mapping.kind == kind,
                Mapping.vendor_id == vendor_id,
            )
        ).first()


def free_client(practice: Practice) -> str:
    """Return a client of the first account that no student stands for."""
    with practice.app.app_context():
        taken = set(practice.mapped("bright-steps", "student").values())
    return next(
        str(row["id"])
        for row in practice.world.host["client"]
        if row["account_id"] == "bright-steps" and str(row["id"]) not in taken
    )


def test_a_new_customer_sees_the_pop_up_and_nothing_else(
    sqlite_url: str, small_world: World
) -> None:
    with open_window(sqlite_url, small_world, connected=False) as practice:
        ada = Person(practice.app, "ada")
        page = ada.get(f"{PREFIX}/").text
        assert "Connect Ensora Data Collection" in page
        assert "Enter the credentials of an Admin" in page
        assert ada.get(f"{PREFIX}/clients/").status_code == 302
        cy = Person(practice.app, "cy").get(f"{PREFIX}/").text
        assert "You are no administrator here" in cy
        assert 'name="password"' not in cy


@pytest.mark.parametrize(
    ("username", "password", "said"),
    [
        ("admin@brightsteps.example", "wrong", "does not accept this user name and password"),
        ("therapist@brightsteps.example", "therapist-demo", "is no Admin"),
    ],
)
def test_a_refused_handshake_is_said_in_the_pop_up_and_stores_nothing(
    sqlite_url: str, small_world: World, username: str, password: str, said: str
) -> None:
    with open_window(sqlite_url, small_world, connected=False) as practice:
        ada = Person(practice.app, "ada")
        answer = ada.send("/connect", username=username, password=password, consent="y")
        assert answer.status_code == 422
        assert said in answer.text
        assert username in answer.text
        assert password not in answer.text
        with practice.app.app_context():
            for connection in practice.session.scalars(select(Connection)):
                assert (connection.state, connection.token_sealed) == ("activated", None)


def test_a_vendor_that_is_away_is_said_in_the_pop_up_and_only_the_password_is_lost(
    sqlite_url: str, small_world: World
) -> None:
    def away(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with open_window(sqlite_url, small_world, connected=False) as practice:
        practice.state.transport = httpx2.MockTransport(away)
        answer = Person(practice.app, "ada").send(
            "/connect", username="someone@else.example", password="admin-demo", consent="y"
        )
        assert answer.status_code == 422
        assert "Ensora Data Collection cannot be reached" in answer.text
        assert 'value="someone@else.example"' in answer.text
        assert re.search(r'name="consent" value="y" checked', answer.text)
        assert "admin-demo" not in answer.text
        with practice.app.app_context():
            for connection in practice.session.scalars(select(Connection)):
                assert (connection.state, connection.token_sealed) == ("activated", None)
            # Both accounts were given the feature; no handshake is written down.
            actions = practice.session.scalars(select(History.action)).all()
            assert actions == ["activate", "activate"]


def test_without_consent_nothing_is_asked_of_the_vendor(
    sqlite_url: str, small_world: World
) -> None:
    with open_window(sqlite_url, small_world, connected=False) as practice:
        practice.emulator.extensions["emulator"].journal.clear()
        ada = Person(practice.app, "ada")
        answer = ada.send("/connect", username="admin@brightsteps.example", password="admin-demo")
        assert answer.status_code == 422
        assert "Without your consent nothing is shared." in answer.text
        assert practice.emulator.extensions["emulator"].journal.entries() == []


def test_an_organization_of_another_account_is_refused(sqlite_url: str, small_world: World) -> None:
    with open_window(sqlite_url, small_world, connected=False) as practice:
        credentials = {
            "username": "admin@brightsteps.example",
            "password": "admin-demo",
            "consent": "y",
        }
        first = Person(practice.app, "ada").send("/connect", **credentials)
        assert first.headers["HX-Redirect"] == f"{PREFIX}/"
        second = Person(practice.app, "eve").send("/connect", **credentials)
        assert second.status_code == 422
        assert "connected to another account already" in second.text


def test_a_person_without_the_admin_permission_cannot_connect(
    sqlite_url: str, small_world: World
) -> None:
    with open_window(sqlite_url, small_world, connected=False) as practice:
        answer = Person(practice.app, "bo").send(
            "/connect", username="admin@brightsteps.example", password="admin-demo", consent="y"
        )
        assert answer.status_code == 422
        assert "You are no administrator here" in answer.text


def test_choosing_an_entity_makes_the_row_user(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    answer = ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0)
    assert answer.status_code == 200
    assert ">User<" in answer.text
    toast = json.loads(answer.headers["HX-Trigger"])["ensora-toast"]["text"]
    client = next(row for row in practice.world.host["client"] if str(row["id"]) == chosen)
    # Each name stands in a direction of its own.
    sides = (f"{one['first_name']} {one['last_name']}" for one in (vars(student), client))
    assert toast == " mapped to ".join(f"\u2068{name}\u2069" for name in sides)
    mapping = mapping_of(practice, "student", student.vendor_id)
    assert mapping is not None
    assert (mapping.host_id, mapping.state, mapping.by) == (chosen, "user", "ada")
    with practice.app.app_context():
        rows = practice.session.scalars(select(History).where(History.by == "ada")).all()
        assert [(row.action, row.vendor_id, row.version) for row in rows] == [
            ("map", student.vendor_id, 1)
        ]


def test_a_mapping_by_a_person_lets_the_notes_of_the_student_match(
    practice: Practice, ada: Person
) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0)
    with practice.app.app_context():
        connection = practice.session.get_one(Connection, practice.account_id("bright-steps"))
        assert connection.due_at is not None
        due = connection.due_at
        practice.run("bright-steps", "automap")
        whys = set(
            practice.session.scalars(select(Note.why).where(Note.student_id == student.vendor_id))
        )
        assert "no_client_mapping" not in whys
        assert due <= connection.due_at


def test_of_two_people_in_one_row_the_second_is_told(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    assert ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0).status_code == 200
    late = Person(practice.app, "ada").send(
        f"/clients/{student.id}/map", host_id=free_client(practice), seen=0
    )
    assert late.status_code == 409
    assert "ada changed this mapping while you had it open" in late.text
    mapping = mapping_of(practice, "student", student.vendor_id)
    assert mapping is not None
    assert mapping.host_id == chosen


def test_a_taken_entity_is_refused_in_the_row(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    with practice.app.app_context():
        taken = next(iter(practice.mapped("bright-steps", "student").values()))
    answer = ada.send(f"/clients/{student.id}/map", host_id=taken, seen=0)
    assert answer.status_code == 409
    assert "is mapped to another student already" in answer.text
    assert mapping_of(practice, "student", student.vendor_id) is None


def test_an_entity_of_another_account_cannot_be_chosen(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    foreign = next(
        str(row["id"])
        for row in practice.world.host["client"]
        if row["account_id"] == "harbor-kids"
    )
    answer = ada.send(f"/clients/{student.id}/map", host_id=foreign, seen=0)
    assert answer.status_code == 409
    assert "There is no such client in your agencies" in answer.text


def test_delete_is_for_user_mappings_on_which_nothing_stands(
    practice: Practice, ada: Person
) -> None:
    student = record(practice, "clients", Student.why == "no_such_client")
    chosen = free_client(practice)
    ada.send(f"/clients/{student.id}/map", host_id=chosen, seen=0)
    answer = ada.send(f"/clients/{student.id}/unmap", seen=1)
    assert answer.status_code == 200
    assert mapping_of(practice, "student", student.vendor_id) is None
    with practice.app.app_context():
        rejected = practice.session.scalars(select(Rejected)).one()
        assert (rejected.vendor_id, rejected.host_id) == (student.vendor_id, chosen)
        auto = practice.session.scalars(
            select(Mapping).where(Mapping.kind == "student", Mapping.state == "auto")
        ).first()
        assert auto is not None
        vendor_id = auto.vendor_id
    row = record(practice, "clients", Student.vendor_id == vendor_id)
    refused = ada.send(f"/clients/{row.id}/unmap", seen=1)
    assert refused.status_code == 409
    assert "Automatic mappings can" in refused.text


def test_a_mapped_student_with_appointments_cannot_be_deleted_and_says_how_many(
    practice: Practice, ada: Person
) -> None:
    with practice.app.app_context():
        student_id = practice.session.scalars(
            select(Note.student_id)
            .join(Mapping, (Mapping.kind == "note") & (Mapping.vendor_id == Note.vendor_id))
            .where(Note.account_id == practice.account_id("bright-steps"))
        ).first()
        mapping = practice.session.scalars(
            select(Mapping).where(Mapping.kind == "student", Mapping.vendor_id == student_id)
        ).one()
        mapping.state, mapping.by = "user", "ada"
        practice.session.commit()
    row = record(practice, "clients", Student.vendor_id == student_id)
    answer = ada.send(f"/clients/{row.id}/unmap", seen=1)
    assert answer.status_code == 409
    assert "mapped for this client" in answer.text


def test_deleting_the_mapping_of_a_note_takes_it_back_from_the_appointment(
    practice: Practice, ada: Person
) -> None:
    with practice.app.app_context():
        rendered = practice.session.scalars(
            select(RenderingRow).where(
                RenderingRow.state == "rendered",
                RenderingRow.account_id == practice.account_id("bright-steps"),
            )
        ).first()
        assert rendered is not None
        note_id, appointment_id = rendered.note_id, rendered.appointment_id
        mapping = practice.session.scalars(
            select(Mapping).where(Mapping.kind == "note", Mapping.vendor_id == note_id)
        ).one()
        mapping.state, mapping.by = "user", "ada"
        practice.session.commit()
    note = record(practice, "appointments", Note.vendor_id == note_id)
    assert "Rendered" in ada.get(f"/appointments/{appointment_id}").text
    assert ada.send(f"/appointments/{note.id}/unmap", seen=1).status_code == 200
    page = ada.get(f"/appointments/{appointment_id}").text
    assert "Results Notes" in page
    with practice.app.app_context():
        row = practice.session.scalars(
            select(RenderingRow).where(RenderingRow.note_id == note_id)
        ).one()
        assert (row.state, row.applied) == ("withdrawn", False)
        assert row.by == "ada"


def test_open_sites_close_the_other_tabs_and_their_routes(practice: Practice, ada: Person) -> None:
    with practice.app.app_context():
        practice.session.execute(
            Mapping.__table__.delete().where(
                Mapping.kind == "site", Mapping.account_id == practice.account_id("bright-steps")
            )
        )
        practice.session.commit()
        sites = practice.session.scalars(
            select(Site.id).where(Site.account_id == practice.account_id("bright-steps"))
        ).all()
    page = ada.get(f"{PREFIX}/clients/")
    assert page.status_code == 403
    assert f"{len(sites)} sites are to be mapped first" in page.text
    for path in ("/clients/rows", "/staff/states", "/appointments/rows"):
        assert ada.get(PREFIX + path).status_code == 403
    assert ada.get(f"{PREFIX}/agencies/").status_code == 200
    # Who may only look at no agency is told how many there are, never which.
    dee = Person(practice.app, "dee").get(f"{PREFIX}/clients/").text
    assert f"{len(sites)} sites are to be mapped first" in dee
    assert not any(site["name"] in dee for site in practice.world.organizations[0]["sites"])


def test_bo_sees_and_is_offered_only_what_is_of_northside(practice: Practice) -> None:
    bo = Person(practice.app, "bo")
    sites = {site["id"]: site["name"] for site in practice.world.organizations[0]["sites"]}
    page = bo.get(f"{PREFIX}/clients/").text
    others = [
        student
        for student in practice.world.organizations[0]["students"]
        if sites[student["siteId"]] != "Northside Clinic"
    ]
    shown = {row["id"] for row in others if f"{row['firstName']} {row['lastName']}" in page}
    own = {
        (row["firstName"], row["lastName"])
        for row in practice.world.organizations[0]["students"]
        if sites[row["siteId"]] == "Northside Clinic"
    }
    assert {row["id"] for row in others if (row["firstName"], row["lastName"]) in own} >= shown
    northside = [id for id, name in sites.items() if name == "Northside Clinic"]
    student = record(practice, "clients", Student.site_id.in_(northside))
    offered = bo.fragment(f"/clients/{student.id}/options").text
    agency = next(
        row["id"] for row in practice.world.host["agency"] if row["name"] == "Northside Clinic"
    )
    for row in practice.world.host["client"]:
        if row["account_id"] == "bright-steps" and row["agency_id"] != agency:
            assert f"{row['first_name']} {row['last_name']}<" not in offered or any(
                (row["first_name"], row["last_name"]) == (mine["first_name"], mine["last_name"])
                for mine in practice.world.host["client"]
                if mine["agency_id"] == agency
            )


def test_sync_now_makes_one_run_however_often_it_is_clicked(
    practice: Practice, ada: Person
) -> None:
    for _ in range(3):
        answer = ada.send("/sync")
        assert answer.status_code == 200
        assert "Waiting for a worker" in answer.text
    with practice.app.app_context():
        live = practice.session.connection().exec_driver_sql(
            "SELECT count(*) FROM ensora_run WHERE state = 'due'"
        )
        assert live.scalar() == 1


def test_a_page_shows_fifty_rows_and_leads_to_the_next(practice: Practice, ada: Person) -> None:
    seen: list[str] = []
    address = f"{PREFIX}/appointments/"
    for _ in range(10):
        page = ada.get(address).text
        rows = [part.split('"')[0] for part in page.split('<tr id="')[1:]]
        assert len(rows) <= 50
        seen += rows
        if 'rel="next"' not in page:
            break
        address = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert len(seen) == len(set(seen))
    with practice.app.app_context():
        notes = practice.session.scalars(
            select(Note.id).where(
                Note.account_id == practice.account_id("bright-steps"), Note.status == "published"
            )
        ).all()
    assert {f"row-{id}" for id in notes} == set(seen)
