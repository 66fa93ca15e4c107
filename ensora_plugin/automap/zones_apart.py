"""Which tried notes SQL cannot compare with appointments, since their clocks differ or change."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select, update

from .matching import changes_that_day, zone
from .note_candidates import days_beside, same_people
from .note_tables import Tried

#: So few notes are looked at one by one; for more, the appointments of their days are read through.
_FEW = 2000
#: How many clients are named in one statement.
_AT_ONCE = 500


def mark_apart(tried: Tried) -> bool:
    """Mark the notes that have to be compared one by one; return whether there are any.

    On a day on which clocks change those are the notes of the day; where the student's zone is
    unknown or differs from an appointment's, all of the client, since one day's note may be another
    day's appointment.
    """
    t = tried.table.c
    first, last, names, notes = _span(tried)
    if not names:
        return False
    odd_clients: list[ColumnElement[bool]] = []
    if unknown := [name for name in names if not zone(name)]:
        odd_clients.append(t.zone.in_(unknown))
    if notes <= _FEW or len(names) > 1 or _other_zone(tried, names[0], first, last):
        odd_clients += [
            exists().where(same_people(tried), day, tried.appointment.c.time_zone != t.zone)
            for day in days_beside(tried)
        ]
    marked = _mark_clients(tried, or_(*odd_clients)) if odd_clients else False
    return _mark_days(tried, names, first, last) or marked


def _span(tried: Tried) -> tuple[date, date, list[str], int]:
    """Return the first and last day of the notes, their zones by name, and how many they are."""
    t = tried.table.c
    readable = t.zone.is_not(None), t.date.is_not(None)
    first, last, one, other, notes = tried.session.execute(
        select(
            func.min(t.date), func.max(t.date), func.min(t.zone), func.max(t.zone), func.count()
        ).where(*readable)
    ).one()
    if one == other:
        return first, last, [] if one is None else [one], notes
    names = tried.session.scalars(select(t.zone).distinct().where(*readable))
    return first, last, list(names), notes


def _other_zone(tried: Tried, name: str, first: date, last: date) -> bool:
    """Tell whether an appointment of those days, or beside them, is of another zone."""
    a, day = tried.appointment.c, timedelta(days=1)
    other = select(a.id).where(a.date.between(first - day, last + day), a.time_zone != name)
    return tried.session.scalar(other.limit(1)) is not None


def _mark_clients(tried: Tried, odd: ColumnElement[bool]) -> bool:
    t = tried.table.c
    clients = tried.session.scalars(select(t.client).distinct().where(odd)).all()
    for at in range(0, len(clients), _AT_ONCE):
        _mark(tried, t.client.in_(clients[at : at + _AT_ONCE]))
    return bool(clients)


def _mark_days(tried: Tried, names: list[str], first: date, last: date) -> bool:
    t = tried.table.c
    found = False
    for name in names:
        if days := _changing_days(name, first, last):
            _mark(tried, (t.zone == name) & t.date.in_(days))
            found = True
    return found


def _mark(tried: Tried, which: Any) -> None:
    tried.session.execute(update(tried.table).where(which).values(apart=True))


def _changing_days(name: str, first: date, last: date) -> list[date]:
    where = zone(name)
    if where is None:
        return []
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if changes_that_day(day, where)]
