"""The demo host's adapter: SELECTs with the port's labels, verbs that speak the port's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask_login import login_user
from sqlalchemy import text

from demo.host.adapter import DemoHost
from demo.host.models import Login, db
from ensora_plugin.host.port import ALL, HostAdapter, Refusal
from tests.practice import DAY, LATER, NORTHSIDE, NOTE, agency, appointment, open_practice

HOST = DemoHost()


@pytest.fixture(autouse=True)
def app() -> Iterator[Flask]:
    app = open_practice()
    with app.app_context():
        yield app


def rows(select: Any) -> dict[Any, dict[str, Any]]:
    return {row["id"]: dict(row) for row in db.session.execute(select).mappings()}


def test_it_has_the_shape_of_the_port() -> None:
    assert isinstance(HOST, HostAdapter)


@pytest.mark.parametrize(
    ("select", "labels"),
    [
        ("agencies", "id name"),
        ("clients", "id first_name last_name date_of_birth agency_id active"),
        ("staff", "id first_name last_name email active"),
        ("staff_agencies", "staff_id agency_id"),
        (
            "appointments",
            "id client_id staff_id agency_id date start end time_zone eligible rendered locked",
        ),
    ],
)
def test_every_select_has_its_labels_and_only_rows_of_its_account(select: str, labels: str) -> None:
    found = db.session.execute(getattr(HOST, select)("harbor-kids"))
    assert set(labels.split()) <= set(found.keys()) <= {*labels.split(), "updated_at"}
    assert len(found.all()) == 1


def test_eligible_rendered_and_locked_are_truth_values() -> None:
    flags = ("eligible", "rendered", "locked")

    def now() -> tuple[Any, ...]:
        db.session.flush()
        return tuple(rows(HOST.appointments("bright-steps"))[1][flag] for flag in flags)

    assert now() == (True, False, False)
    appointment().status = "rendered"
    agency().billing_locked_until = DAY - timedelta(days=1)
    assert now() == (True, True, False)
    agency().billing_locked_until = DAY
    assert now() == (True, True, True)
    agency().billing_locked_until = None
    appointment().status, appointment().locked = "cancelled", True
    assert now() == (False, False, True)
    appointment().status, appointment().kind = "scheduled", "meeting"
    assert now() == (False, False, True)
    assert all(type(value) is bool for value in now())


def test_a_day_of_appointments_is_found_by_the_index() -> None:
    inner = HOST.appointments("bright-steps").subquery()
    query = str(
        inner.select()
        .where(inner.c.date == DAY)
        .compile(db.engine, compile_kwargs={"literal_binds": True})
    )
    plan = db.session.execute(text(f"EXPLAIN QUERY PLAN {query}")).all()
    assert any("ix_appointment_day" in row.detail for row in plan), plan


def test_the_actor_is_the_person_of_the_request(app: Flask) -> None:
    for id, agencies in ((1, ALL), (2, frozenset({NORTHSIDE})), (4, frozenset())):
        with app.app_context(), app.test_request_context():
            assert HOST.actor() is None
            login_user(db.session.get_one(Login, id))
            actor = HOST.actor()
            assert actor is not None
            assert (actor.id, actor.agencies, HOST.account()) == (str(id), agencies, "bright-steps")
            assert "view" in actor.permissions


def test_addresses_lead_to_the_pages_of_the_host(app: Flask) -> None:
    with app.test_request_context():
        assert HOST.url("client", 7, "edit") == "/clients/edit/?id=7"
        assert HOST.url("appointment", 7, "edit", back="/sync/") == "/appointments/7?back=/sync/"
        created = HOST.url("staff", None, "create", {"first_name": "Renée"}, "/sync/")
        assert created == "/staff/new/?first_name=Ren%C3%A9e&back=/sync/"


@time_machine.travel(LATER, tick=False)
def test_the_verbs_answer_in_the_words_of_the_port() -> None:
    done = HOST.render("bright-steps", 1, NOTE)
    assert (done.stored, done.rendered, list(done.refusals)) == (True, True, [])
    taken = HOST.withdraw("bright-steps", 1, NOTE)
    assert (taken.stored, taken.rendered) == (True, False)
    appointment().status = "cancelled"
    refused = HOST.render("bright-steps", 1, NOTE)
    assert list(refused.refusals) == [
        Refusal("cancelled", "The appointment is cancelled.", "scheduler")
    ]


@pytest.mark.parametrize("id", [9, 12345])
def test_an_appointment_of_another_account_does_not_exist(id: int) -> None:
    for verb in (HOST.render, HOST.withdraw):
        answer = verb("bright-steps", id, NOTE)
        assert (answer.stored, answer.rendered) == (False, False)
        assert [refusal.code for refusal in answer.refusals] == ["not_found"]
