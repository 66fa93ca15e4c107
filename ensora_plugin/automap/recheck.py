"""Which unmapped notes of the last days may map now, where the host did not say what it changed.

Beside a note stands what automap saw of its appointments. What the host's SELECT gives now is
compared with that by the database, and only the notes for which it differs are tried again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    case,
    cast,
    false,
    func,
    inspect,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from ..database import AnySelect, AnySession
from ..dialect import as_host_id, as_text, by_code_point, days_later, minute_of_day, pinned_join
from ..kinds import SITE, STUDENT, USER, Kind
from ..models import Mapping, Note, Student
from .note_candidates import holder, holds
from .trying import touch

#: The reasons that what the host does to its appointments may change; for others a note is touched.
_OF_APPOINTMENTS = (
    "ambiguous",
    "appointment_cancelled",
    "no_appointment_that_day",
    "outside_the_grace",
    "rejected_by_a_person",
    "taken",
)
#: Of more appointments nothing is kept: such a note is tried at each pass.
_MOST = 2
#: So many notes are touched at a time.
_AT_ONCE = 500

_client = aliased(Mapping, name="client_mapping")
_staff = aliased(Mapping, name="staff_mapping")
_site = aliased(Mapping, name="site_mapping")


def seen_of(note: Any, rows: Iterable[Any], holders: dict[str, str]) -> str | None:
    """Return what a pass saw of the appointments of a note's people on its day; None where it has
    to be tried again in any case, since one is of another zone or there are many.

    `rows`: as `note_candidates` gives them; `holders`: which note has an appointment. Equal to what
    `_seen_now` says in SQL.
    """
    told = []
    for row in rows:
        if row.zone != note.zone:
            return None
        if row.date == note.date:
            clocks = f"{row.start} {row.end} {int(bool(row.eligible))}"
            told.append(f"{row.appointment} {clocks} {holders.get(row.appointment, '')}")
    if len(told) > _MOST:
        return None
    return f"{min(told)}|{max(told)}" if told else "|"


def touch_changed(session: AnySession, account_id: int, appointment: Any, since: date) -> None:
    """Touch the unmapped notes from the day `since` on whose appointments are not what the last
    pass saw; flushes.
    """
    ids = session.scalars(_changed(account_id, appointment, since)).all()
    for at in range(0, len(ids), _AT_ONCE):
        touch(session, account_id, Note.id.in_(ids[at : at + _AT_ONCE]))


def _changed(account_id: int, appointment: Any, since: date) -> AnySelect:
    """SELECT the ids of the notes; each is looked up by itself, along indices that are there."""

    def joined(left: Any, alias: Any, kind: Kind, vendor_id: Any) -> Any:
        own = and_(
            alias.account_id == account_id,
            alias.kind == kind.name,
            alias.vendor_id == vendor_id,
        )
        return pinned_join(left, inspect(alias).selectable, own)

    people = joined(Note.__table__, _client, STUDENT, Note.student_id)
    people = joined(people, _staff, USER, Note.user_id)
    people = joined(people, _site, SITE, Note.site_id)
    student = and_(Student.account_id == account_id, Student.vendor_id == Note.student_id)
    people = pinned_join(people, Student.__table__, student)
    now = _seen_now(account_id, appointment)
    return (
        select(Note.id)
        .select_from(people)
        .where(
            Note.account_id == account_id,
            Note.why.in_(_OF_APPOINTMENTS),
            Note.date >= since,
            # Where either is NULL the note is tried in any case.
            ~func.coalesce(now == Note.seen, false()),
        )
    )


def _seen_now(account_id: int, appointment: Any) -> ColumnElement[Any]:
    """Return the SQL for what `seen_of` would say of a note now."""
    a = appointment.c
    that_day = and_(a.date == Note.date, a.time_zone == Student.time_zone)
    told = by_code_point(
        as_text(a.id)
        + " "
        + cast(minute_of_day(a.start), String)
        + " "
        + cast(minute_of_day(a.end), String)
        + case((a.eligible, " 1 "), else_=" 0 ")
        + func.coalesce(holder.vendor_id, "")
    )
    # One of another zone may be the note's from a day beside as well.
    elsewhere = func.coalesce(func.sum(case((a.time_zone != Student.time_zone, 1), else_=0)), 0)
    seen = func.coalesce(func.min(told), "") + "|" + func.coalesce(func.max(told), "")
    return (
        select(case((and_(func.count() <= _MOST, elsewhere == 0), seen)))
        .select_from(appointment.outerjoin(holder, holds(account_id, as_text(a.id))))
        .where(
            a.client_id == as_host_id(_client.host_id, a.client_id),
            a.staff_id == as_host_id(_staff.host_id, a.staff_id),
            a.agency_id == as_host_id(_site.host_id, a.agency_id),
            a.date.in_([days_later(Note.date, days) for days in (0, -1, 1)]),
            or_(that_day, a.time_zone != Student.time_zone),
        )
        .correlate(Note, Student, _client, _staff, _site)
        .scalar_subquery()
    )
