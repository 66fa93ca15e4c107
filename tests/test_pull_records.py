"""What a pull makes of records: set aside, changed, deleted, odd, of several accounts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from ensora_plugin.bulk import last_writes
from ensora_plugin.clock import utcnow
from ensora_plugin.kinds import KINDS, NOTE, SITE, STUDENT
from ensora_plugin.models import (
    Connection,
    Content,
    Feed,
    Mapping,
    Membership,
    Note,
    SetAside,
    Site,
    Student,
)
from ensora_plugin.pull.drafts import Drafts, Place
from ensora_plugin.pull.pages import brings_nothing, write_page
from ensora_plugin.vendor.pages import Page, place_name
from ensora_plugin.vendor.records import Broken
from tests.five_students import NAMES, calm, five, forget_cursors, play, students
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, ORGANIZATION, OTHER, Small


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, five(), ENSORA_PAGE_SIZE="2") as practice:
        yield practice


def test_a_record_that_is_set_aside_says_why_until_it_comes_whole(practice: Practice) -> None:
    play(practice, "missing_member", member="lastName", times=1)
    count = practice.counts(practice.run(ACCOUNT, "pull"))["student"]
    assert (count.fetched, count.new, count.set_aside) == (5, 4, 1)
    aside = practice.session.scalars(select(SetAside)).one()
    assert (aside.kind, aside.vendor_id) == ("student", "student-1")
    assert "lastName" in aside.reason
    assert students(practice) == NAMES[1:]
    calm(practice)
    practice.run(ACCOUNT, "pull")
    assert len(practice.session.scalars(select(SetAside)).all()) == 1
    practice.store.change(ORGANIZATION, "students", "student-1", active=False)
    practice.run(ACCOUNT, "pull")
    assert practice.session.scalars(select(SetAside)).all() == []
    assert students(practice) == NAMES


def test_a_record_that_is_broken_later_stays_as_it_was(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    practice.store.change(ORGANIZATION, "students", "student-1", active=False)
    play(practice, "nul_byte", times=1)
    practice.run(ACCOUNT, "pull")
    assert students(practice) == NAMES
    assert practice.session.scalars(select(SetAside.vendor_id)).all() == ["student-1"]
    # An older state is not what is missing.
    practice.store.change(ORGANIZATION, "students", "student-1", active=True)
    play(practice, "member", member="modifiedAt", value="2020-01-01T00:00:00Z", times=1)
    practice.run(ACCOUNT, "pull")
    assert practice.session.scalars(select(SetAside.vendor_id)).all() == ["student-1"]
    calm(practice)
    practice.store.change(ORGANIZATION, "students", "student-1", active=False)
    practice.run(ACCOUNT, "pull")
    assert practice.session.scalars(select(SetAside)).all() == []


def test_a_record_without_an_id_is_set_aside_until_its_place_is_read_again(
    practice: Practice,
) -> None:
    play(practice, "member", member="id", value=7, times=1)
    practice.run(ACCOUNT, "pull")
    assert practice.session.scalars(select(SetAside.vendor_id)).all() == [place_name(None)]
    # It costs no writes where nothing comes.
    cursor = practice.session.scalars(select(Feed.cursor).filter_by(kind="student")).one()
    quiet: Page[Any] = Page([], cursor, False, cursor)
    assert brings_nothing(practice.session, practice.account_id(ACCOUNT), STUDENT, quiet)
    practice.session.rollback()
    calm(practice)
    forget_cursors(practice)
    practice.run(ACCOUNT, "pull")
    assert practice.session.scalars(select(SetAside)).all() == []
    assert students(practice) == NAMES


def test_a_record_without_an_id_is_told_of_for_a_month(practice: Practice) -> None:
    play(practice, "member", member="id", value=7, times=1)
    practice.run(ACCOUNT, "pull")
    calm(practice)
    for days, told in ((29, 1), (31, 0)):
        with time_machine.travel(utcnow() + timedelta(days=days)):
            practice.run(ACCOUNT, "pull")
        assert len(practice.session.scalars(select(SetAside)).all()) == told
        practice.session.rollback()


@pytest.mark.parametrize("whole_first", [True, False])
def test_of_one_record_twice_in_a_page_the_later_word_counts(
    practice: Practice, whole_first: bool
) -> None:
    connection = practice.session.scalars(
        select(Connection).where(Connection.account == ACCOUNT)
    ).one()
    with practice.state.vendor(connection) as vendor:
        whole = vendor.page("site", None, 10).items[0]
    broken = Broken("site-1", "breaks the contract")
    items = [whole, broken] if whole_first else [broken, whole]
    place = Place(connection.id, 1, practice.state.sealer)
    with last_writes(practice.session) as writes:
        tally = write_page(writes, Drafts(place, SITE), Page(items, "next", False))
    practice.session.commit()
    assert (tally.fetched, tally.new, tally.set_aside) == (2, 1, 1)
    assert practice.session.scalars(select(Site.vendor_id)).all() == ["site-1"]
    assert len(practice.session.scalars(select(SetAside)).all()) == whole_first


def test_a_user_who_leaves_a_site_is_no_longer_a_member(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    practice.store.change(ORGANIZATION, "users", "user-1", siteIds=["site-2", "site-3"])
    practice.run(ACCOUNT, "pull")
    rows = practice.session.scalars(select(Membership.site_id).where(Membership.kind == "user"))
    assert sorted(rows) == ["site-2", "site-3"]


def test_a_deleted_note_loses_its_place_in_time_but_not_its_row(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    practice.store.delete_note(ORGANIZATION, "note-1")
    practice.run(ACCOUNT, "pull")
    note = practice.session.scalars(select(Note)).one()
    assert (note.status, note.version, note.date, note.start) == ("deleted", 2, None, None)
    assert practice.session.scalars(select(Content.version)).all() == [2]


def test_two_accounts_have_records_and_cursors_of_their_own(database_url: str) -> None:
    other = Small(OTHER, ids_from=100)
    other.trio()
    with open_small(database_url, five(), other) as practice:
        practice.run(ACCOUNT, "pull")
        assert practice.whys(OTHER, Student) == {}
        practice.run(OTHER, "pull")
        assert len(practice.whys(ACCOUNT, Student)) == 5
        assert list(practice.whys(OTHER, Student)) == ["student-1"]
        rows = practice.session.execute(select(Feed.account_id, Feed.kind))
        assert len(set(rows.all())) == 2 * len(KINDS)
        practice.store.change(ORGANIZATION, "students", "student-1", lastName="Changed")
        assert practice.counts(practice.run(OTHER, "pull"))["student"].fetched == 0
        assert practice.counts(practice.run(ACCOUNT, "pull"))["student"].changed == 1


#: Letters that grow when they are normalised, need four bytes, or hide in SQL and LIKE.
LETTERS = ["a", "\ufdfa", "\U00020000", "'", "%", "\\", "\x1f"]


def test_the_longest_names_of_the_oddest_letters_are_pulled_and_mapped(database_url: str) -> None:
    small = Small()
    for letter in LETTERS:
        # Not the same letter only: databases pack what repeats.
        name = "".join(letter if n % 2 else chr(0x20000 + n) for n in range(255))
        agency = small.agency(name[:120])
        site = small.site(name[:120])
        small.client(f"{name} {name}", agency=agency)
        small.student(f"{name} {name}", site=site)
        small.staff(f"{name} {name}", name, agencies=(agency,))
        small.user(f"{name} {name}", name, sites=(site,))
    with open_small(database_url, small) as practice:
        practice.run()
        expected = [str(number + 1) for number in range(len(LETTERS))]
        for kind in KINDS:
            if kind is not NOTE:
                assert list(practice.mapped(ACCOUNT, kind.name).values()) == expected
        assert practice.session.scalars(select(SetAside)).all() == []


def test_a_pull_alone_maps_nothing(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    assert practice.session.scalars(select(Mapping)).all() == []
    assert set(practice.whys(ACCOUNT, STUDENT.model).values()) == {None}
