"""Suggestions that are confirmed together: which are offered, what comes of each, the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from html import unescape

import pytest
from sqlalchemy import select

from demo.data import World, build_world
from ensora_plugin.access import Scope
from ensora_plugin.host.port import ALL, PERMISSIONS, Actor
from ensora_plugin.kinds import NOTE, SITE, STUDENT, USER, Kind
from ensora_plugin.listing.suggestions import is_clear, suggestions
from ensora_plugin.models import History, Mapping
from tests.opened import by_person, open_small, reject
from tests.practices import Practice
from tests.small import ACCOUNT, Small
from tests.window import PREFIX, Person, open_window


def offered(practice: Practice, kind: Kind, *agencies: str) -> dict[str, bool]:
    """Vendor id -> whether it is clear, of what somebody of some agencies is offered."""
    session, account_id = practice.session, practice.account_id(ACCOUNT)
    within = frozenset(agencies) or ALL
    actor = Actor(id="1", name="ada", agencies=within, permissions=frozenset(PERMISSIONS))
    told = (session, Scope.of(account_id, ACCOUNT, actor), practice.state.host, kind)
    records = [session.get_one(kind.model, id) for id in suggestions(*told)]
    return {one.vendor_id: is_clear(*told, one, grace=5) for one in records}


@pytest.fixture
def small() -> Small:
    """Northside and Southside, with a pair that is nearly equal in each kind but sites."""
    small = Small()
    for name in ("Northside", "Southside"):
        small.agency(name)
        small.site(name)
    small.client("Amir Haddad", agency=1)
    small.student("Amir Hadad")
    small.client("Lily Wong", agency=2)
    small.student("Lilly Wong", site="site-2")
    small.staff("Jo Keller", "jo@clinic.example", agencies=(1,))
    small.user("Jo Kellar", "jo@clinic.example")
    return small


def test_one_free_entity_that_comes_nearest_is_offered(database_url: str, small: Small) -> None:
    small.site("Southsyde")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert offered(practice, STUDENT) == {"student-1": True, "student-2": True}
        assert offered(practice, USER) == {"user-1": True}
        # Southside stands for its own site already.
        assert offered(practice, SITE) == {}


def test_only_what_is_of_the_persons_agencies_is_offered(database_url: str, small: Small) -> None:
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert offered(practice, STUDENT, "2") == {"student-2": True}
        assert offered(practice, USER, "2") == {}


def test_what_is_taken_ignored_or_undone_is_not_offered(database_url: str, small: Small) -> None:
    small.student("Zoe Field", "2011-01-01")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        by_person(practice, "student", "student-3", 1)
        by_person(practice, "student", "student-2", None)
        reject(practice, "user", "user-1", 1)
        practice.session.commit()
        assert offered(practice, STUDENT) == {}
        practice.run(ACCOUNT, "automap")
        assert offered(practice, USER) == {}


def test_two_that_come_near_the_same_are_not_offered(database_url: str, small: Small) -> None:
    small.student("Amirr Haddad")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert offered(practice, STUDENT) == {"student-2": True}


def test_of_two_entities_that_may_be_meant_none_is_clear(database_url: str, small: Small) -> None:
    small.client("Amir Haddat", agency=1)
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert offered(practice, STUDENT) == {"student-1": False, "student-2": True}


def test_a_note_somewhat_outside_the_grace_is_offered(database_url: str) -> None:
    small = Small()
    small.trio()
    small.appointment("09:00", "10:00")
    small.note("09:00", "10:12")
    small.appointment("13:00", "14:00")
    small.note("13:00", "15:00")
    with open_small(database_url, small) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert offered(practice, NOTE) == {"note-1": True}


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(notes=250, today=date(2026, 11, 20))


@pytest.fixture
def practice(sqlite_url: str, world: World) -> Iterator[Practice]:
    with open_window(sqlite_url, world) as practice:
        yield practice


def chosen(text: str) -> list[str]:
    return re.findall(r'name="chosen" value="([^"]+)"', text)


def of_students(practice: Practice) -> dict[str, str | None]:
    """Vendor id -> host id of the students that a person mapped."""
    with practice.app.app_context():
        rows = practice.session.execute(
            select(Mapping.vendor_id, Mapping.host_id).where(
                Mapping.kind == "student", Mapping.state == "user"
            )
        )
        return {row.vendor_id: row.host_id for row in rows}


def test_what_is_ticked_is_mapped_one_by_one_and_taken_back_together(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    before = of_students(practice)
    page = ada.get(f"{PREFIX}/clients/suggestions").text
    ticked = chosen(page)
    assert len(ticked) > 2
    assert f"Review {len(ticked)} suggestions" in ada.get(f"{PREFIX}/clients/").text
    done = ada.send("/clients/suggestions", chosen=ticked[1:])
    assert f"{len(ticked) - 1} of {len(ticked) - 1} mapped" in done.text
    assert len(of_students(practice)) == len(before) + len(ticked) - 1
    with practice.app.app_context():
        rows = practice.session.scalars(select(History).where(History.action == "map")).all()
        assert len(rows) == len(ticked) - 1
        assert {row.by for row in rows} == {"ada"}
    assert chosen(ada.get(f"{PREFIX}/clients/suggestions").text) == ticked[:1]
    back = ada.send("/clients/suggestions/undo", chosen=chosen(done.text))
    assert f"{len(ticked) - 1} of {len(ticked) - 1} undone" in back.text
    assert of_students(practice) == before


def test_each_that_is_in_the_way_says_so_and_the_others_are_mapped(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    first, second, *_ = chosen(ada.get(f"{PREFIX}/clients/suggestions").text)
    row, entity = first.split(":")
    assert ada.send(f"/clients/{row}/map", host_id=entity, seen=0).status_code == 200
    done = unescape(ada.send("/clients/suggestions", chosen=[first, second, "999999:1"]).text)
    assert "1 of 3 mapped" in done
    assert "changed this mapping while you had it open" in done
    assert "no longer yours to see" in done
    assert [told.split(":")[0] for told in chosen(done)] == [second.split(":")[0]]


def test_a_pair_that_somebody_undid_meanwhile_is_not_mapped_again(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    ticked = chosen(ada.get(f"{PREFIX}/clients/suggestions").text)[0]
    row, entity = ticked.split(":")
    assert ada.send(f"/clients/{row}/map", host_id=entity, seen=0).status_code == 200
    assert ada.send(f"/clients/{row}/unmap", seen=1).status_code == 200
    done = unescape(ada.send("/clients/suggestions", chosen=[ticked]).text)
    assert "0 of 1 mapped" in done
    assert "Somebody undid this pair meanwhile" in done


def test_nobody_maps_more_in_bulk_than_in_a_row(practice: Practice) -> None:
    ada, bo, cy = (Person(practice.app, name) for name in ("ada", "bo", "cy"))
    every = chosen(ada.get(f"{PREFIX}/clients/suggestions").text)
    own = chosen(bo.get(f"{PREFIX}/clients/suggestions").text)
    assert 0 < len(own) < len(every)
    before = of_students(practice)
    assert cy.send("/clients/suggestions", chosen=every).status_code == 403
    assert "Review" not in cy.get(f"{PREFIX}/clients/").text
    done = bo.send("/clients/suggestions", chosen=every)
    assert f"{len(own)} of {len(every)} mapped" in done.text
    assert len(of_students(practice)) == len(before) + len(own)


def test_what_changed_since_is_not_taken_back(practice: Practice) -> None:
    ada = Person(practice.app, "ada")
    first, second, *_ = chosen(ada.get(f"{PREFIX}/clients/suggestions").text)
    done = ada.send("/clients/suggestions", chosen=[first, second])
    row = first.split(":")[0]
    assert ada.send(f"/clients/{row}/ignore", seen=1, reason="a test").status_code == 200
    back = unescape(ada.send("/clients/suggestions/undo", chosen=chosen(done.text)).text)
    assert "1 of 2 undone" in back
    assert "can't be undone" in back
    assert chosen(back) == []
