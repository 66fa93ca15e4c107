"""SOAP fields -> what a note means. Names and their order are the domain's (SOAP fields)."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import msgspec

from ..clock import as_utc
from ..text import text_key
from ..vendor.records import FieldIn, checked_date

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(:[0-5]\d)?", re.ASCII)

#: Meaning -> names in order of preference, as `field_key` gives them.
NAMES: dict[str, tuple[str, ...]] = {
    "date": ("date",),
    "start": ("start time",),
    "end": ("end time",),
    "notes": ("notes",),
    "therapist_signature": ("therapist signature", "signature"),
    "guardian_name": ("guardian name", "caregiver name", "parent name"),
    "guardian_signature": ("guardian signature", "caregiver signature", "parent signature"),
    "relationship": ("relationship",),
    "location": ("location",),
}

#: Name -> its meaning, and its rank among the names of that meaning.
_PLACES = {
    name: (meaning, rank) for meaning, names in NAMES.items() for rank, name in enumerate(names)
}


@dataclass(frozen=True)
class Signed:
    """A signature as the vendor sent it: a data URL, not looked at yet, and when it was (UTC)."""

    image: str
    signed_at: datetime | None


@dataclass(frozen=True)
class _Times:
    """When a session was; None what cannot be read.

    `start` and `end` are minutes since midnight in the student's zone; seconds are dropped (domain:
    Automap).
    """

    date: date | None
    start: int | None
    end: int | None

    @property
    def readable(self) -> bool:
        """Whether date and times are there and the end comes after the start."""
        return (
            self.date is not None
            and self.start is not None
            and self.end is not None
            and self.end > self.start
        )


@dataclass(frozen=True)
class Session(_Times):
    """What automap and lists read of a note: when the session was, and who signed."""

    therapist_signed: bool
    guardian_signed: bool


@dataclass(frozen=True)
class Soap(_Times):
    """What the fields of a note mean."""

    notes: str
    guardian_name: str
    relationship: str
    location: str
    therapist_signature: Signed | None
    guardian_signature: Signed | None


#: A template's field names come again with each of its notes; longer forms are not worth keeping.
_LONGEST_KEPT = 2000


def field_key(name: str) -> str:
    """Return a field's name as names compare: like other text, a trailing ':' or '*' dropped."""
    return text_key(text_key(name).rstrip(" :*"))


def meaning_of(name: str) -> str | None:
    """Return what a field of this name means; None where it means nothing."""
    place = _PLACES.get(field_key(name))
    return place[0] if place else None


#: Meaning -> where in a note the fields that have it stand, in order of preference.
_Form = dict[str, tuple[int, ...]]


def _form_of(names: tuple[str, ...]) -> _Form:
    ranked: dict[str, list[tuple[int, int]]] = {}
    for at, name in enumerate(names):
        if place := _PLACES.get(field_key(name)):
            meaning, rank = place
            ranked.setdefault(meaning, []).append((rank, at))
    return {meaning: tuple(at for _, at in sorted(places)) for meaning, places in ranked.items()}


_kept_form = lru_cache(maxsize=256)(_form_of)


def read_soap(fields: Sequence[FieldIn]) -> Soap:
    """Read the fields of a note. Where a name comes twice the first with a value counts."""
    found = _by_meaning(fields)
    value = found.get
    session = _session(found)
    return Soap(
        date=session.date,
        start=session.start,
        end=session.end,
        notes=_text(value("notes")),
        guardian_name=_text(value("guardian_name")),
        relationship=_text(value("relationship")),
        location=_location(value("location")),
        therapist_signature=_signed(value("therapist_signature")),
        guardian_signature=_signed(value("guardian_signature")),
    )


def read_session(fields: Sequence[FieldIn]) -> Session:
    """Read of the fields of a note what automap and lists want to know."""
    return _session(_by_meaning(fields, _OF_SESSION))


def _session(found: dict[str, Any]) -> Session:
    day = checked_date(found.get("date"))
    return Session(
        date=day.date() if day else None,
        start=_minutes(found.get("start")),
        end=_minutes(found.get("end")),
        therapist_signed=_image(found.get("therapist_signature")) is not None,
        guardian_signed=_image(found.get("guardian_signature")) is not None,
    )


#: The meanings that `_session` asks for.
_OF_SESSION = frozenset(("date", "start", "end", "therapist_signature", "guardian_signature"))


def _by_meaning(fields: Sequence[FieldIn], wanted: Container[str] = NAMES) -> dict[str, Any]:
    """Return meaning -> value, of the fields that have a wanted meaning and are not empty."""
    names = tuple([field.name for field in fields])
    form = _kept_form(names) if sum(map(len, names)) <= _LONGEST_KEPT else _form_of(names)
    found: dict[str, Any] = {}
    for meaning, places in form.items():
        for at in places if meaning in wanted else ():
            value = fields[at].value
            if not _is_empty(meaning, value):
                found[meaning] = value
                break
    return found


def _is_empty(meaning: str, value: Any) -> bool:
    if meaning.endswith("_signature"):
        return _image(value) is None
    if isinstance(value, str):
        return not value or value.isspace()
    if meaning == "location":
        return not _location(value).strip()
    return value is None or value in ([], {})


def _minutes(value: Any) -> int | None:
    text = value.strip() if isinstance(value, str) else ""
    return _time(text) if len(text) <= len("HH:MM:SS") else None


@lru_cache(maxsize=2048)
def _time(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    return int(found[1]) * 60 + int(found[2]) if found else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return "" if value is None else msgspec.json.encode(value).decode()


def _location(value: Any) -> str:
    """Return a location in one line: its label, else the position in degrees."""
    if not isinstance(value, dict):
        return _text(value)
    parts = [value["label"].strip()] if isinstance(value.get("label"), str) else []
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if isinstance(latitude, int | float) and isinstance(longitude, int | float):
        position = f"{latitude:.5f}, {longitude:.5f}"
        if isinstance(value.get("accuracy"), int | float):
            position += f" (within {value['accuracy']:.0f} m)"
        parts.append(position)
    return " · ".join(filter(None, parts))


def _image(value: Any) -> str | None:
    image = value.get("image") if isinstance(value, dict) else None
    return image if isinstance(image, str) and not image.isspace() and image else None


def _signed(value: Any) -> Signed | None:
    image = _image(value)
    if image is None:
        return None
    try:
        signed_at = as_utc(msgspec.convert(value.get("signedAt"), datetime))
    except (msgspec.ValidationError, OverflowError):
        # OverflowError: within a day of the years that there are.
        signed_at = None
    return Signed(image.strip(), signed_at)


def content_bytes(fields: Sequence[FieldIn]) -> bytes:
    """Return the fields of a note as bytes to seal; `content_fields` is the way back."""
    return msgspec.json.encode(fields)


def content_fields(content: bytes) -> list[FieldIn]:
    """Return the fields that `content_bytes` made bytes of."""
    return msgspec.json.decode(content, type=list[FieldIn])
