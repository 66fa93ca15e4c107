"""A page that cannot be read as a whole is narrowed down to one record, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from ensora_plugin.errors import VendorBroke
from ensora_plugin.models import Note, Run, SetAside
from ensora_plugin.vendor.pages import place_name
from tests.opened import open_small
from tests.practices import Practice
from tests.served import over_http
from tests.small import ACCOUNT, ORGANIZATION, Small

IDS = [f"note-{number}" for number in range(1, 46)]


@pytest.fixture
def practice(sqlite_url: str) -> Iterator[Practice]:
    small = Small()
    small.trio()
    for _ in IDS:
        small.note()
    with open_small(sqlite_url, small) as practice, over_http(practice):
        yield practice


def play(practice: Practice, *rules: dict[str, Any]) -> None:
    played = [{"match": {"feed": "session-notes"}, **rule} for rule in rules]
    practice.emulator.extensions["emulator"].scenario.play(played)


def stored(practice: Practice) -> list[str]:
    return list(practice.session.scalars(select(Note.vendor_id).order_by(Note.id)))


def aside(practice: Practice) -> dict[str, str]:
    rows = practice.session.scalars(select(SetAside).where(SetAside.kind == "note"))
    return {row.vendor_id: row.reason for row in rows}


def sizes(practice: Practice) -> list[str]:
    """The sizes that pages of notes were asked for with."""
    entries = practice.emulator.extensions["emulator"].journal.entries()
    asked = [entry["query"] for entry in entries if entry["path"] == "/v1/session-notes"]
    return [query.split("size=")[1].split("&")[0] for query in asked]


def failed(practice: Practice) -> str:
    with pytest.raises(VendorBroke):
        practice.run(ACCOUNT, "pull")
    run = practice.session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert run is not None
    assert run.state == "failed"
    return str(run.error_text)


def test_a_record_that_is_no_json_is_named_and_everything_around_it_lands(
    practice: Practice,
) -> None:
    play(practice, {"fault": "broken_json", "args": {"record": "note-38"}})
    count = practice.counts(practice.run(ACCOUNT, "pull"))["note"]
    assert (count.fetched, count.new, count.set_aside) == (45, 44, 1)
    assert stored(practice) == [one for one in IDS if one != "note-38"]
    assert aside(practice) == {"note-38": "is no JSON that can be read"}
    narrowing = ["100", "20", "20", "5", "5", "5", "5", "1", "1", "1"]
    # What is left of the page of five comes one by one as well.
    assert sizes(practice) == [*narrowing, "1", "1", "100"]
    play(practice)
    practice.store.edit_note(ORGANIZATION, "note-38", {"Notes": "Mended."})
    practice.run(ACCOUNT, "pull")
    assert sorted(stored(practice)) == sorted(IDS)
    assert aside(practice) == {}


@pytest.mark.parametrize("record", ["note-1", "note-45"])
def test_it_may_stand_first_or_last(practice: Practice, record: str) -> None:
    play(practice, {"fault": "broken_json", "args": {"record": record}})
    practice.run(ACCOUNT, "pull")
    assert stored(practice) == [one for one in IDS if one != record]
    assert list(aside(practice)) == [record]


def test_a_record_without_a_readable_id_is_named_by_its_place(practice: Practice) -> None:
    args = {"record": "note-3", "member": "id", "written": "3x"}
    play(practice, {"fault": "broken_json", "args": args})
    practice.run(ACCOUNT, "pull")
    assert stored(practice) == [one for one in IDS if one != "note-3"]
    ((name, reason),) = aside(practice).items()
    assert name.startswith("place:")
    assert reason.startswith("stands after the cursor ")
    assert reason.endswith(" and is no JSON that can be read")


def test_a_record_that_cannot_be_passed_fails_the_run_in_words_and_what_is_before_it_lands(
    practice: Practice,
) -> None:
    play(practice, {"fault": "swollen", "args": {"record": "note-8"}})
    told = failed(practice)
    assert "feed of session notes" in told
    assert "is over 64 MiB, behind note-7." in told
    assert stored(practice) == IDS[:7]
    ((name, reason),) = aside(practice).items()
    assert name.startswith("place:")
    assert "after the cursor" in reason
    assert "is over 64 MiB" in reason
    # The next pull begins there, and says so again.
    assert "is over 64 MiB" in failed(practice)
    assert list(aside(practice)) == [name]
    play(practice)
    practice.run(ACCOUNT, "pull")
    assert stored(practice) == IDS
    assert aside(practice) == {}


def test_an_answer_that_is_never_readable_fails_at_the_feeds_beginning(practice: Practice) -> None:
    play(practice, {"fault": "utf16"})
    told = failed(practice)
    assert "stands first in its feed and cannot be read" in told
    assert stored(practice) == []
    assert list(aside(practice)) == [place_name(None)]
    # Only the smallest page is tried again: 3 times, as the settings of the tests have it.
    assert sizes(practice) == ["100", "20", "5", "1", "1", "1"]
    play(practice)
    practice.run(ACCOUNT, "pull")
    assert stored(practice) == IDS
    assert aside(practice) == {}


def test_a_page_that_is_broken_only_once_comes_whole_in_narrower_ones(practice: Practice) -> None:
    play(practice, {"fault": "truncated_json", "times": 1})
    practice.run(ACCOUNT, "pull")
    assert stored(practice) == IDS
    assert aside(practice) == {}
    assert sizes(practice) == ["100", "20", "20", "20"]
