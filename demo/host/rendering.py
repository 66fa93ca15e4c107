"""The two verbs by which a session note renders an appointment or lets go of it.

Both flush and never commit: whoever calls them decides what belongs into one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.orm import Session

from .clock import stored
from .models import Appointment, AppointmentSignature
from .rules import RENDERED, SCHEDULED, Refusal, locks, validate

if TYPE_CHECKING:
    from ensora_plugin.host.port import NoteView, Signature


SIGNERS = ("guardian", "therapist")


class Outcome(NamedTuple):
    """What a verb did: the note is stored (or taken out); it is rendered now; why not."""

    stored: bool
    rendered: bool
    refusals: Sequence[Refusal] = ()


def render(session: Session, appointment: Appointment, note: NoteView, *, now: datetime) -> Outcome:
    """Write the note into the appointment, then render it if it validates.

    A locked appointment is not touched. A version that is there already is not written again; a
    later one that no longer validates takes the rendering back: only what validates may be billed.
    """
    holds = _holds(appointment, note)
    if holds and appointment.status == RENDERED:
        return Outcome(True, True)
    if refusals := locks(appointment):
        return Outcome(holds, appointment.status == RENDERED, refusals)
    if not holds:
        _store(appointment, note)
    refusals = complete(session, appointment, now=now)
    if refusals and appointment.status == RENDERED:
        reopen(session, appointment)
    return Outcome(True, not refusals, refusals)


def withdraw(session: Session, appointment: Appointment, note: NoteView) -> Outcome:
    """Take the note's text and signatures out and the rendering back, unless it is locked.

    Where another note, or none, stands in the appointment there is nothing to take out.
    """
    window = appointment.signature
    if window is None or window.source != note.vendor_id:
        return Outcome(True, appointment.status == RENDERED)
    if refusals := locks(appointment):
        return Outcome(False, appointment.status == RENDERED, refusals)
    _take_out(appointment, window)
    reopen(session, appointment)
    return Outcome(True, appointment.status == RENDERED)


def complete(session: Session, appointment: Appointment, *, now: datetime) -> list[Refusal]:
    """Set the appointment rendered if it validates; return the refusals."""
    # The rules ask the database only about other appointments, so one flush at the end will do.
    with session.no_autoflush:
        refusals = validate(session, appointment, now=now)
    if not refusals and appointment.status != RENDERED:
        appointment.status = RENDERED
        appointment.rendered_at = stored(now)
    session.flush()
    return refusals


def reopen(session: Session, appointment: Appointment) -> None:
    """Take a rendering back; any other status stays."""
    if appointment.status == RENDERED:
        appointment.status = SCHEDULED
        appointment.rendered_at = None
    session.flush()


def _holds(appointment: Appointment, note: NoteView) -> bool:
    window = appointment.signature
    return window is not None and (
        window.source,
        window.source_version,
        window.source_checksum,
    ) == (note.vendor_id, note.version, note.checksum)


def _store(appointment: Appointment, note: NoteView) -> None:
    """Write Results Notes and the nine facts; the one location serves all three."""
    window = appointment.signature or AppointmentSignature()
    appointment.signature = window
    if not window.source:
        window.typed_before = appointment.results_notes
    appointment.results_notes = note.text
    appointment.render_location = note.location
    window.source, window.source_version = note.vendor_id, note.version
    window.source_checksum = note.checksum
    window.guardian_name, window.relationship_to_client = note.guardian_name, note.relationship
    window.session_date, window.session_start, window.session_end = (
        note.session_date,
        note.start,
        note.end,
    )
    window.guardian_location = window.therapist_location = note.location
    _sign(window, "guardian", note.guardian_signature)
    _sign(window, "therapist", note.therapist_signature)


def _take_out(appointment: Appointment, window: AppointmentSignature) -> None:
    """Leave the appointment as it was before the note: what people typed and signed by hand."""
    appointment.results_notes, appointment.render_location = window.typed_before, ""
    for who in SIGNERS:
        _sign(window, who, None)
    if not any(getattr(window, f"{who}_by_hand") for who in SIGNERS):
        appointment.signature = None
        return
    window.source, window.source_version, window.typed_before = "", 0, ""
    window.source_checksum = ""
    window.guardian_name = window.relationship_to_client = ""
    window.guardian_location = window.therapist_location = ""
    window.session_date = window.session_start = window.session_end = None


def _sign(window: AppointmentSignature, who: str, signature: Signature | None) -> None:
    """Write a signature of a note. One made by hand gives place to ink alone, and comes back."""
    ink = signature is not None and not signature.blank
    by_hand, before = getattr(window, f"{who}_by_hand"), getattr(window, f"{who}_before")
    if by_hand and not ink:
        return
    if by_hand and not getattr(window, f"{who}_blank"):
        setattr(window, f"{who}_before", getattr(window, f"{who}_signature"))
        setattr(window, f"{who}_before_at", getattr(window, f"{who}_signed_at"))
    if before and not ink:
        png, blank, at = before, False, getattr(window, f"{who}_before_at")
        setattr(window, f"{who}_before", None)
        setattr(window, f"{who}_before_at", None)
    elif signature is not None:
        png, blank, at = signature.png, signature.blank, stored(signature.signed_at)
    else:
        png, blank, at = None, False, None
    setattr(window, f"{who}_by_hand", bool(before) and not ink)
    setattr(window, f"{who}_signature", png)
    setattr(window, f"{who}_blank", blank)
    setattr(window, f"{who}_signed_at", at)
