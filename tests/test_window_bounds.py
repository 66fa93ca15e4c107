"""What the window keeps from people of other agencies, and what it makes of senseless requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update

from demo.data import World
from ensora_plugin.listing.listing import read_cursor
from ensora_plugin.models import Mapping, Membership, Note, Site, Student, User
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window, record


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory, small_world: World) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("bounds")
    with open_window(f"sqlite:///{folder / 'host.db'}", small_world) as practice:
        yield practice


@pytest.fixture
def bo(practice: Practice) -> Person:
    return Person(practice.app, "bo")


@pytest.fixture
def northside(practice: Practice) -> SimpleNamespace:
    """Bo's site at the vendor, and his agency's id at the host."""
    sites = {site["name"]: site["id"] for site in practice.world.organizations[0]["sites"]}
    agencies = {
        row["name"]: row["id"]
        for row in practice.world.host["agency"]
        if row["account_id"] == "bright-steps"
    }
    name = "Northside Clinic"
    return SimpleNamespace(site=sites[name], agency=agencies[name])


def foreign(practice: Practice, table: str, agency: int) -> str:
    """Return an entity of another agency of the account that nothing stands for."""
    with practice.app.app_context():
        kind = {"client": "student", "appointment": "note"}[table]
        taken = set(practice.mapped("bright-steps", kind).values())
    return next(
        str(row["id"])
        for row in practice.world.host[table]
        if row["account_id"] == "bright-steps"
        and row["agency_id"] != agency
        and str(row["id"]) not in taken
    )


def map_to(practice: Practice, kind: str, vendor_id: str, host_id: str) -> None:
    with practice.app.app_context():
        practice.session.execute(
            update(Mapping)
            .where(Mapping.kind == kind, Mapping.vendor_id == vendor_id)
            .values(host_id=host_id, state="user", by="ada")
        )
        practice.session.commit()


def mapped_row(practice: Practice, northside: SimpleNamespace, tab: str) -> tuple[str, str, Any]:
    """Return the kind of a tab, its entity, and a record of the site that automap mapped."""
    model, kind, table = {
        "clients": (Student, "student", "client"),
        "appointments": (Note, "note", "appointment"),
    }[tab]
    mapped = select(Mapping.vendor_id).where(Mapping.kind == kind, Mapping.state == "auto")
    row = record(practice, tab, model.site_id == northside.site, model.vendor_id.in_(mapped))
    return kind, table, row


@pytest.mark.parametrize("tab", ["clients", "appointments"])
def test_a_mapping_to_another_agency_is_neither_shown_nor_changed(
    practice: Practice, bo: Person, northside: SimpleNamespace, tab: str
) -> None:
    kind, table, row = mapped_row(practice, northside, tab)
    there = foreign(practice, table, northside.agency)
    map_to(practice, kind, row.vendor_id, there)
    answer = bo.send(f"/{tab}/{row.id}/unmap", seen=1)
    assert answer.status_code == 409
    assert "It is mapped in another agency." in answer.text
    assert "another agency<" in answer.text
    assert "e-pick" not in answer.text
    here = next(
        str(found["id"])
        for found in practice.world.host[table]
        if found["agency_id"] == northside.agency
    )
    assert bo.send(f"/{tab}/{row.id}/map", host_id=here, seen=1).status_code == 409
    with practice.app.app_context():
        assert practice.mapped("bright-steps", kind)[row.vendor_id] == there


@pytest.mark.parametrize("name", ["ada", "bo"])
@pytest.mark.parametrize(
    ("tab", "change"),
    [
        *(("appointments", change) for change in ("map", "ignore", "unmap")),
        *(("clients", change) for change in ("map", "ignore")),
    ],
)
def test_a_mapping_to_what_is_gone_is_changed_by_whoever_sees_the_record(
    practice: Practice, northside: SimpleNamespace, name: str, tab: str, change: str
) -> None:
    somebody = Person(practice.app, name)
    kind, table, row = mapped_row(practice, northside, tab)
    with practice.app.app_context():
        here = practice.mapped("bright-steps", kind)[row.vendor_id]
    map_to(practice, kind, row.vendor_id, f"987{row.id}")
    shown = somebody.fragment(f"/{tab}/{row.id}/row").text
    assert f"{table.capitalize()} 987{row.id}" in shown
    assert "no longer there" in shown
    fields = {"map": {"host_id": here}, "ignore": {"reason": "gone"}, "unmap": {}}[change]
    answer = somebody.send(f"/{tab}/{row.id}/{change}", seen=1, confirmed="y", **fields)
    assert answer.status_code == 200, answer.text
    with practice.app.app_context():
        now = practice.mapped("bright-steps", kind).get(row.vendor_id)
    assert now == (here if change == "map" else None)


def test_sites_of_a_user_that_are_not_of_the_persons_agencies_are_not_named(
    practice: Practice, bo: Person, northside: SimpleNamespace
) -> None:
    with practice.app.app_context():
        account_id = practice.account_id("bright-steps")
        user_id = practice.session.scalars(
            select(User.vendor_id)
            .join(Membership, Membership.vendor_id == User.vendor_id)
            .where(Membership.site_id == northside.site, User.type == "Employee", User.active)
        ).first()
        other = practice.session.scalars(
            select(Site).where(Site.account_id == account_id, Site.vendor_id != northside.site)
        ).all()[-1]
        key = {"account_id": account_id, "kind": "user", "vendor_id": user_id}
        practice.session.merge(Membership(**key, site_id=other.vendor_id))
        name = other.name
        practice.session.commit()
    assert name not in bo.get(f"{PREFIX}/staff/").text
    assert name in Person(practice.app, "ada").get(f"{PREFIX}/staff/").text


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "value",
    [
        *("", "x", "é", cursor([]), cursor({"a": 1, "b": 2, "c": 3}), cursor(["a", "1", 1])),
        *(cursor(["a", True, 1]), cursor(["a", float("inf"), 1]), cursor(["a", 2**63, 1])),
        *(cursor(["a", -1, 1]), cursor(["\0", 1, 1]), cursor(["\ud800", 1, 1]), cursor([1, 1, 1])),
        *(cursor(["a", 1]), cursor(["a", 1, "1"]), cursor(["a", 1, -1]), cursor(["a", 1, None])),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_a_cursor_that_nobody_gave_out_is_none(value: str) -> None:
    assert read_cursor(value) is None


def test_a_cursor_comes_back_as_it_was_given() -> None:
    assert read_cursor(cursor(["zoë", 7, 50])) == ("zoë", 7, 50)


def test_a_number_that_is_no_id_leads_nowhere(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    assert ada.get(f"{PREFIX}/clients/{'9' * 30}/options").status_code == 404
    assert ada.send(f"/clients/{'9' * 30}/map", host_id="1", seen=0).status_code == 404


def test_a_nul_in_a_search_is_left_out(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    assert "“a”" in ada.get(f"{PREFIX}/clients/rows?show=ignored&q=a%00").text
