"""The second host is a host by the port's shape, keeps accounts apart and shares nothing with the
demo's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time

import pytest
from flask import Flask
from sqlalchemy import Select, select, update

from demo.data import World, build_world
from demo.host.models import Base
from ensora_plugin.host.port import ALL, HostAdapter, NoteView, Signature
from tests.other_host import DatedHost, OtherHost, create_other_host, other_id, seed_other
from tests.other_models import Visit, other_db
from tests.servers import Postgres, fresh_database, postgres

LABELS = {
    "agencies": {"id", "name"},
    "clients": {"id", "first_name", "last_name", "date_of_birth", "agency_id", "active"},
    "staff": {"id", "first_name", "last_name", "email", "active"},
    "staff_agencies": {"staff_id", "agency_id"},
    "appointments": {
        *("id", "client_id", "staff_id", "agency_id", "date", "start", "end", "time_zone"),
        *("eligible", "rendered", "locked"),
    },
}
TABLES = {
    "agencies": "agency",
    "clients": "client",
    "staff": "staff",
    "appointments": "appointment",
}
INK = Signature(b"ink", 300, 100, datetime(2026, 3, 10, tzinfo=UTC), False, "00", "01")


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(notes=100, seed=1, today=date(2026, 3, 20))


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield "sqlite://"
    else:
        with fresh_database(request.getfixturevalue("server")) as url:
            yield url


@pytest.fixture
def app(world: World, database_url: str) -> Iterator[Flask]:
    made = create_other_host(database_url)
    with made.app_context():
        seed_other(other_db.session, world)
        other_db.session.commit()
        yield made
        other_db.session.remove()
        other_db.engine.dispose()


def note(version: int = 1, signature: Signature | None = INK) -> NoteView:
    return NoteView(
        vendor_id="bs-note-1",
        version=version,
        template="ABA Session Note",
        published_at=None,
        session_date=date(2026, 3, 10),
        start=time(13),
        end=time(14),
        time_zone="America/New_York",
        text="Counted to ten.",
        guardian_name="",
        relationship="",
        location="",
        therapist_signature=signature,
        guardian_signature=None,
    )


def open_visit(world: World) -> uuid.UUID:
    row = next(row for row in world.host["appointment"] if not row["locked"])
    return uuid.UUID(other_id("appointment", row["id"]))


def test_it_has_the_shape_of_a_host_adapter() -> None:
    assert isinstance(OtherHost(), HostAdapter)


@pytest.mark.parametrize("name", LABELS)
def test_its_selects_offer_the_labels(app: Flask, name: str) -> None:
    dated: Select = getattr(DatedHost(), name)("bright-steps")
    assert set(dated.selected_columns.keys()) == LABELS[name] | {"updated_at"}
    query: Select = getattr(OtherHost(), name)("bright-steps")
    assert set(query.selected_columns.keys()) == LABELS[name]
    rows = other_db.session.execute(query).mappings().all()
    assert rows
    ids = [value for key, value in rows[0].items() if key == "id" or key.endswith("_id")]
    assert all(isinstance(id, uuid.UUID) for id in ids)


def test_accounts_see_their_own_rows_under_translated_ids(app: Flask, world: World) -> None:
    for name, table in TABLES.items():
        for account in world.truth:
            rows = other_db.session.execute(getattr(OtherHost(), name)(account)).mappings()
            assert {str(row["id"]) for row in rows} == {
                other_id(table, row["id"])
                for row in world.host[table]
                if row["account_id"] == account
            }


def test_no_table_or_column_is_named_as_in_the_demo_host() -> None:
    ours, demos = other_db.metadata.tables, Base.metadata.tables
    assert not set(ours) & set(demos)

    def columns(tables) -> set[str]:
        return {column.name for table in tables.values() for column in table.columns}

    assert not columns(ours) & columns(demos)


def test_what_counts_and_what_is_done_follows_the_world(app: Flask, world: World) -> None:
    rows = other_db.session.execute(OtherHost().appointments("bright-steps")).mappings()
    found = {str(row["id"]): row for row in rows}
    for row in world.host["appointment"]:
        if row["account_id"] == "bright-steps":
            mine = found[other_id("appointment", row["id"])]
            assert mine["eligible"] == (row["kind"] == "service" and row["status"] != "cancelled")
            assert (mine["rendered"], mine["locked"]) == (
                row["status"] == "rendered",
                row["locked"],
            )
            assert (mine["date"], mine["start"]) == (row["date"], row["start"])
    assert {row["time_zone"] for row in found.values()} == {"America/New_York", "America/Chicago"}


def test_a_signed_note_completes_a_visit_and_leaves_it_again(app: Flask, world: World) -> None:
    key, host = open_visit(world), OtherHost()
    assert host.render("bright-steps", key, note()).rendered
    visit = other_db.session.get(Visit, key)
    assert (visit.report, visit.helper_ink, visit.completed) == ("Counted to ten.", b"ink", True)
    taken = host.withdraw("bright-steps", key, note())
    assert (taken.stored, taken.rendered) == (True, False)
    assert (visit.report, visit.helper_ink, visit.completed) == ("", None, False)


def test_an_unsigned_note_lands_but_does_not_complete(app: Flask, world: World) -> None:
    key = open_visit(world)
    done = OtherHost().render("bright-steps", key, note(signature=None))
    assert (done.stored, done.rendered) == (True, False)
    assert [refusal.code for refusal in done.refusals] == ["unsigned"]
    assert other_db.session.get(Visit, key).report == "Counted to ten."


def test_a_frozen_visit_is_not_touched(app: Flask, world: World) -> None:
    key, host = open_visit(world), OtherHost()
    other_db.session.execute(update(Visit).where(Visit.key == key).values(frozen=True))
    for verb in (host.render, host.withdraw):
        done = verb("bright-steps", key, note())
        assert not done.stored
        assert [refusal.code for refusal in done.refusals] == ["frozen"]
    assert other_db.session.scalar(select(Visit.report).where(Visit.key == key)) == ""


def test_the_verbs_never_commit(app: Flask, world: World) -> None:
    key = open_visit(world)
    OtherHost().render("bright-steps", key, note())
    other_db.session.rollback()
    assert other_db.session.get(Visit, key).report == ""


def test_a_request_says_who_it_comes_from(app: Flask) -> None:
    seen = []

    @app.get("/who")
    def who() -> str:
        seen.append((OtherHost().account(), OtherHost().actor()))
        return ""

    client = app.test_client()
    client.get("/who", headers={"X-Practice": "bright-steps", "X-Person": "ada"})
    client.get("/who", headers={"X-Practice": "harbor-kids"})
    (practice, ada), (other, nobody) = seen
    assert (practice, ada.name, ada.agencies) == ("bright-steps", "Ada", ALL)
    assert (other, nobody) == ("harbor-kids", None)
