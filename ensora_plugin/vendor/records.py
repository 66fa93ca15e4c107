"""The vendor's records: JSON in, structs with our names for their members out.

A record that breaks the contract comes out as `Broken`, and its neighbours are whole. What the
records look like is written down in `docs/vendor-api.yaml`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from ..clock import as_utc, utcnow

#: Nowhere is it so much later than in UTC.
_FURTHEST_EAST = timedelta(hours=14)

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(max_length=255)]


class SiteIn(Struct, rename="camel"):
    """A site as the feed has it."""

    id: Id
    name: Name
    active: bool
    modified_at: datetime


class StudentIn(Struct, rename="camel"):
    """A student as the feed has it; `date_of_birth` is checked by `checked_date`."""

    id: Id
    site_id: Id
    first_name: Name
    last_name: Name
    date_of_birth: str
    time_zone: Annotated[str, Meta(max_length=64)]
    active: bool
    modified_at: datetime


class UserIn(Struct, rename="camel"):
    """A user as the feed has it."""

    id: Id
    type: Literal["Employee", "Parent"]
    site_ids: list[Id]
    first_name: Name
    last_name: Name
    email: Name
    active: bool
    modified_at: datetime
    title: Name = ""


class FieldIn(Struct):
    """A SOAP field; the shape of `value` depends on `type` and is read by `soap.py`."""

    name: str
    type: Literal["text", "number", "date", "time", "choice", "choices", "location", "signature"]
    value: Any = None


class NoteIn(Struct, rename="camel"):
    """A session note as the feed has it."""

    id: Id
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    status: Literal["published", "unpublished", "deleted"]
    site_id: Id
    student_id: Id
    user_id: Id
    template: Name
    fields: list[FieldIn]
    modified_at: datetime
    appointment_id: Annotated[str, Meta(max_length=64)] | None = None
    published_at: datetime | None = None


T = TypeVar("T", SiteIn, StudentIn, UserIn, NoteIn)


class Whole(Struct, Generic[T], frozen=True, gc=False):
    """A record that keeps the contract, with the checksum of its document."""

    record: T
    checksum: bytes


class Broken(Struct, frozen=True, gc=False):
    """A record that breaks the contract: its id, or the name of its place, and the broken rule."""

    vendor_id: str
    reason: str


class _OnlyId(Struct):
    id: Any = None


#: What decodes the records of each kind.
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "site": msgspec.json.Decoder(SiteIn),
    "student": msgspec.json.Decoder(StudentIn),
    "user": msgspec.json.Decoder(UserIn),
    "note": msgspec.json.Decoder(NoteIn),
}


def digest(content: bytes) -> bytes:
    """Return the checksum by which documents are compared."""
    return hashlib.blake2b(content, digest_size=16).digest()


def read_record(raw: msgspec.Raw, kind: str, place: Callable[[], str]) -> Whole[Any] | Broken:
    """Decode one record; what breaks the contract is described without quoting a value, and named
    by its place where its id cannot be read.
    """
    document = bytes(raw)
    checksum = digest(document)
    try:
        record = _DECODERS[kind].decode(document)
        _check(record, document)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Broken(id_of(document) or place(), _reason(error))
    return Whole(record, checksum)


def _check(record: Any, document: bytes) -> None:
    """Hold what a struct cannot say; a ValueError names member and rule, never the value."""
    if b"\\u0000" in document and any("\0" in text for text in _texts(msgspec.to_builtins(record))):
        raise ValueError("holds a NUL character or half a surrogate pair")
    _check_moment(record.modified_at)
    if isinstance(record, NoteIn):
        _check_moment(record.published_at)
        for field in record.fields:
            # Most values are texts, which need no look.
            if type(field.value) is not str and not _is_plain(field.value):
                raise ValueError("a field's value is nested too deep, or a number too large")
    if isinstance(record, StudentIn):
        born = checked_date(record.date_of_birth)
        if born is None or born > utcnow() + _FURTHEST_EAST:
            raise ValueError("dateOfBirth is no date of the form YYYY-MM-DD from 1900 to today")


def _check_moment(moment: datetime | None) -> None:
    # Only another zone's first and last day can lie beyond the years that there are.
    if moment is not None and moment.tzinfo is not UTC:
        try:
            as_utc(moment)
        except OverflowError:
            raise ValueError("holds a time beyond the years that there are") from None


def _is_plain(value: Any, levels: int = 8) -> bool:
    """Tell whether a value of any shape is one that every reader of it can walk through."""
    kind = type(value)
    if kind is int:
        return bool(-_WIDEST < value < _WIDEST)
    if kind is not dict and kind is not list:
        return True
    if levels == 0:
        return False
    for item in value.values() if kind is dict else value:
        # Most are texts and short numbers, which need no look of their own.
        if type(item) not in _FLAT and not _is_plain(item, levels - 1):
            return False
    return True


_FLAT = frozenset((str, float, bool, type(None)))
#: Integers of more than 64 bits are read by few.
_WIDEST = 2**63


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def checked_date(value: object) -> datetime | None:
    """Return midnight of a strict YYYY-MM-DD between 1900 and 2999, or None."""
    return _date(value) if isinstance(value, str) and len(value) == 10 else None


@lru_cache(maxsize=4096)
def _date(text: str) -> datetime | None:
    if not re.fullmatch(r"(19|2\d)\d\d-\d\d-\d\d", text, re.ASCII):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def id_of(document: bytes) -> str | None:
    """Read nothing but a record's id; None where there is none that can be shown."""
    try:
        found = msgspec.json.decode(document, type=_OnlyId).id
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    sound = isinstance(found, str) and 1 <= len(found) <= 64 and found.isprintable()
    return found if sound else None


def _reason(error: Exception) -> str:
    """Keep the member and the rule of a decoder's message; an invalid value is quoted in it."""
    text = str(error)
    if text.startswith("Invalid enum value "):
        # The value may look like the rest of the message, which is its end.
        _, at, member = text.rpartition(" - at `$")
        text = f"Unknown value{at}{member}" if at else "Unknown value"
    return text[:255]
