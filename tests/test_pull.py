"""Pull: records and cursor move together; whatever the feed does, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from ensora_plugin.clock import utcnow
from ensora_plugin.errors import EnsoraError, VendorBroke
from ensora_plugin.kinds import KINDS, NOTE, SITE, STUDENT
from ensora_plugin.models import (
    Connection,
    Content,
    Feed,
    Mapping,
    Membership,
    Note,
    Run,
    SetAside,
    Site,
    Student,
)
from ensora_plugin.pull import Place, write_page
from ensora_plugin.sync import claim, create_run, perform
from ensora_plugin.vendor import Broken, Page
from tests.practices import Practice
from tests.small import ACCOUNT, ORGANIZATION, OTHER, Mortal, Small, by_person, open_small

NAMES = [f"Child {number}" for number in range(5)]


def five() -> Small:
    """Five students on one site; with two records a page their feed has three pages."""
    small = Small()
    small.agency()
    small.site()
    for name in NAMES:
        small.client(name)
        small.student(name)
    small.staff()
    small.user()
    small.note()
    return small


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, five(), ENSORA_PAGE_SIZE="2") as practice:
        yield practice


def play(practice: Practice, fault: str, feed: str = "students", **rule: Any) -> None:
    match = {"feed": feed, **rule.pop("match", {})}
    times = rule.pop("times", None)
    rules = [{"fault": fault, "match": match, "times": times, "args": rule}]
    practice.emulator.extensions["emulator"].scenario.play(rules)


def calm(practice: Practice) -> None:
    practice.emulator.extensions["emulator"].scenario.clear()


def forget_cursors(practice: Practice) -> None:
    """As an operator does who wants everything to be read again."""
    practice.session.execute(Feed.__table__.delete())
    practice.session.commit()


def students(practice: Practice) -> list[str]:
    rows = practice.session.scalars(select(Student.first_name + " " + Student.last_name))
    return sorted(rows)


def cursors(practice: Practice) -> dict[str, str | None]:
    found = practice.session.execute(select(Feed.kind, Feed.cursor))
    return {row.kind: row.cursor for row in found}


def failed_pull(practice: Practice) -> EnsoraError:
    with pytest.raises(EnsoraError) as raised:
        practice.run(ACCOUNT, "pull")
    run = practice.session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert run is not None
    assert (run.state, run.error_code, run.error_text) == (
        "failed",
        raised.value.code,
        str(raised.value),
    )
    return raised.value


def test_a_cursor_moves_with_its_page_and_a_killed_pull_goes_on_there(practice: Practice) -> None:
    # Whose token, one page of sites, one of students; then the worker dies.
    practice.state.transport = Mortal(practice.state.transport, 3)
    account_id = practice.account_id(ACCOUNT)
    run_id = create_run(practice.session, account_id, cause="command", by=None, steps=("pull",))
    claimed = claim(practice.session, run_id, 60)
    assert claimed
    with pytest.raises(KeyboardInterrupt):
        perform(practice.state.services(), claimed)
    practice.session.rollback()
    assert students(practice) == NAMES[:2]
    assert cursors(practice).keys() == {"site", "student"}

    practice.state.transport = practice.state.transport.inner
    journal = practice.emulator.extensions["emulator"].journal
    journal.clear()
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        claimed = claim(practice.session, run_id, 60)
        assert claimed
        perform(practice.state.services(), claimed)
    assert students(practice) == NAMES
    asked = [entry["path"] for entry in journal.entries()]
    assert asked.count("/v1/students") == 2
    count = practice.counts(practice.session.get_one(Run, run_id))["student"]
    assert (count.fetched, count.new, count.unchanged) == (5, 5, 0)


def test_a_page_that_cannot_be_written_leaves_its_cursor(practice: Practice) -> None:
    refuse = (
        "CREATE TRIGGER refuse BEFORE INSERT ON ensora_student WHEN NEW.vendor_id = 'student-4' "
        "BEGIN SELECT RAISE(ABORT, 'Child 3 is refused'); END"
    )
    practice.session.execute(text(refuse))
    practice.session.commit()
    with pytest.raises(IntegrityError):
        practice.run(ACCOUNT, "pull")
    # Neither the record before it on the same page, nor the page's cursor.
    assert students(practice) == NAMES[:2]
    assert cursors(practice).keys() == {"site", "student"}
    run = practice.session.scalars(select(Run)).one()
    assert (run.state, run.error_code) == ("failed", "database")
    assert "IntegrityError" in str(run.error_text)
    assert "Child" not in str(run.error_text)
    practice.session.execute(text("DROP TRIGGER refuse"))
    practice.session.commit()
    practice.run(ACCOUNT, "pull")
    assert students(practice) == NAMES


def test_a_page_that_comes_twice_is_counted_as_unchanged(practice: Practice) -> None:
    play(practice, "duplicate_page", times=1, match={"cursor": True})
    count = practice.counts(practice.run(ACCOUNT, "pull"))["student"]
    assert (count.fetched, count.new, count.changed, count.unchanged) == (7, 5, 0, 2)
    assert students(practice) == NAMES


def test_pages_without_records_are_read_over(practice: Practice) -> None:
    play(practice, "empty_with_more", times=2)
    practice.run(ACCOUNT, "pull")
    assert students(practice) == NAMES


@pytest.mark.parametrize(
    ("fault", "args"),
    [
        ("same_cursor", {}),
        ("looping_cursor", {"length": 2}),
        ("empty_with_more", {}),
        ("duplicate_page", {}),
        ("duplicate_page", {"match": {"cursor": True}}),
    ],
)
def test_a_feed_that_never_ends_is_left_with_words_and_the_next_pull_goes_on(
    practice: Practice, fault: str, args: dict[str, Any]
) -> None:
    play(practice, fault, **args)
    error = failed_pull(practice)
    assert isinstance(error, VendorBroke)
    assert "students" in str(error)
    assert "does not come to an end" in str(error)
    assert set(students(practice)) <= set(NAMES)
    calm(practice)
    practice.run(ACCOUNT, "pull")
    assert students(practice) == NAMES
    assert practice.session.scalar(select(func.count(Note.id))) == 1


def test_an_older_version_after_a_newer_one_is_left_alone(practice: Practice) -> None:
    practice.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better."})
    for feed in ("session-notes", "students"):
        play(practice, "older_after_newer", feed)
        practice.run(ACCOUNT, "pull")
        forget_cursors(practice)
    assert practice.session.scalars(select(Note.version)).all() == [2]
    assert practice.session.scalars(select(Note.template)).all() == ["SOAP"]
    assert students(practice) == NAMES
    # In a page of its own as well.
    play(practice, "member", "session-notes", member="version", value=1)
    count = practice.counts(practice.run(ACCOUNT, "pull"))["note"]
    assert (count.changed, count.unchanged) == (0, 1)
    assert practice.session.scalars(select(Note.version)).all() == [2]
    play(practice, "member", member="modifiedAt", value="2020-01-01T00:00:00Z")
    forget_cursors(practice)
    assert practice.counts(practice.run(ACCOUNT, "pull"))["student"].changed == 0


def test_other_content_under_the_same_version_is_stored(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    forget_cursors(practice)
    play(practice, "same_version_other_content", "session-notes")
    count = practice.counts(practice.run(ACCOUNT, "pull"))["note"]
    assert (count.fetched, count.changed, count.unchanged) == (2, 1, 1)
    assert practice.session.scalars(select(Note.template)).all() == ["SOAP (otherwise)"]


def test_a_cursor_that_is_gone_starts_its_feed_over_and_loses_nothing(practice: Practice) -> None:
    by_person(practice, "student", "student-1", 5)
    practice.run()
    before = practice.changed_rows()
    # The vendor forgets a cursor after 30 days.
    with time_machine.travel(utcnow() + timedelta(days=31)):
        counts = practice.counts(practice.run(ACCOUNT, "pull", "automap"))
    assert (counts["student"].fetched, counts["student"].unchanged) == (5, 5)
    assert practice.changed_rows() == before
    assert practice.mapped(ACCOUNT, "student")["student-1"] == "5"
    assert practice.counts(practice.run(ACCOUNT, "pull"))["student"].fetched == 0


def test_a_vendor_that_knows_no_cursor_at_all_fails_in_words(practice: Practice) -> None:
    play(practice, "status", code=410)
    error = failed_pull(practice)
    assert error.code == "cursor_gone"
    assert "cursor" in str(error)


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
    # Read again whole, though no newer than what is stored: it is not set aside any more.
    practice.store.change(ORGANIZATION, "students", "student-1", active=True)
    play(practice, "member", member="modifiedAt", value="2020-01-01T00:00:00Z", times=1)
    practice.run(ACCOUNT, "pull")
    assert practice.session.scalars(select(SetAside)).all() == []


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
    tally = write_page(practice.session, place, SITE, Page(items, "next", False))
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
