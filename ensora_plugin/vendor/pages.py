"""Pages of the vendor's feeds, and what can be told of one that cannot be read."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from ..errors import AnswerUnreadable
from .records import Broken, T, Whole, digest, id_of, read_record

S = TypeVar("S")


class Page(Struct, Generic[T], frozen=True):
    """A page of a feed; `cursor` is where the next read goes on, on the last page too.

    `asked` is the cursor that it was asked for with, None for the feed's beginning. A page that is
    `stuck` names one record that hides where the next read would go on.
    """

    items: list[Whole[T] | Broken]
    cursor: str | None
    has_more: bool
    asked: str | None = None
    stuck: bool = False


class _RawPage(Struct, rename="camel"):
    items: list[msgspec.Raw]
    cursor: Annotated[str, Meta(min_length=1, max_length=512)]
    has_more: bool


def read_page(content: bytes, kind: str, asked: str | None, size: int) -> Page[Any]:
    """Read a page of a kind's feed that was asked for with a cursor and a size.

    Raises `AnswerUnreadable` where it is no JSON of a page's shape. A page of one record is only
    its frame and that record: where the frame can be read, the record is `Broken`.
    """
    try:
        raw = decode(content, _RawPage)
    except AnswerUnreadable:
        if size == 1 and (page := _one_unreadable(content, asked)):
            return page
        raise
    items = [
        read_record(item, kind, partial(place_name, asked, position))
        for position, item in enumerate(raw.items)
    ]
    return Page(items, raw.cursor, raw.has_more, asked)


def decode(content: bytes, struct: type[S]) -> S:
    """Decode an answer; raises `AnswerUnreadable` where it is no JSON of that shape."""
    # The decoder refuses a whole page for half a surrogate pair in one record, so a second look
    # puts NUL in its place, for which that record alone is set aside.
    for mend in (bytes, _without_half_pairs):
        try:
            return msgspec.json.decode(mend(content), type=struct)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    raise AnswerUnreadable(
        "Ensora Data Collection sent an answer that cannot be read; "
        "the next pull tries again by itself."
    )


_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


def _without_half_pairs(content: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: rb"\u0000" if found["half"] else found[0], content)


#: The frame of a page, its members in the order of the contract, around whatever the record is.
_FRAME = re.compile(
    rb'\s*\{\s*"items"\s*:\s*\[(?P<item>.*)\]\s*,'
    rb'\s*"cursor"\s*:\s*(?P<cursor>"(?:[^"\\]|\\.)*")\s*,'
    rb'\s*"hasMore"\s*:\s*(?P<more>true|false)\s*\}\s*',
    re.DOTALL,
)
_FIRST_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*(?P<id>"[^"\\]+")\s*,')


def _one_unreadable(content: bytes, asked: str | None) -> Page[Any] | None:
    """Read the frame around a record that is no JSON; None where the frame cannot be told."""
    frame = _FRAME.fullmatch(content)
    if frame is None:
        return None
    try:
        framed = b'{"items":[],"cursor":%b,"hasMore":%b}' % (frame["cursor"], frame["more"])
        raw = decode(framed, _RawPage)
    except AnswerUnreadable:
        return None
    named = _FIRST_ID.match(frame["item"])
    vendor_id = id_of(b'{"id":%b}' % named["id"]) if named else None
    reason = "is no JSON that can be read"
    broken = Broken(vendor_id, reason) if vendor_id else unreadable_after(asked, reason)
    return Page([broken], raw.cursor, raw.has_more, asked)


def unreadable_after(cursor: str | None, reason: str) -> Broken:
    """Name a record whose id cannot be known by its place, the cursor after which it stands."""
    return Broken(place_name(cursor), f"stands {_after(cursor)} and {reason}"[:255])


def place_name(cursor: str | None, position: int = 0) -> str:
    """Return what stands for the id of the unreadable record after a cursor, so many behind it."""
    place = f"{cursor or ''}\x1f{position}" if position else cursor or ""
    return f"place:{digest(place.encode()).hex()}"


def _after(cursor: str | None) -> str:
    """Say in words where a record stands that comes right after a cursor."""
    if cursor is None:
        return "first in its feed"
    return f"after the cursor {cursor if len(cursor) <= 120 else cursor[:120] + '…'}"
