"""A vendor whose records move while they are read, whose clock steps, or who has nothing left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from demo.host.models import Appointment
from ensora_plugin.models import Note
from tests.canonical import canonical, sha256
from tests.meddling import RENDERED, appointment, change, hours, rows
from tests.opened import open_small
from tests.practices import Practice
from tests.small import ACCOUNT, DAY, ORGANIZATION, OTHER, draft
from tests.watch import Watch


@pytest.fixture
def practice(database_url: str, tmp_path: Path) -> Iterator[Practice]:
    vendor = tmp_path / "vendor.db"
    with open_small(database_url, hours(6), vendor=vendor, ENSORA_PAGE_SIZE="2") as practice:
        yield practice


@pytest.fixture
def watch(practice: Practice, tmp_path: Path) -> Watch:
    # No account may be left that was never pulled.
    practice.run(OTHER)
    return Watch(practice.state.engine, tmp_path / "vendor.db")


class Between(httpx2.BaseTransport):
    """Lets something happen at the vendor after each page of notes."""

    def __init__(self, inner: httpx2.BaseTransport | None, happen: Callable[[int], None]) -> None:
        assert inner is not None
        self.inner, self.happen, self.pages = inner, happen, 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("session-notes"):
            self.happen(self.pages)
            self.pages += 1
        return self.inner.handle_request(request)


def test_notes_that_move_while_they_are_read_are_seen_twice_and_never_missed(
    practice: Practice, watch: Watch
) -> None:
    store = practice.store

    def move(page: int) -> None:
        if page == 1:
            # One that was read, one that was not, and one that is new.
            store.edit_note(ORGANIZATION, "note-1", {"Notes": "Anew"})
            store.edit_note(ORGANIZATION, "note-5", {"Notes": "Anew"})
            store.publish_note(ORGANIZATION, {"id": "late", **draft("17:00", "17:50", DAY)})
        if page == 2:
            store.delete_note(ORGANIZATION, "note-2")

    practice.state.transport = Between(practice.state.transport, move)
    run = practice.run()
    found = practice.session.execute(select(Note.vendor_id, Note.version))
    assert {row.vendor_id: row.version for row in found} == {
        **{f"note-{n}": 1 for n in (3, 4, 6)},
        **{"note-1": 2, "note-2": 2, "note-5": 2, "late": 1},
    }
    counts = practice.counts(run)["note"]
    # Two of the three that moved had been read before.
    assert (counts.fetched, counts.new, counts.changed) == (9, 7, 2)
    assert watch.at_rest() == []


@pytest.mark.parametrize("moment", ["2031-01-01T00:00:00Z", "1999-01-01T00:00:00Z"])
def test_the_vendors_clock_decides_nothing_about_notes(
    practice: Practice, watch: Watch, moment: str
) -> None:
    practice.run()
    store = practice.store
    with store.transaction() as db:
        # As the vendor's own clock would write it: the latest change, an odd time.
        edited = store.edit_note(ORGANIZATION, "note-1", {"Notes": "By another clock"})
        body = httpx2.Response(200, json=edited | {"modifiedAt": moment}).content
        db.execute("UPDATE record SET body = ? WHERE id = 'note-1'", (body,))
    practice.run()
    assert rows(practice)["note-1", 2] == RENDERED
    store.edit_note(ORGANIZATION, "note-1", {"Notes": "By the old one again"})
    practice.run()
    assert rows(practice)["note-1", 3] == RENDERED
    assert watch.at_rest() == []


def test_what_is_taken_back_or_edited_counts_until_it_was_applied_or_locked(
    practice: Practice, watch: Watch
) -> None:
    store = practice.store
    practice.run(ACCOUNT, "pull")
    assert watch.at_rest() == []
    store.delete_note(ORGANIZATION, "note-1")
    store.unpublish_note(ORGANIZATION, "note-2")
    store.edit_note(ORGANIZATION, "note-3", {"Notes": "Before it was applied"})
    practice.run()
    assert watch.at_rest() == []
    applied = {("note-3", 2): RENDERED} | {(f"note-{n}", 1): RENDERED for n in (4, 5, 6)}
    assert rows(practice) == applied
    assert [appointment(practice, n).results_notes for n in (1, 2)] == ["", ""]
    assert appointment(practice, 3).results_notes == "Before it was applied"

    change(practice, update(Appointment).where(Appointment.id == 6).values(locked=True))
    store.delete_note(ORGANIZATION, "note-4")
    store.unpublish_note(ORGANIZATION, "note-5")
    store.edit_note(ORGANIZATION, "note-6", {"Notes": "After the lock"})
    practice.run()
    assert watch.at_rest() == []
    assert rows(practice) == applied | {("note-6", 2): ("refused", False, ["locked"])}
    for id, text in ((4, "Hour 12"), (5, "Hour 13"), (6, "Hour 14")):
        one = appointment(practice, id)
        assert (one.status, one.results_notes) == ("rendered", text)


def empty(environ: Any, start: Any) -> list[bytes]:
    """A vendor who has nothing at all, and says so in the best of forms."""
    if environ["PATH_INFO"] == "/v1/tokens/current":
        body: Any = {"organization": {"id": ORGANIZATION, "name": "North"}}
    else:
        body = {"items": [], "cursor": "nothing", "hasMore": False}
    start("200 OK", [("Content-Type", "application/json")])
    return [httpx2.Response(200, json=body).content]


def test_a_vendor_who_suddenly_has_nothing_takes_nothing_away(practice: Practice) -> None:
    practice.run()
    engine, sealer = practice.state.engine, practice.state.sealer
    before = sha256(canonical(engine, sealer))
    practice.session.rollback()
    practice.state.transport = httpx2.WSGITransport(app=empty)
    run = practice.run()
    assert run.state == "done"
    assert all(count.fetched == 0 for count in practice.counts(run).values())
    practice.session.rollback()
    assert sha256(canonical(engine, sealer)) == before
