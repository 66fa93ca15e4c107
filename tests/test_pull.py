"""Pull: records and cursor move together; whatever the feed does, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
import time_machine
from sqlalchemy import func, select, text

from ensora_plugin.clock import utcnow
from ensora_plugin.errors import DatabaseFailed, EnsoraError, VendorBroke
from ensora_plugin.kinds import SITE
from ensora_plugin.models import (
    Feed,
    Note,
    Run,
)
from ensora_plugin.pull.reading import read_feed
from ensora_plugin.runs.runs import claim, create_run
from ensora_plugin.runs.sync import perform
from ensora_plugin.vendor.client import DataCollection
from ensora_plugin.vendor.pages import Page
from ensora_plugin.vendor.records import SiteIn, Whole, digest
from tests.five_students import NAMES, calm, five, forget_cursors, play, students
from tests.opened import Mortal, by_person, open_small
from tests.plans import statements
from tests.practices import Practice
from tests.small import ACCOUNT, ORGANIZATION


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    with open_small(sqlite_url, five(), ENSORA_PAGE_SIZE="2") as practice:
        yield practice


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
    with pytest.raises(DatabaseFailed):
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


def test_a_feed_with_nothing_new_costs_one_request_and_no_row(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull")
    before = practice.session.execute(select(Feed.kind, Feed.cursor, Feed.moved_at)).all()
    journal = practice.emulator.extensions["emulator"].journal
    journal.clear()
    practice.session.rollback()
    with statements(practice.state.engine) as sent:
        run = practice.run(ACCOUNT, "pull")
    asked = [entry["path"] for entry in journal.entries()]
    feeds = ("/v1/sites", "/v1/students", "/v1/users", "/v1/session-notes")
    assert [asked.count(path) for path in feeds] == [1, 1, 1, 1]
    # Only the run itself is written down.
    written = [one.split()[2 if one.startswith("INSERT") else 1] for one in sent if wrote(one)]
    assert {name.strip('"') for name in written} == {
        *("ensora_run", "ensora_run_count", "ensora_connection"),
    }
    assert practice.session.execute(select(Feed.kind, Feed.cursor, Feed.moved_at)).all() == before
    assert practice.counts(run)["note"].fetched == 0
    # A cursor does not stay good for ever.
    practice.session.rollback()
    with time_machine.travel(utcnow() + timedelta(days=2)):
        practice.run(ACCOUNT, "pull")
    after = practice.session.execute(select(Feed.kind, Feed.cursor, Feed.moved_at)).all()
    assert {row.kind for row in after} == {row.kind for row in before}
    assert set(after).isdisjoint(before)


def wrote(statement: str) -> bool:
    return statement.startswith(("INSERT", "UPDATE", "DELETE"))


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


class Pages:
    """A feed of a page a cursor, as a function of its number gives its records and whether more
    are promised.
    """

    def __init__(self, page: Callable[[int], tuple[list[str], bool]]) -> None:
        self.of_number = page
        self.read = 0

    def page(self, _kind: str, cursor: str | None, _size: int) -> Page[Any]:
        number = int(cursor or 0)
        names, more = self.of_number(number)
        items = [
            Whole(SiteIn(name, "Northside", True, utcnow()), digest(f"{name} {number}".encode()))
            for name in names
        ]
        return Page(items, str(number + 1), more, cursor)

    def read_all(self) -> None:
        vendor = cast(DataCollection, self)
        for _page in read_feed(vendor, SITE, None, 100, lambda _page: None):
            self.read += 1


def test_empty_pages_among_others_are_no_feed_without_an_end() -> None:
    feed = Pages(lambda number: ([] if number % 4 == 3 else [f"site-{number}"], number < 39))
    feed.read_all()
    assert feed.read == 40


def test_records_that_all_change_while_they_are_read_come_again_and_the_feed_ends() -> None:
    feed = Pages(lambda number: ([f"site-{number % 100}"], number < 250))
    feed.read_all()
    assert feed.read == 251


def test_a_feed_that_brings_the_same_records_in_ever_newer_states_ends_in_words() -> None:
    feed = Pages(lambda number: ([f"site-{number % 3}"], True))
    with pytest.raises(VendorBroke, match="does not come to an end"):
        feed.read_all()
    assert feed.read < 300


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


def test_a_feed_that_goes_back_in_versions_and_promises_more_ends_in_words(
    practice: Practice,
) -> None:
    practice.store.edit_note(ORGANIZATION, "note-1", {"Notes": "Better."})
    practice.run(ACCOUNT, "pull")
    forget_cursors(practice)
    play(practice, "older_after_newer", "session-notes")
    play(practice, "same_cursor", "session-notes")
    error = failed_pull(practice)
    assert isinstance(error, VendorBroke)
    assert "session notes" in str(error)
    assert "does not come to an end" in str(error)
    assert practice.session.scalars(select(Note.version)).all() == [2]
    assert practice.session.scalars(select(Note.template)).all() == ["SOAP"]
    calm(practice)
    assert practice.counts(practice.run(ACCOUNT, "pull"))["note"].changed == 0


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
