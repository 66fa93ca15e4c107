"""When an appointment may be rendered: every rule of the host, each with its code and words.

Rendered means completed, the gate to payroll and billing, so nothing here is left to the caller.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Date, bindparam, func, select
from sqlalchemy.orm import Session

from .models import Agency, Appointment, AppointmentSignature, Authorization

SERVICE = "service"
SCHEDULED, CANCELLED, RENDERED = "scheduled", "cancelled", "rendered"


#: Code -> who can mend it; a session that is not over yet passes by itself.
MENDED_BY = {
    "notes_required": "therapist",
    "therapist_signature_missing": "therapist",
    "guardian_signature_missing": "therapist",
    "cancelled": "scheduler",
    "not_a_service": "scheduler",
    "overlap": "scheduler",
    "no_authorization": "biller",
    "authorization_hours_used_up": "biller",
    "period_locked": "biller",
    "locked": "biller",
    "client_terminated": "administrator",
    "staff_inactive": "administrator",
}


class Refusal(NamedTuple):
    """Why something was not done: a code that stays the same, and words for people."""

    code: str
    text: str

    @property
    def mended_by(self) -> str | None:
        """Who can mend it, None where nobody has to."""
        return MENDED_BY.get(self.code)


def validate(session: Session, appointment: Appointment, *, now: datetime) -> list[Refusal]:
    """Return everything that stands in the way of rendering at `now` (aware)."""
    return [
        *locks(appointment),
        *_facts(appointment),
        *_signatures(appointment),
        *_people(appointment),
        *_time(session, appointment, now),
        *_hours(session, appointment),
    ]


def locks(appointment: Appointment) -> list[Refusal]:
    """Return why nothing of the appointment may change: locked by hand, or in a closed period."""
    found = []
    if appointment.locked:
        found.append(Refusal("locked", "The appointment is locked."))
    for name, until in closed_periods(appointment.agency):
        if is_closed(appointment.date, until):
            text = f"The {name} period is locked up to {until:%d %b %Y}."
            found.append(Refusal("period_locked", text))
    return found


def closed_periods(agency: Agency) -> list[tuple[str, date | None]]:
    """Return the agency's periods by name, each with the last day that is closed to change."""
    return [("payroll", agency.payroll_locked_until), ("billing", agency.billing_locked_until)]


def is_closed(day: date, until: date | None) -> bool:
    return until is not None and day <= until


def _facts(appointment: Appointment) -> list[Refusal]:
    found = []
    if appointment.status == CANCELLED:
        found.append(Refusal("cancelled", "The appointment is cancelled."))
    if appointment.kind != SERVICE:
        found.append(Refusal("not_a_service", "This is not a service appointment."))
    if appointment.notes_required and not appointment.results_notes.strip():
        found.append(Refusal("notes_required", "Results Notes are required and empty."))
    return found


def _signatures(appointment: Appointment) -> list[Refusal]:
    window = appointment.signature or AppointmentSignature()
    found = []
    if not window.therapist_signature or window.therapist_blank:
        found.append(
            Refusal("therapist_signature_missing", "The therapist's signature is missing.")
        )
    if appointment.agency.guardian_signature_required and (
        not window.guardian_signature or window.guardian_blank
    ):
        text = f"The guardian's signature is missing; {appointment.agency.name} requires it."
        found.append(Refusal("guardian_signature_missing", text))
    return found


def _people(appointment: Appointment) -> list[Refusal]:
    client_end, staff_end = appointment.client.terminated_on, appointment.staff.inactive_from
    found = []
    if client_end is not None and appointment.date > client_end:
        text = f"The client's services ended on {client_end:%d %b %Y}."
        found.append(Refusal("client_terminated", text))
    if staff_end is not None and appointment.date > staff_end:
        text = f"The staff member's employment ended on {staff_end:%d %b %Y}."
        found.append(Refusal("staff_inactive", text))
    return found


def _time(session: Session, appointment: Appointment, now: datetime) -> list[Refusal]:
    start, end = span(appointment, appointment.agency.time_zone)
    found = []
    if end > now:
        found.append(Refusal("not_over_yet", "The session is not over yet."))
    # Agencies may lie in different time zones: instants are compared, and the days beside too.
    day = timedelta(days=1)
    rows = session.execute(
        _BESIDE,
        {
            "of_staff": appointment.staff_id,
            "first": appointment.date - day,
            "last": appointment.date + day,
            "apart_from": appointment.id,
        },
    )
    for row in rows:
        other_start, other_end = span(row, row.time_zone)
        if start < other_end and other_start < end:
            text = (
                f"It overlaps another rendered appointment of {appointment.staff}, "
                f"{row.start:%H:%M} to {row.end:%H:%M}."
            )
            found.append(Refusal("overlap", text))
            break
    return found


#: The rendered appointments of a staff member on some days. Statements are built once: building
#: them costs as much as asking the database.
_BESIDE = (
    select(Appointment.date, Appointment.start, Appointment.end, Agency.time_zone)
    .join(Agency, Agency.id == Appointment.agency_id)
    .where(Appointment.staff_id == bindparam("of_staff"))
    .where(Appointment.date.between(bindparam("first"), bindparam("last")))
    .where(Appointment.status == RENDERED, Appointment.id != bindparam("apart_from"))
)


def _hours(session: Session, appointment: Appointment) -> list[Refusal]:
    about = {"of_client": appointment.client_id, "day": appointment.date}
    authorizations = session.scalars(_COVERING, about).all()
    if not authorizations:
        text = f"No authorization covers {appointment.date:%d %b %Y}."
        return [Refusal("no_authorization", text)]
    wanted = minutes(appointment)
    for authorization in authorizations:
        used = used_minutes(session, authorization, apart_from=appointment.id)
        if used + wanted <= round(authorization.hours * 60):
            return []
    numbers = ", ".join(authorization.number for authorization in authorizations)
    return [
        Refusal("authorization_hours_used_up", f"The hours of authorization {numbers} are used up.")
    ]


def used_minutes(
    session: Session, authorization: Authorization, *, apart_from: int | None = None
) -> int:
    """Sum the client's rendered minutes within the authorization, `apart_from` one appointment."""
    rows = session.execute(
        _USED,
        {
            "of_client": authorization.client_id,
            "first": authorization.starts_on,
            "last": authorization.ends_on,
            "apart_from": apart_from or 0,
        },
    )
    return sum(minutes(row) * row.many for row in rows)


#: Equal hours come again and again, so they are counted rather than fetched one by one.
_USED = (
    select(Appointment.start, Appointment.end, func.count().label("many"))
    .where(Appointment.client_id == bindparam("of_client"))
    .where(Appointment.date.between(bindparam("first"), bindparam("last")))
    .where(Appointment.status == RENDERED, Appointment.id != bindparam("apart_from"))
    .group_by(Appointment.start, Appointment.end)
)
_COVERING = (
    select(Authorization)
    .where(Authorization.client_id == bindparam("of_client"))
    .where(Authorization.starts_on <= bindparam("day", type_=Date))
    .where(Authorization.ends_on >= bindparam("day", type_=Date))
)


def minutes(row: Any) -> int:
    """Return the planned length of an appointment (anything with start and end), in minutes."""
    return (row.end.hour - row.start.hour) * 60 + row.end.minute - row.start.minute


def span(row: Any, time_zone: str) -> tuple[datetime, datetime]:
    """Return start and end of an appointment (anything with date, start, end), in UTC."""
    zone = ZoneInfo(time_zone)
    start, end = (
        datetime.combine(row.date, at, tzinfo=zone).astimezone(UTC) for at in (row.start, row.end)
    )
    return start, end
