"""The four change feeds."""

from __future__ import annotations

import re

from flask import Blueprint, Response, g, request

from demo.vendor.handshake import require_token, require_user_agent
from demo.vendor.page_faults import PAGE_FAULTS, FeedPage
from demo.vendor.problems import Invalid
from demo.vendor.requests import emulator, json_answer, store
from demo.vendor.store import Page, encode

bp = Blueprint("feeds", __name__)

DEFAULT_SIZE, MAX_SIZE, MAX_CURSOR = 20, 100, 512


def asked_size() -> int:
    """The parameter `size`, 20 where it is missing; 422 outside of 1 to 100."""
    given = request.args.get("size", str(DEFAULT_SIZE))
    # Five digits are more than enough to be out of bounds, and never too many for int().
    if not re.fullmatch(r"[0-9]{1,5}", given) or not 1 <= int(given) <= MAX_SIZE:
        raise Invalid([("size", f"must be a whole number from 1 to {MAX_SIZE}")])
    return int(given)


def asked_cursor() -> str | None:
    """The parameter `cursor`, None where it is missing; 422 beyond 512 characters."""
    cursor = request.args.get("cursor")
    if cursor is not None and len(cursor) > MAX_CURSOR:
        raise Invalid([("cursor", f"must have at most {MAX_CURSOR} characters")])
    return cursor


def as_bytes(page: Page) -> bytes:
    """The page as JSON: the records' bytes as they are stored, joined."""
    more = b"true" if page.has_more else b"false"
    items = b",".join(page.items)
    return b'{"items":[%b],"cursor":%b,"hasMore":%b}' % (items, encode(page.cursor), more)


def spoiled(page: Page, feed: str, cursor: str | None) -> bytes:
    """The page after the fault that the scenario has for this request."""
    turn = g.turn
    spoiling = FeedPage.read(page, feed, cursor)
    spoiling.same_place = lambda: store().same_place(g.organization, feed, cursor)
    spoiling.memory = turn.memory
    PAGE_FAULTS[turn.fault](spoiling, **turn.args)
    return spoiling.as_bytes()


@bp.get("/v1/<any(sites, students, users, 'session-notes'):feed>")
def read_feed(feed: str) -> Response:
    """A page of a feed: what changed after the cursor, oldest change first."""
    require_user_agent()
    require_token()
    cursor, size = asked_cursor(), asked_size()
    page = store().page(g.organization, feed, cursor, min(size, emulator().page_limit))
    if g.turn is not None and g.turn.fault in PAGE_FAULTS:
        return json_answer(spoiled(page, feed, cursor))
    return json_answer(as_bytes(page))
