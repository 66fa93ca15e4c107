"""When an appointment may be rendered: every rule of the host, each with its code and words.

Rendered means completed, the gate to payroll and billing, so nothing here is left to the caller.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Date, and_, bindparam, func, select
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
    covering = authorized(
        session, appointment.client_id, day=appointment.date, apart_from=appointment.id
    )
    if not covering:
        text = f"No authorization covers {appointment.date:%d %b %Y}."
        return [Refusal("no_authorization", text)]
    wanted = minutes(appointment)
    if any(used + wanted <= round(one.hours * 60) for one, used in covering):
        return []
    numbers = ", ".join(one.number for one, _ in covering)
    return [
        Refusal("authorization_hours_used_up", f"The hours of authorization {numbers} are used up.")
    ]


def authorized(
    session: Session, client_id: int, *, day: date | None = None, apart_from: int | None = None
) -> list[tuple[Any, int]]:
    """Return a client's authorizations, those of a day or all, the latest first, each with its
    rendered minutes, `apart_from` one appointment.
    """
    statement = _AUTHORIZED if day is None else _COVERING
    about = {"of_client": client_id, "day": day, "apart_from": apart_from or 0}
    found: dict[int, tuple[Any, int]] = {}
    for row in session.execute(statement, about):
        used = minutes(row) * row.many if row.start is not None else 0
        found[row.id] = (row, used + (found[row.id][1] if row.id in found else 0))
    return list(found.values())


#: Equal hours come again and again, so they are counted rather than fetched one by one.
_AUTHORIZED = (
    select(
        Authorization.id,
        Authorization.number,
        Authorization.starts_on,
        Authorization.ends_on,
        Authorization.hours,
        Appointment.start,
        Appointment.end,
        func.count().label("many"),
    )
    .outerjoin(
        Appointment,
        and_(
            Appointment.client_id == Authorization.client_id,
            Appointment.date.between(Authorization.starts_on, Authorization.ends_on),
            Appointment.status == RENDERED,
            Appointment.id != bindparam("apart_from"),
        ),
    )
    .where(Authorization.client_id == bindparam("of_client"))
    .group_by(Authorization.id, Appointment.start, Appointment.end)
    .order_by(Authorization.starts_on.desc(), Authorization.id)
)
_DAY = bindparam("day", type_=Date)
_COVERING = _AUTHORIZED.where(Authorization.starts_on <= _DAY, Authorization.ends_on >= _DAY)


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
