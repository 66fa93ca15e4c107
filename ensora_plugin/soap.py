"""SOAP fields -> what a note means. Names and their order of preference are the domain's (SOAP
fields).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from .clock import as_utc
from .text import text_key
from .vendor import FieldIn, checked_date

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


@dataclass(frozen=True)
class Signed:
    """A signature as the vendor sent it: a data URL, not yet looked at, and when it was signed
    (UTC).
    """

    image: str
    signed_at: datetime | None


@dataclass(frozen=True)
class Soap:
    """What the fields of a note mean. `date`, `start`, `end` are None where they cannot be read.

    `start` and `end` are minutes since midnight in the student's zone; seconds are dropped (domain:
    Automap).
    """

    date: date | None
    start: int | None
    end: int | None
    notes: str
    guardian_name: str
    relationship: str
    location: str
    therapist_signature: Signed | None
    guardian_signature: Signed | None

    @property
    def readable(self) -> bool:
        """Whether date and times are there and the end comes after the start."""
        return (
            self.date is not None
            and self.start is not None
            and self.end is not None
            and self.end > self.start
        )


def field_key(name: str) -> str:
    """Return a field's name as names compare: like other text, a trailing ':' or '*' dropped."""
    return text_key(re.sub(r"[\s:*]+$", "", text_key(name)))


def read_soap(fields: Sequence[FieldIn]) -> Soap:
    """Read the fields of a note. Where a name comes twice the first with a value counts."""
    values: dict[str, Any] = {}
    for field in fields:
        if not _is_empty(field.value):
            values.setdefault(field_key(field.name), field.value)

    def value(meaning: str) -> Any:
        return next((values[name] for name in NAMES[meaning] if name in values), None)

    day = checked_date(value("date"))
    return Soap(
        date=day.date() if day else None,
        start=_minutes(value("start")),
        end=_minutes(value("end")),
        notes=_text(value("notes")),
        guardian_name=_text(value("guardian_name")),
        relationship=_text(value("relationship")),
        location=_location(value("location")),
        therapist_signature=_signed(value("therapist_signature")),
        guardian_signature=_signed(value("guardian_signature")),
    )


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {})


def _minutes(value: Any) -> int | None:
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
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


def _signed(value: Any) -> Signed | None:
    if not isinstance(value, dict):
        return None
    image = value.get("image")
    if not isinstance(image, str) or not image.strip():
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
