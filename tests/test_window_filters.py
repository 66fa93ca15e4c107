"""Filters, search, order and pages of the lists; all of them stand in the address."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from demo.data import World, build_world
from ensora_plugin.clock import utcnow
from ensora_plugin.kinds import BY_SLUG
from ensora_plugin.listing.dates import days_of
from ensora_plugin.models import Mapping, Note, RenderingRow, Student, User
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window, record


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("filters")
    world: World = build_world(notes=260, today=date(2026, 11, 20))
    with open_window(f"sqlite:///{folder / 'host.db'}", world) as practice:
        yield practice


@pytest.fixture
def ada(practice: Practice) -> Person:
    return Person(practice.app, "ada")


def rows(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'<tr id="row-(\d+)"', text)]


def shown(person: Person, tab: str, **asked: str) -> set[int]:
    """The ids of all rows of a tab, page by page."""
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    address, seen = f"{PREFIX}/{tab}/?{query}", set()
    while address:
        page = person.get(address).text
        assert not seen & set(rows(page))
        seen |= set(rows(page))
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = unescape(following[1]) if following else ""
    return seen


def ids(practice: Practice, statement: object) -> set[int]:
    with practice.app.app_context():
        return set(practice.session.scalars(statement))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("told", "days"),
    [
        ("14 Mar 2017", [date(2017, 3, 14)]),
        ("14. march 2017", [date(2017, 3, 14)]),
        ("March 14th, 2017", [date(2017, 3, 14)]),
        ("2017-03-14", [date(2017, 3, 14)]),
        ("20170314", [date(2017, 3, 14)]),
        ("3/14/2017", [date(2017, 3, 14)]),
        ("14.3.17", [date(2017, 3, 14)]),
        ("3/4/2017", [date(2017, 3, 4), date(2017, 4, 3)]),
        ("31 Feb 2017", []),
        ("Mara 14, 2017", []),
        ("Lily", []),
        ("", []),
    ],
)
def test_a_day_is_read_in_several_spellings(told: str, days: list[date]) -> None:
    assert days_of(told) == days


def test_students_are_found_by_name_birth_date_and_id(practice: Practice, ada: Person) -> None:
    student = record(practice, "clients", Student.active, Student.last_name != "")
    born = student.date_of_birth  # type: ignore[attr-defined]
    for told in (
        f"{student.first_name} {student.last_name}".upper(),  # type: ignore[attr-defined]
        f"{student.last_name}, {student.first_name}",  # type: ignore[attr-defined]
        f"{born.day} {born:%b} {born.year}",
        f"{born.month}/{born.day}/{born.year}",
        student.vendor_id,
    ):
        assert student.id in shown(ada, "clients", q=told), told
    assert shown(ada, "clients", q="zzzz") == set()


def test_users_are_found_by_email_in_any_case(practice: Practice, ada: Person) -> None:
    user = record(practice, "staff", User.active, User.type == "Employee", User.email != "")
    email: str = user.email  # type: ignore[attr-defined]
    assert user.id in shown(ada, "staff", q=email.swapcase())
    assert user.id in shown(ada, "staff", q=email[:6])


def test_notes_are_filtered_by_days(practice: Practice, ada: Person) -> None:
    since, until = date(2026, 11, 9), date(2026, 11, 13)
    expected = ids(
        practice,
        select(Note.id).where(
            Note.account_id == 1, Note.date.between(since, until), Note.status == "published"
        ),
    )
    assert expected
    found = shown(ada, "appointments", since=str(since), until=str(until))
    assert expected <= found
    unreadable = ids(practice, select(Note.id).where(Note.date.is_(None)))
    assert found - expected <= unreadable


def test_notes_are_filtered_by_what_the_host_did(practice: Practice, ada: Person) -> None:
    def told(*states: str) -> set[int]:
        return ids(
            practice,
            select(Note.id)
            .join(RenderingRow, RenderingRow.note_id == Note.vendor_id)
            .where(Note.account_id == 1, RenderingRow.account_id == 1)
            .where(RenderingRow.version == Note.version, RenderingRow.state.in_(states)),
        )

    rendered, refused = told("rendered"), told("refused", "failed")
    assert rendered
    assert refused
    assert shown(ada, "appointments", rendering="rendered") == rendered
    assert shown(ada, "appointments", rendering="refused") == refused
    assert shown(ada, "appointments", rendering="waiting").isdisjoint(rendered | refused)


def test_an_agency_shows_what_is_of_its_sites(practice: Practice, ada: Person) -> None:
    agency = next(
        str(row["id"])
        for row in practice.world.host["agency"]
        if row["name"] == "Northside Clinic" and row["account_id"] == "bright-steps"
    )
    sites = select(Mapping.vendor_id).where(Mapping.kind == "site", Mapping.host_id == agency)
    expected = ids(practice, select(Student.id).where(Student.site_id.in_(sites), Student.active))
    assert shown(ada, "clients", agency=agency) == expected
    assert shown(Person(practice.app, "bo"), "clients", agency=agency) == expected
    other = next(
        str(row["id"])
        for row in practice.world.host["agency"]
        if row["name"] != "Northside Clinic" and row["account_id"] == "bright-steps"
    )
    assert shown(ada, "clients", agency=other)
    assert shown(Person(practice.app, "bo"), "clients", agency=other) == set()


@pytest.mark.parametrize(
    ("tab", "sort", "column", "down"),
    [
        ("clients", "last", "sort_key", False),
        ("clients", "-first", "name_key", True),
        ("appointments", "date", "sort_key", False),
    ],
)
def test_a_list_is_sorted_as_asked_over_all_pages(
    practice: Practice, ada: Person, tab: str, sort: str, column: str, down: bool
) -> None:
    model = {"clients": Student, "appointments": Note}[tab]
    seen: list[int] = []
    address = f"{PREFIX}/{tab}/?sort={sort}"
    while address:
        page = ada.get(address).text
        seen += rows(page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = unescape(following[1]) if following else ""
        assert not following or f"sort={sort}" in address
    with practice.app.app_context():
        key = getattr(model, column)
        keys = dict(practice.session.execute(select(model.id, key)).all())
    assert len(seen) > 20
    assert [keys[id] for id in seen] == sorted((keys[id] for id in seen), reverse=down)


def test_a_page_says_where_it_lies_there_and_back(ada: Person) -> None:
    first = ada.get(f"{PREFIX}/appointments/").text
    assert re.search(r"<span>1–50 of \d+</span>", first)
    following = unescape(re.findall(r'rel="next" href="([^"]+)"', first)[0])
    second = ada.get(following).text
    assert "<span>51–100 of" in second
    back = unescape(re.findall(r'rel="prev" href="([^"]+)"', second)[0])
    again = ada.get(back).text
    assert rows(again) == rows(first)
    assert "<span>1–50 of" in again


def test_the_answer_to_a_search_carries_the_address_of_its_page(ada: Person) -> None:
    answer = ada.fragment("/clients/rows?q=a&show=auto")
    assert answer.headers["HX-Replace-Url"] == f"{PREFIX}/clients/?show=auto&q=a"
    states = ada.fragment("/clients/states?q=a&show=auto").text
    assert all("q=a" in link for link in re.findall(r'href="([^"]+show=[^"]+)"', states))


def test_nonsense_in_an_address_counts_as_not_asked_for(ada: Person) -> None:
    plain = ada.get(f"{PREFIX}/appointments/")
    odd = ada.get(
        f"{PREFIX}/appointments/?show=x&sort=;--&rendering=%00&since=2026-99-99&agency=%00"
    )
    assert rows(odd.text) == rows(plain.text)


TABS = ("agencies", "clients", "staff", "appointments")


@pytest.fixture(scope="module")
def by_people(tmp_path_factory: pytest.TempPathFactory, small_world: World) -> Iterator[Practice]:
    """A practice in which one mapping of each tab is a person's, and one record is ignored."""
    folder: Path = tmp_path_factory.mktemp("by_people")
    with open_window(f"sqlite:///{folder / 'host.db'}", small_world) as practice:
        with practice.app.app_context():
            session = practice.session
            for tab in TABS:
                own = (Mapping.account_id == 1, Mapping.kind == BY_SLUG[tab].name)
                two = session.scalars(select(Mapping.id).where(*own).limit(2)).all()
                by = {"by": "ada", "at": utcnow(), "run_id": None}
                ignored = {"state": "ignored", "host_id": None, "reason": "a test", **by}
                for id, values in zip(two, ({"state": "user", **by}, ignored), strict=True):
                    session.execute(update(Mapping).where(Mapping.id == id).values(values))
            session.commit()
        yield practice


def in_use(row: Any) -> bool:
    return row.status == "published" if isinstance(row, Note) else row.active


@pytest.mark.parametrize("tab", TABS)
def test_each_state_shows_exactly_its_records_with_and_without_inactive_ones(
    by_people: Practice, tab: str
) -> None:
    practice, ada = by_people, Person(by_people.app, "ada")
    kind = BY_SLUG[tab]
    with practice.app.app_context():
        own = (Mapping.account_id == 1, Mapping.kind == kind.name)
        told = select(Mapping.vendor_id, Mapping.state).where(*own)
        states = dict(practice.session.execute(told).all())
        every = [
            (row.id, states.get(row.vendor_id), in_use(row))
            for row in practice.session.scalars(select(kind.model).filter_by(account_id=1))
            if getattr(row, "type", "Employee") == "Employee"
        ]
    assert {state for _, state, _ in every} >= {"auto", "user", "ignored"}
    assert tab == "agencies" or {used for *_, used in every} == {True, False}
    for inactive in ("", "1"):
        # A note that is mapped is shown also when it is published no more.
        seen = [
            (id, state, used)
            for id, state, used in every
            if inactive or used or (tab == "appointments" and state)
        ]
        for asked in ("all", "auto", "user", "ignored"):
            expected = {id for id, state, _ in seen if asked in ("all", state)}
            assert shown(ada, tab, show=asked, inactive=inactive) == expected, asked
        # Nobody has to map what is inactive, also where it is shown.
        to_map = {id for id, state, used in every if state is None and used}
        assert shown(ada, tab, show="to-map", inactive=inactive) == to_map


@pytest.mark.parametrize("tab", TABS)
def test_a_page_costs_three_queries_at_most(practice: Practice, ada: Person, tab: str) -> None:
    sent: list[str] = []

    def keep(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "ensora_" in statement or "agency" in statement.split("WHERE")[0]:
            sent.append(statement)

    with practice.app.app_context():
        engine = practice.state.engine
    for address in (f"{PREFIX}/{tab}/", f"{PREFIX}/{tab}/?q=a", f"{PREFIX}/{tab}/?show=to-map"):
        practice.state.counted.__init__()  # type: ignore[misc]
        sent.clear()
        event.listen(engine, "before_cursor_execute", keep)
        page = ada.get(address)
        event.remove(engine, "before_cursor_execute", keep)
        ours = [one for one in sent if "ensora_" in one]
        assert page.status_code == 200
        assert len(ours) <= 3, ours
        assert len(page.data) <= 60_000
        assert len(gzip.compress(page.data)) <= 8_000
