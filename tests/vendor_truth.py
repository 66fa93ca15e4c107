"""What the emulator's file says that there is, against what was stored of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection as Db

from demo.vendor.cursors import CursorGone, Cursors

_FEEDS = {"site": "sites", "student": "students", "user": "users", "note": "session-notes"}


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the emulator's file for reading."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as vendor:
        yield vendor


def connected(db: Db) -> list[Any]:
    """Return (account's id, organization) of every account that was ever connected."""
    question = "SELECT id, organization_id FROM ensora_connection WHERE state <> 'activated'"
    return [tuple(row) for row in db.execute(text(question))]


#: (feed, id) -> place in the feed, and version or time of change.
Sent = dict[tuple[str, str], tuple[int, str]]


def _sent(vendor: sqlite3.Connection, organization: str) -> Sent:
    """Return what the vendor has of an organization."""
    rows = vendor.execute(
        "SELECT feed, record.id, seq, body FROM record JOIN organization "
        "ON organization.number = record.organization WHERE organization.id = ?",
        (organization,),
    )
    return {(feed, id): (seq, _state(json.loads(body))) for feed, id, seq, body in rows}


def _state(record: dict[str, Any]) -> str:
    return str(record["version"]) if "version" in record else record["modifiedAt"][:19]


def _stored(db: Db, account_id: int, kind: str) -> dict[str, str]:
    state = "version" if kind == "note" else "modified_at"
    rows = db.execute(
        text(f"SELECT vendor_id, {state} AS state FROM ensora_{kind} WHERE account_id = :id"),  # noqa: S608
        {"id": account_id},
    )
    return {row.vendor_id: str(row.state)[:19].replace(" ", "T") for row in rows}


def incomplete(db: Db, vendor: sqlite3.Connection, account_id: int, organization: str) -> list[str]:
    """Tell what of the vendor's is not here, once, in its latest state (I-05, I-06)."""
    found, sent = [], _sent(vendor, organization)
    for kind, feed in _FEEDS.items():
        theirs = {id: state for (of, id), (_, state) in sent.items() if of == feed}
        ours = _stored(db, account_id, kind)
        lost = sorted(theirs.items() - ours.items())[:3]
        found += [f"I-05: {kind} {id} is not here as {state}" for id, state in lost]
        found += [f"I-06: {kind} {id} came from nowhere" for id in sorted({*ours} - {*theirs})]
    return found


def ahead(db: Db, vendor: sqlite3.Connection, account_id: int, organization: str) -> list[str]:
    """Tell what stands before a stored cursor and is not here (I-12)."""
    (secret,) = vendor.execute("SELECT value FROM setting WHERE name = 'secret'").fetchone()
    (number,) = vendor.execute(
        "SELECT number FROM organization WHERE id = ?", (organization,)
    ).fetchone()
    cursors = db.execute(
        text("SELECT kind, cursor FROM ensora_feed WHERE account_id = :id"), {"id": account_id}
    ).all()
    sent, found = _sent(vendor, organization), []
    # What breaks the contract is told to people instead.
    aside = {
        (row.kind, row.vendor_id)
        for row in db.execute(
            text("SELECT kind, vendor_id FROM ensora_set_aside WHERE account_id = :id"),
            {"id": account_id},
        )
    }
    for at, (kind, feed) in enumerate(_FEEDS.items()):
        for row in cursors:
            if row.kind != kind or row.cursor is None:
                continue
            try:
                place = Cursors(secret).read(row.cursor, number, at)
            except CursorGone:
                found.append(f"I-12: {kind}: {row.cursor!r} is none of the vendor's")
                continue
            behind = {id for (of, id), (seq, _) in sent.items() if of == feed and seq <= place}
            here = {(kind, id) for id in _stored(db, account_id, kind)} | aside
            lost = {id for id in behind if (kind, id) not in here}
            found += [f"I-12: {kind} {id} stands before the cursor and is not here" for id in lost]
    return found
