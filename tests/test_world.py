"""The seeded world holds every case, fits both sides, and is the same each time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, is_dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from sqlalchemy import create_engine, event, insert, select
from sqlalchemy.orm import Session

from demo.data import World, build_world
from demo.host.models import Base
from demo.world.model import Expected

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 11, 23)
#: What automap never pairs, so that no note can meet these refusals by itself.
NEVER_BY_AUTOMAP = {"cancelled", "not_a_service"}
REFUSALS = {
    *("notes_required", "therapist_signature_missing", "guardian_signature_missing"),
    *("not_over_yet", "overlap", "no_authorization", "authorization_hours_used_up"),
    *("period_locked", "locked", "client_terminated", "staff_inactive"),
}


@cache
def world(notes: int = 300, seed: int = 7, today: date = TODAY) -> World:
    return build_world(notes=notes, seed=seed, today=today)


def test_every_record_has_one_outcome() -> None:
    made = world()
    for organization, truth in zip(made.organizations, made.truth.values(), strict=True):
        feeds = {"sites": truth.sites, "students": truth.students}
        feeds |= {"users_feed": truth.users, "notes": truth.notes}
        for feed, outcomes in feeds.items():
            assert [record["id"] for record in organization[feed]] == list(
                {record["id"]: None for record in organization[feed]}
            )
            assert {record["id"] for record in organization[feed]} == outcomes.keys()
            for one in outcomes.values():
                assert (one.host_id is None) != (one.reason is None)
            hosts = [one.host_id for one in outcomes.values() if one.host_id]
            assert len(hosts) == len(set(hosts))


def test_the_large_account_has_the_asked_for_size_and_shares() -> None:
    made = world(2000)
    organization, truth = made.organizations[0], made.truth["bright-steps"]
    assert (len(organization["sites"]), len(truth.notes)) == (6, 2000)
    assert sum(row["account_id"] == "bright-steps" for row in made.host["agency"]) == 8
    assert (len(organization["students"]), len(organization["users_feed"])) == (300, 60)
    mapped = [one for one in truth.notes.values() if one.host_id]
    assert 0.83 <= len(mapped) / 2000 <= 0.87
    assert 0.88 <= sum(one.rendered for one in mapped) / len(mapped) <= 0.93


def test_every_reason_and_refusal_occurs() -> None:
    truth = world(2000).truth["bright-steps"]

    def reasons(outcomes: dict[str, Expected]) -> set[str]:
        return {one.reason for one in outcomes.values() if one.reason}

    assert reasons(truth.sites) == set()
    assert reasons(truth.students) == {
        *("no_such_client", "other_agency", "empty_name_or_birth_date", "ambiguous", "taken")
    }
    assert reasons(truth.users) == {
        *("no_such_staff", "other_agency", "empty_name_or_email", "no_site", "ambiguous"),
        *("taken", "parent"),
    }
    assert reasons(truth.notes) == {
        *("no_client_mapping", "no_staff_mapping", "no_client_and_no_staff_mapping"),
        *("no_appointment_that_day", "outside_the_grace", "appointment_cancelled", "ambiguous"),
        *("taken", "unpublished", "unreadable_date_or_time"),
    }
    refusals = Counter(code for one in truth.notes.values() for code in one.refusals)
    assert set(refusals) == REFUSALS
    assert not NEVER_BY_AUTOMAP & set(refusals)


@pytest.mark.parametrize("seed", range(8))
def test_small_worlds_of_any_seed_hold_every_refusal(seed: int) -> None:
    truth = build_world(notes=300, seed=seed, today=TODAY).truth["bright-steps"]
    assert {code for one in truth.notes.values() for code in one.refusals} == REFUSALS


def test_a_world_too_small_for_its_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        build_world(notes=10, today=TODAY)


def test_the_same_seed_gives_the_same_world_in_any_process() -> None:
    prints = {digest(build_world(notes=300, seed=3, today=TODAY)), digest(world(300, 3))}
    for hash_seed in ("1", "2"):
        code = "from tests.test_world import digest, world; print(digest(world(300, 3)))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        prints.add(done.stdout.strip())
    assert len(prints) == 1
    assert digest(world(300, 4)) not in prints


def digest(made: World) -> str:
    """Return the fingerprint of everything that a world holds, its order included."""

    def plain(value: object) -> object:
        if isinstance(value, frozenset):
            return sorted(value)
        return asdict(value) if is_dataclass(value) else str(value)

    parts = [made.organizations, made.host, made.truth]
    return hashlib.sha256(json.dumps(parts, default=plain).encode()).hexdigest()


@pytest.mark.parametrize(
    ("feed", "schema"),
    [
        ("sites", "Site"),
        ("students", "Student"),
        ("users_feed", "User"),
        ("notes", "SessionNote"),
    ],
)
def test_records_follow_the_contract(feed: str, schema: str) -> None:
    contract = yaml.safe_load((ROOT / "docs" / "vendor-api.yaml").read_text("utf-8"))
    registry = Registry().with_resource("urn:contract", DRAFT202012.create_resource(contract))
    reference = {"$ref": f"urn:contract#/components/schemas/{schema}"}
    validator = Draft202012Validator(
        reference, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    for organization in world().organizations:
        for record in organization[feed]:
            validator.validate(record)


def test_records_survive_the_way_over_http_and_stand_in_the_order_of_change() -> None:
    for organization in world().organizations:
        assert json.loads(json.dumps(organization)) == organization
        for note in organization["notes"]:
            assert note["fields"] or note["status"] == "deleted"
            assert note["publishedAt"] <= f"{TODAY}T23:59:59Z"
        for student in organization["students"]:
            ZoneInfo(student["timeZone"])
            date.fromisoformat(student["dateOfBirth"])
        for feed in ("sites", "students", "users_feed", "notes"):
            changes = [record["modifiedAt"] for record in organization[feed]]
            assert changes == sorted(changes)


def test_sessions_lie_in_the_last_thirty_days() -> None:
    truth = world().truth["bright-steps"].notes
    appointments = {str(row["id"]): row for row in world().host["appointment"]}
    for one in truth.values():
        if one.host_id and "not_over_yet" not in one.refusals:
            day = appointments[one.host_id]["date"]
            assert TODAY - timedelta(days=30) <= day < TODAY


def test_the_host_side_fits_into_the_demo_hosts_tables() -> None:
    engine = create_engine("sqlite://")

    @event.listens_for(engine, "connect")
    def foreign_keys(connection, _record) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for name, rows in world().host.items():
            table = Base.metadata.tables[name]
            extra = {"password_hash": "x"} if name == "login" else {}
            session.execute(insert(table), [row | extra for row in rows])
            assert len(session.execute(select(table)).all()) == len(rows) > 0
    engine.dispose()


def test_some_people_stand_in_both_accounts() -> None:
    def facts(place: int) -> set[tuple[str, ...]]:
        students = world().organizations[place]["students"]
        return {(one["firstName"], one["lastName"], one["dateOfBirth"]) for one in students}

    def emails(place: int) -> set[str]:
        return {one["email"] for one in world().organizations[place]["users_feed"]}

    assert len(facts(0) & facts(1)) >= 4
    assert len(emails(0) & emails(1)) >= 2
    hosts = [set(vars(truth)["students"]) for truth in world().truth.values()]
    assert not hosts[0] & hosts[1]


def test_hints_odd_texts_and_signatures_are_there() -> None:
    notes = world(2000).organizations[0]["notes"]
    appointments = {str(row["id"]) for row in world(2000).host["appointment"]}
    hints = {note["appointmentId"] for note in notes if note["appointmentId"]}
    assert hints
    assert hints <= appointments
    values = [field.get("value") for note in notes for field in note["fields"]]
    texts = [value for value in values if isinstance(value, str)]
    for odd in ("🎉", "הילד", "<script>"):
        assert any(odd in text for text in texts)
    assert max(map(len, texts)) > 4000
    images = {value["image"] for value in values if isinstance(value, dict) and "image" in value}
    assert len(images) >= 16
    assert {note["template"] for note in notes} == {
        *("ABA Session Note", "Session Note with Guardian", "Parent Training")
    }
