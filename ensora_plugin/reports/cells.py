"""What stands in a cell of a report: a value with a type, out of a row of either side.

On the host's side a row has no record of the vendor where nothing stands for the entity. What
belongs to another agency of the host is said so, and not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from ..automap.reasons import REASONS
from ..kinds import Kind
from ..listing.rendering_words import refusals_said, rendering_said
from ..listing.row_words import apart, day_text, remark, time_text, why_text
from ..text import SEPARATOR

#: What a cell holds; a bool reads Yes or No.
Value = str | int | bool | date | datetime | time | None
Cell = Callable[[Any], Value]

ELSEWHERE = "another agency"


def screen_text(value: Value) -> str:
    """Return a value as people read it."""
    match value:
        case None:
            return ""
        case bool():
            return "Yes" if value else "No"
        case datetime():
            return f"{day_text(value)}, {value:%H:%M}"
        case date():
            return day_text(value)
        case time():
            return time_text(value)
    return str(value)


def plain_text(value: Value) -> str:
    """Return a value as programs read it: days and times in ISO form."""
    match value:
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case date():
            return value.isoformat()
    return screen_text(value)


def of_record(name: str) -> Cell:
    """Return the cell of a column of the vendor's record, or of what stands beside it."""
    return lambda row: getattr(row, name) if _stands(row) else None


def minute_of_record(name: str) -> Cell:
    """Return the cell of minutes since midnight."""

    def cell(row: Any) -> Value:
        minute = getattr(row, name) if _stands(row) else None
        return None if minute is None else time(*divmod(minute, 60))

    return cell


def of_entity(name: str) -> Cell:
    """Return the cell of a column of the host's entity, if it is of the actor's agencies."""
    return lambda row: getattr(row, name) if _within(row) else None


def host_id(row: Any) -> Value:
    if row.host_id is None:
        return None
    return str(row.host_id) if _within(row) else ELSEWHERE


def _stands(row: Any) -> bool:
    return row.vendor_id is not None


def _within(row: Any) -> bool:
    return row.host_id is not None and bool(row.within)


def names(column: str) -> Cell:
    """Return the cell of several names that a row holds as one text."""

    def cell(row: Any) -> Value:
        told = getattr(row, column)
        return ", ".join(sorted(told.split(SEPARATOR))) if told else None

    return cell


def people(of: str) -> Cell:
    """Return the cell of a note's student or user."""

    def cell(row: Any) -> Value:
        first, last = getattr(row, f"{of}_first"), getattr(row, f"{of}_last")
        return f"{first or ''} {last or ''}".strip() or None

    return cell


def client_or_staff(of: str) -> Cell:
    """Return the cell of an appointment's client or staff."""
    named = people(of)
    return lambda row: named(row) if _within(row) else None


def active(row: Any) -> Value:
    return ("active" if row.active else "inactive") if _stands(row) else None


def entity_active(row: Any) -> Value:
    if not _within(row) or row.entity_active is None:
        return None
    return "active" if row.entity_active else "inactive"


def appointment_status(row: Any) -> Value:
    if not _within(row) or row.entity_id is None:
        return None
    return "scheduled" if row.entity_eligible else "cancelled or no service"


def mapped(row: Any) -> Value:
    return row.state in ("auto", "user")


def mapping(row: Any) -> Value:
    return row.state.capitalize() if row.state else None


def mapped_by(row: Any) -> Value:
    return row.by or ("Automap" if row.state == "auto" else None)


def why(kind: Kind) -> Cell:
    """Return the cell that says why a record is not mapped, or an entity has no record."""

    def cell(row: Any) -> Value:
        if row.state == "ignored":
            return f"{REASONS['ignored']}: {row.reason}"
        if row.state:
            return None
        if not _stands(row):
            return f"No {kind.noun.lower()} stands for it"
        return why_text(kind, row) or None

    return cell


def remarks(kind: Kind) -> Cell:
    """Return the cell that says what is to be remarked of a mapping."""

    def cell(row: Any) -> Value:
        if not _stands(row) or not mapped(row):
            return None
        return remark(kind, row, row.entity_id is None, not row.within) or None

    return cell


def minutes(which: int) -> Cell:
    """Return the cell of the minutes that note and appointment start (0) or end (1) apart."""

    def cell(row: Any) -> Value:
        if not _stands(row) or not mapped(row) or not _within(row):
            return None
        told = apart(row, "entity")
        return told[which] if told else None

    return cell


def rendered(row: Any) -> Value:
    if not _within(row):
        return None
    if _stands(row) and mapped(row):
        return rendering_said(row).text
    return "Rendered" if row.entity_rendered else None


def rendered_at(row: Any) -> Value:
    at: datetime = row.rendering_at
    return at if _within(row) and row.rendering == "rendered" else None


def refusals(row: Any) -> Value:
    if not _within(row) or row.rendering not in ("refused", "failed"):
        return None
    return refusals_said(row.refusals) or None
