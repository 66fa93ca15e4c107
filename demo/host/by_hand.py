"""What a person may do to an appointment on its page: each a verb that says why it was not done.

Verbs flush and never commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from .models import Appointment
from .rendering import complete, reopen
from .rules import CANCELLED, RENDERED, SCHEDULED, Refusal, locks

Verb = Callable[[Session, Appointment, datetime], list[Refusal]]


def render(session: Session, appointment: Appointment, now: datetime) -> list[Refusal]:
    """Render it if it validates."""
    return complete(session, appointment, now=now)


def unrender(session: Session, appointment: Appointment, now: datetime) -> list[Refusal]:
    """Take the rendering back unless the appointment is locked."""
    if refusals := locks(appointment):
        return refusals
    reopen(session, appointment)
    return []


def cancel(session: Session, appointment: Appointment, now: datetime) -> list[Refusal]:
    """Cancel it unless it is locked or rendered."""
    if appointment.status == RENDERED:
        return [Refusal("rendered", "The appointment is rendered; un-render it first.")]
    return _set_status(session, appointment, CANCELLED)


def reinstate(session: Session, appointment: Appointment, now: datetime) -> list[Refusal]:
    """Take a cancellation back unless the appointment is locked."""
    if appointment.status != CANCELLED:
        return [Refusal("not_cancelled", "The appointment is not cancelled.")]
    return _set_status(session, appointment, SCHEDULED)


def lock(session: Session, appointment: Appointment, now: datetime) -> list[Refusal]:
    """Close it to every change."""
    appointment.locked = True
    session.flush()
    return []


def unlock(session: Session, appointment: Appointment, now: datetime) -> list[Refusal]:
    """Open what was locked by hand; a locked period stays."""
    appointment.locked = False
    session.flush()
    return []


def _set_status(session: Session, appointment: Appointment, status: str) -> list[Refusal]:
    if refusals := locks(appointment):
        return refusals
    appointment.status = status
    session.flush()
    return []


@dataclass(frozen=True)
class Action:
    """A button of the appointment page."""

    name: str
    label: str
    done: str
    verb: Verb
    #: Whether the button is shown for the appointment as it is.
    offered: Callable[[Appointment], bool]
    tone: str = ""


ACTIONS = (
    Action(
        "render",
        "Render",
        "Rendered.",
        render,
        lambda one: one.status == SCHEDULED,
        "primary",
    ),
    Action("unrender", "Un-render", "Un-rendered.", unrender, lambda one: one.status == RENDERED),
    Action("cancel", "Cancel", "Cancelled.", cancel, lambda one: one.status == SCHEDULED, "bad"),
    Action("reinstate", "Reinstate", "Reinstated.", reinstate, lambda one: one.status == CANCELLED),
    Action("lock", "Lock", "Locked.", lock, lambda one: not one.locked),
    Action("unlock", "Unlock", "Unlocked.", unlock, lambda one: one.locked),
)
