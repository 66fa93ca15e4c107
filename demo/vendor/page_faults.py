"""Faults in what a feed's page says: its cursor, its order, its records."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from demo.vendor.store import Page

#: Stands in a record for bytes that no JSON encoder would write.
_RAW = "@raw@"
#: The member of a record that holds free text.
_TEXT = {"sites": "name", "students": "lastName", "users": "lastName", "session-notes": "template"}


@dataclass
class FeedPage:
    """A page that can be spoiled. `asked` is the request's cursor, None at the feed's beginning."""

    feed: str
    asked: str | None
    items: list[dict[str, Any]]
    cursor: str | None
    has_more: bool
    #: Gives a new cursor for the place that this request asked for.
    same_place: Callable[[], str] = str
    #: What the rule remembers from one request to the next.
    memory: list[str] = field(default_factory=list)
    #: Written where a record has the stand-in.
    raw: bytes = b""

    @classmethod
    def read(cls, page: Page, feed: str, asked: str | None) -> FeedPage:
        """The page with its records decoded."""
        items = [json.loads(item) for item in page.items]
        return cls(feed, asked, items, page.cursor, page.has_more)

    def as_bytes(self) -> bytes:
        """The page as it is sent. Escapes let NUL and half surrogate pairs through."""
        page = {"items": self.items, "cursor": self.cursor, "hasMore": self.has_more}
        body = json.dumps(page, separators=(",", ":")).encode()
        return body.replace(json.dumps(_RAW).encode(), self.raw)

    def chosen(self, index: int | None) -> list[dict[str, Any]]:
        """The record at that place, all of them for None, none where the page is shorter."""
        return self.items if index is None else self.items[index : index + 1]

    def write_text(self, value: str, index: int | None) -> None:
        """Put a text into the free text of the chosen records."""
        for record in self.chosen(index):
            record[_TEXT[self.feed]] = value


def duplicate_page(page: FeedPage) -> None:
    """The page comes again: its cursor is a new one, but leads to where this page began."""
    page.cursor, page.has_more = page.same_place(), True


def same_cursor(page: FeedPage) -> None:
    """The cursor never advances: the answer has the very text that was asked with."""
    if page.asked is None and not page.memory:
        page.memory.append(page.same_place())
    page.cursor = page.memory[0] if page.asked is None else page.asked
    page.has_more = True


def looping_cursor(page: FeedPage, length: int = 3) -> None:
    """After `length` pages the cursors come round again, text for text."""
    if len(page.memory) < length and page.cursor is not None:
        page.memory.append(page.cursor)
    else:
        place = page.memory.index(page.asked) if page.asked in page.memory else -1
        page.cursor = page.memory[(place + 1) % len(page.memory)]
    page.has_more = True


def empty_with_more(page: FeedPage) -> None:
    """No records, and yet there is more; nothing is lost when the fault ends."""
    page.items, page.cursor, page.has_more = [], page.same_place(), True


def null_cursor(page: FeedPage) -> None:
    """The cursor is null."""
    page.cursor = None


def empty_feed(page: FeedPage) -> None:
    """As if the feed had nothing."""
    page.items, page.cursor, page.has_more = [], page.same_place(), False


def older_after_newer(page: FeedPage) -> None:
    """Each record that has an earlier state comes again with it, after the newer one.

    Notes of version 1 have none. Other records get a `modifiedAt` of the day before.
    """
    for record in copy.deepcopy(page.items):
        if page.feed == "session-notes" and record["version"] == 1:
            continue
        if page.feed == "session-notes":
            record["version"] -= 1
        earlier = datetime.fromisoformat(record["modifiedAt"]) - timedelta(days=1)
        record["modifiedAt"] = earlier.isoformat().replace("+00:00", "Z")
        record[_TEXT[page.feed]] += " (earlier)"
        page.items.append(record)


def same_version_other_content(page: FeedPage, index: int | None = 0) -> None:
    """A record comes again with the same version and `modifiedAt`, but with another text."""
    for record in copy.deepcopy(page.chosen(index)):
        record[_TEXT[page.feed]] += " (otherwise)"
        page.items.append(record)


def member(page: FeedPage, member: str, value: Any, index: int | None = 0) -> None:
    """A member has this value, whatever the contract says of it."""
    for record in page.chosen(index):
        record[member] = value


def missing_member(page: FeedPage, member: str = "modifiedAt", index: int | None = 0) -> None:
    """A member is not there."""
    for record in page.chosen(index):
        record.pop(member, None)


def unknown_kind(page: FeedPage, index: int | None = 0) -> None:
    """A note's status, or a user's type, is none of those in the contract; elsewhere `active`."""
    name = {"session-notes": "status", "users": "type"}.get(page.feed, "active")
    member(page, name, "archived", index)


def impossible_date(page: FeedPage, index: int | None = 0) -> None:
    """A birth date, a note's date, elsewhere `modifiedAt`: a day that no calendar has."""
    for record in page.chosen(index):
        if page.feed == "students":
            record["dateOfBirth"] = "2015-02-29"
        elif page.feed == "session-notes":
            for entry in record["fields"]:
                if entry["type"] == "date":
                    entry["value"] = "2015-02-29"
        else:
            record["modifiedAt"] = "2015-02-29T25:61:00Z"


def long_name(page: FeedPage, length: int = 300, index: int | None = 0) -> None:
    """A name of so many characters."""
    page.write_text("n" * length, index)


def oversize_note(page: FeedPage, mebibytes: int = 2, index: int | None = 0) -> None:
    """A text of so many MiB: a note's field, elsewhere a name."""
    huge = "x" * (mebibytes << 20)
    if page.feed != "session-notes":
        page.write_text(huge, index)
        return
    for record in page.chosen(index):
        record["fields"].append({"name": "Notes", "type": "text", "value": huge})


def nul_byte(page: FeedPage, index: int | None = 0) -> None:
    """A name with U+0000 in it."""
    page.write_text("be\x00tween", index)


def lone_surrogate(page: FeedPage, index: int | None = 0) -> None:
    """A name with half a surrogate pair: right in JSON, wrong in UTF-8."""
    page.write_text("half \ud800", index)


def invalid_utf8(page: FeedPage, index: int | None = 0) -> None:
    """A name with bytes that are no UTF-8."""
    page.write_text(_RAW, index)
    page.raw = b'"\xff\xfe\xc3("'


def huge_integer(page: FeedPage, digits: int = 5000, index: int | None = 0) -> None:
    """A whole number of so many digits: a note's version, elsewhere `active`."""
    member(page, "version" if page.feed == "session-notes" else "active", _RAW, index)
    page.raw = b"9" * digits


def broken_json(
    page: FeedPage, record: str, member: str = "modifiedAt", written: str = "soon"
) -> None:
    """Wherever the record of this id stands, a member's value is written so, which is no JSON."""
    for found in page.items:
        if found["id"] == record:
            found[member], page.raw = _RAW, written.encode()


def swollen(page: FeedPage, record: str, mebibytes: int = 65) -> None:
    """Wherever the record of this id stands, it has a text of so many MiB."""
    for index, found in enumerate(page.items):
        if found["id"] == record:
            oversize_note(page, mebibytes, index)


#: Faults by name. The first argument is the page, the others are the rule's `args`.
PAGE_FAULTS: dict[str, Callable[..., None]] = {
    fault.__name__: fault
    for fault in (
        *(duplicate_page, same_cursor, looping_cursor, empty_with_more, null_cursor, empty_feed),
        *(older_after_newer, same_version_other_content, member, missing_member, unknown_kind),
        *(impossible_date, long_name, oversize_note, nul_byte, lone_surrogate, invalid_utf8),
        *(huge_integer, broken_json, swollen),
    )
}
