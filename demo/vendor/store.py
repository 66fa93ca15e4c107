"""What the vendor holds: records in the order of their change, and what people do to them later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.security import generate_password_hash

from demo.vendor.cursors import Cursors
from demo.vendor.tokens import Tokens, now

Record = dict[str, Any]

#: Feed name in the API -> where `fill` finds its records in an organization.
FEEDS = {"sites": "sites", "students": "students", "users": "users_feed", "session-notes": "notes"}
_NUMBER = {feed: number for number, feed in enumerate(FEEDS)}
NOTES = "session-notes"

_NEXT = "(SELECT coalesce(max(seq), 0) + 1 FROM record)"
_WRITE = f"""
INSERT INTO record (seq, organization, feed, id, twin, body, private)
VALUES ({_NEXT}, ?, ?, ?, ?, ?, ?)
ON CONFLICT (organization, feed, id) DO UPDATE SET
seq = excluded.seq, twin = excluded.twin, body = excluded.body, private = excluded.private
"""  # noqa: S608 - fixed text


class NoSuchRecord(LookupError):
    """No organization, or no record in that feed, has this id."""


@dataclass(frozen=True)
class Page:
    """One page of a feed; `items` are the records' JSON as it is stored."""

    items: list[bytes]
    cursor: str
    has_more: bool


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def twin_key(feed: str, record: Mapping[str, Any]) -> str | None:
    """What a second student or user may not share when it is created (contract, 409)."""
    members = {"students": ("firstName", "lastName", "dateOfBirth"), "users": ("email",)}.get(feed)
    if members is None:
        return None
    return json.dumps([str(record[member]).strip().casefold() for member in members])


class Store(Tokens):
    """The emulator's memory, in a SQLite file or in ":memory:". Safe for many threads."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        secret = self.row("SELECT value FROM setting WHERE name = 'secret'")
        assert secret is not None  # noqa: S101 - written when the file was opened
        self.cursors = Cursors(secret[0])

    def is_filled(self) -> bool:
        """Whether any organization is here."""
        return self.row("SELECT 1 FROM organization") is not None

    def fill(self, organizations: Iterable[Mapping[str, Any]]) -> None:
        """Load organizations in one transaction, each feed in the order of `modifiedAt`.

        An organization is `{id, name, users, sites, students, users_feed, notes}`: its users are
        logins `{id, username, password, email, role}`, the rest records as the contract has them.
        Raises ValueError where the store holds organizations already.
        """
        with self.transaction() as db:
            if self.is_filled():
                raise ValueError("the store is filled already")
            for number, given in enumerate(organizations, 1):
                db.execute(
                    "INSERT INTO organization VALUES (?, ?, ?)",
                    (number, given["id"], given["name"]),
                )
                db.executemany(
                    "INSERT INTO login VALUES (:username, :number, :id, :email, :role, :hash)",
                    [
                        {**user, "number": number, "hash": _hashed(user["password"])}
                        for user in given["users"]
                    ],
                )
                db.executemany(
                    "INSERT INTO record (organization, feed, id, twin, body) "
                    "VALUES (?, ?, ?, ?, ?)",
                    _rows(number, given),
                )

    def number(self, organization: str) -> int:
        """The organization's number in the file. Raises NoSuchRecord."""
        found = self.row("SELECT number FROM organization WHERE id = ?", organization)
        if found is None:
            raise NoSuchRecord(f"there is no organization {organization!r}")
        return int(found[0])

    def page(self, organization: str, feed: str, cursor: str | None, size: int) -> Page:
        """At most `size` records after `cursor`, None: the beginning. Raises CursorGone."""
        number = self.number(organization)
        after = self._place(number, feed, cursor)
        rows = self.rows(
            "SELECT seq, body FROM record WHERE organization = ? AND feed = ? AND seq > ? "
            "ORDER BY seq LIMIT ?",
            *(number, feed, after, size + 1),
        )
        end = rows[:size][-1][0] if rows else after
        cursor = self.cursors.write(number, _NUMBER[feed], end)
        return Page([body for _, body in rows[:size]], cursor, len(rows) > size)

    def same_place(self, organization: str, feed: str, cursor: str | None) -> str:
        """Another cursor for the place where this one (None: the beginning) leads."""
        number = self.number(organization)
        return self.cursors.write(number, _NUMBER[feed], self._place(number, feed, cursor))

    def _place(self, number: int, feed: str, cursor: str | None) -> int:
        return 0 if cursor is None else self.cursors.read(cursor, number, _NUMBER[feed])

    def get(self, organization: str, feed: str, record_id: str) -> Record:
        """A record, with what the API takes but never gives back. Raises NoSuchRecord."""
        found = self.row(
            "SELECT private, body FROM record WHERE organization = ? AND feed = ? AND id = ?",
            *(self.number(organization), feed, record_id),
        )
        if found is None:
            raise NoSuchRecord(f"there is no {record_id!r} among the {feed} of {organization}")
        return {**json.loads(found[0]), **json.loads(found[1])}

    def twin(self, organization: str, feed: str, record: Mapping[str, Any]) -> str | None:
        """The id of a record that this one would double, or None."""
        found = self.row(
            "SELECT id FROM record WHERE organization = ? AND feed = ? AND twin = ? ORDER BY id",
            *(self.number(organization), feed, twin_key(feed, record)),
        )
        return None if found is None else found[0]

    def put(
        self, organization: str, feed: str, record: Record, private: Sequence[str] = ()
    ) -> Record:
        """Write a record at the end of its feed, `modifiedAt` now; the record as the feed gives it.

        `private` names the members that are kept but never given back.
        """
        public = {name: record[name] for name in record if name not in private}
        public["modifiedAt"] = now()
        hidden = {name: record[name] for name in private if name in record}
        values = (record["id"], twin_key(feed, record), encode(public), json.dumps(hidden))
        with self.transaction() as db:
            db.execute(_WRITE, (self.number(organization), feed, *values))
        return public

    def change(self, organization: str, feed: str, record_id: str, **members: Any) -> Record:
        """Give a record other values: a renamed site, a corrected birth date, another zone."""
        with self.transaction():
            record = {**self.get(organization, feed, record_id), **members}
            return self.put(organization, feed, record, PRIVATE.get(feed, ()))

    def deactivate(self, organization: str, feed: str, record_id: str) -> Record:
        """Make a site, student or user inactive; the vendor never deletes them."""
        return self.change(organization, feed, record_id, active=False)

    def publish_note(self, organization: str, note: Mapping[str, Any]) -> Record:
        """A therapist publishes a new note: version 1, published now."""
        fresh = {"status": "published", "appointmentId": None, **note, "version": 1}
        return self.put(organization, NOTES, {**fresh, "publishedAt": now()})

    def edit_note(
        self,
        organization: str,
        note_id: str,
        values: Mapping[str, Any] | None = None,
        **members: Any,
    ) -> Record:
        """Publish a note again with other field values (by field name) or members: version + 1."""
        with self.transaction():
            note = self.get(organization, NOTES, note_id)
            members.setdefault("fields", with_values(note["fields"], values or {}))
            return self._next_version(note, organization, status="published", **members)

    def unpublish_note(self, organization: str, note_id: str) -> Record:
        """A therapist takes a note back: version + 1."""
        with self.transaction():
            note = self.get(organization, NOTES, note_id)
            return self._next_version(note, organization, status="unpublished")

    def delete_note(self, organization: str, note_id: str) -> Record:
        """A note is deleted: version + 1, its fields are gone, its place in the feed stays."""
        with self.transaction():
            note = self.get(organization, NOTES, note_id)
            return self._next_version(note, organization, status="deleted", fields=[])

    def _next_version(self, note: Record, organization: str, **members: Any) -> Record:
        if members["status"] == "published":
            members.setdefault("publishedAt", now())
        return self.put(organization, NOTES, {**note, **members, "version": note["version"] + 1})

    def answer_once(self, organization: str, path: str, key: str) -> tuple[int, bytes] | None:
        """Status and body of the first answer to this Idempotency-Key, or None."""
        sql = "SELECT status, body FROM answer WHERE organization = ? AND path = ? AND key = ?"
        return self.row(sql, self.number(organization), path, key)

    def keep_answer(self, organization: str, path: str, key: str, status: int, body: bytes) -> None:
        """Remember the first answer to an Idempotency-Key."""
        with self.transaction() as db:
            number = self.number(organization)
            db.execute(
                "INSERT INTO answer VALUES (?, ?, ?, ?, ?)", (number, path, key, status, body)
            )


#: Members that the API takes in writes and gives back nowhere.
PRIVATE = {"students": ("gender",), "users": ("phone", "address")}


def _hashed(password: str) -> str:
    # A light cost: the logins are invented, and every test's store hashes some.
    return generate_password_hash(password, "scrypt:1024:8:1")


def _rows(number: int, given: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for feed, member in FEEDS.items():
        for record in sorted(given[member], key=lambda record: record["modifiedAt"]):
            yield number, feed, record["id"], twin_key(feed, record), encode(record)


def with_values(fields: list[Record], values: Mapping[str, Any]) -> list[Record]:
    """The fields with some values replaced by name; other names are added as text."""
    changed = [
        {**field, "value": values[field["name"]]} if field["name"] in values else field
        for field in fields
    ]
    added = values.keys() - {field["name"] for field in fields}
    return changed + [
        {"name": name, "type": "text", "value": values[name]} for name in sorted(added)
    ]
