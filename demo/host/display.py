"""How the host's pages write days, times and states; templates never decide on words or tones."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import NamedTuple

from flask import Flask

from . import clock
from .models import Appointment
from .rules import CANCELLED, RENDERED, SCHEDULED, SERVICE, locks, minutes


class Chip(NamedTuple):
    """A short state: its words and its tone (a class of the stylesheet)."""

    label: str
    tone: str


STATUS = {
    SCHEDULED: Chip("Scheduled", "none"),
    RENDERED: Chip("Rendered", "ok"),
    CANCELLED: Chip("Cancelled", "bad"),
}
KINDS = {SERVICE: "Service", "meeting": "Meeting", "training": "Training", "travel": "Travel"}
ACTIVE, INACTIVE = Chip("Active", "ok"), Chip("Inactive", "none")


def status(appointment: Appointment) -> Chip:
    return STATUS.get(appointment.status, Chip(appointment.status, "none"))


def kind(appointment: Appointment) -> str:
    return KINDS.get(appointment.kind, appointment.kind.capitalize())


def is_rendered(appointment: Appointment) -> bool:
    return appointment.status == RENDERED


def locked(appointment: Appointment) -> bool:
    """Say whether it is closed to change, by hand or by a period."""
    return bool(locks(appointment))


def active(flag: bool) -> Chip:
    return ACTIVE if flag else INACTIVE


def day(value: date | None) -> str:
    """14 Mar 2017, or a dash."""
    return f"{value.day} {value:%b %Y}" if value else "–"


def weekday(value: date) -> str:
    """Thu 19 Nov 2026."""
    return f"{value:%a} {day(value)}"


def hours(count: float) -> str:
    """Minutes as hours: 1.5 h."""
    return f"{count / 60:,.2f}".rstrip("0").rstrip(".") + " h"


def span(start: time | None, end: time | None) -> str:
    """09:00–11:00, or nothing."""
    return f"{start:%H:%M}–{end:%H:%M}" if start and end else ""


def moment(value: datetime | None, time_zone: str) -> str:
    """A column's moment on the wall clock of the agency."""
    if value is None:
        return ""
    there = clock.local(value, time_zone)
    return f"{weekday(there)}, {there:%H:%M}"


#: What Flask-Admin says of a form -> the same in this site's words.
_SAID = {
    "Record was successfully created.": "Saved.",
    "Record was successfully saved.": "Saved.",
    "Failed to create record.": "Nothing is saved yet; see below what is missing or wrong.",
    "Failed to save record.": "Nothing is saved yet; see below what is missing or wrong.",
}


def said(message: str) -> str:
    """A message to the person, in this site's words."""
    return _SAID.get(message, message)


def init_app(app: Flask) -> None:
    """Offer the functions to templates as filters of the same names."""
    for function in (
        status,
        kind,
        is_rendered,
        locked,
        active,
        day,
        weekday,
        hours,
        span,
        moment,
        minutes,
        said,
    ):
        app.add_template_filter(function, f"host_{function.__name__}")
