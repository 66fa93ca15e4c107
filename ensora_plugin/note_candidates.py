"""Which appointments the tried notes may belong to: in SQL where zones are equal, one by one where
not.

An edge is a note and an appointment of the same client, staff and agency, of the same day,
eligible, within
the grace, that no person rejected. Edges stand in a temporary table with the size of their group.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from .database import AnySelect, as_text, days_later, minute_of_day, pinned_join
from .kinds import NOTE
from .matching import Span, changes_that_day, minutes_apart, on_its_day, zone
from .models import Mapping, Rejected
from .trying import Tried


@dataclass(frozen=True)
class Pair:
    """A note and an appointment of the same people, and the minutes that they are apart."""

    note: str
    appointment: str
    start: int
    end: int
    eligible: bool
    rejected: bool
    #: The appointment that the note holds, and the note that holds the appointment.
    own: str | None
    holder: str | None

    @property
    def minutes(self) -> int:
        return self.start + self.end

    def within(self, grace: int) -> bool:
        return self.start <= grace and self.end <= grace


def mark_apart(tried: Tried) -> bool:
    """Mark the clients whose notes SQL cannot compare; return whether there are any.

    Their zone is unknown or differs from an appointment's, or clocks change on the note's day.
    """
    t, a = tried.table.c, tried.appointment.c
    spans = tried.session.execute(
        select(t.zone, func.min(t.date), func.max(t.date))
        .where(t.zone.is_not(None), t.date.is_not(None))
        .group_by(t.zone)
    ).all()
    if not spans:
        return False
    first = min(span[1] for span in spans) - timedelta(days=1)
    last = max(span[2] for span in spans) + timedelta(days=1)
    odd: list[ColumnElement[bool]] = [
        and_(t.zone == name, t.date.in_(days))
        for name, *span in spans
        if (days := _changing_days(name, *span))
    ]
    if unknown := [name for name, *_ in spans if not zone(name)]:
        odd.append(t.zone.in_(unknown))
    near = a.date.between(first, last)
    if len(spans) > 1 or _other_zone(tried, spans[0][0], near):
        odd += [
            exists().where(_same_people(tried), day, a.time_zone != t.zone)
            for day in _days_beside(tried)
        ]
    if not odd:
        return False
    clients = tried.session.scalars(select(t.client).distinct().where(or_(*odd))).all()
    for at in range(0, len(clients), 500):
        tried.session.execute(
            update(tried.table).where(t.client.in_(clients[at : at + 500])).values(apart=True)
        )
    return bool(clients)


def _days_beside(tried: Tried) -> list[ColumnElement[bool]]:
    """The conditions that an appointment is on a note's day, the day before, the day after.

    One by one they are equalities, for which a host has an index: it comes in by the day.
    """
    t, a = tried.table.c, tried.appointment.c
    return [a.date == days_later(t.date, days) for days in (0, -1, 1)]


def _other_zone(tried: Tried, name: str, near: ColumnElement[bool]) -> bool:
    a = tried.appointment.c
    return tried.session.scalar(select(a.id).where(near, a.time_zone != name).limit(1)) is not None


def _changing_days(name: str, first: date, last: date) -> list[date]:
    where = zone(name)
    if where is None:
        return []
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if changes_that_day(day, where)]


def _same_people(tried: Tried) -> ColumnElement[bool]:
    t, a = tried.table.c, tried.appointment.c
    return and_(a.client_id == t.client, a.staff_id == t.staff, a.agency_id == t.agency)


def _apart(tried: Tried) -> tuple[ColumnElement[int], ColumnElement[int]]:
    t, a = tried.table.c, tried.appointment.c
    return func.abs(minute_of_day(a.start) - t.start), func.abs(minute_of_day(a.end) - t.end)


def _rejected(vendor_id: Any, host_id: Any, tried: Tried) -> ColumnElement[bool]:
    return exists().where(
        Rejected.account_id == tried.account_id,
        Rejected.kind == NOTE.name,
        Rejected.vendor_id == vendor_id,
        Rejected.host_id == host_id,
    )


def _competes(tried: Tried) -> ColumnElement[bool]:
    """The condition that a tried note may map, or holds an appointment."""
    t = tried.table.c
    return and_(t.date.is_not(None), or_(t.status == "published", t.own.is_not(None)))


@contextmanager
def edges(tried: Tried, grace: int) -> Iterator[Table]:
    """Fill a temporary table with the edges that SQL can find, and drop it afterwards."""
    t, a = tried.table.c, tried.appointment.c
    table = Table(
        "ensora_edge",
        MetaData(),
        Column("note", String(64)),
        Column("appointment", String(64)),
        Column("minutes", Integer),
        Column("own", String(64)),
        #: How many edges the group (student, user, day) has: one is uncontended.
        Column("of_group", Integer),
        prefixes=["TEMPORARY"],
    )
    start, end = _apart(tried)
    host_id = as_text(a.id)
    group = func.count().over(partition_by=(t.client, t.staff, t.date))
    found = (
        select(t.vendor_id, host_id, start + end, t.own, group)
        .select_from(
            pinned_join(tried.table, tried.appointment, and_(_same_people(tried), a.date == t.date))
        )
        .where(
            _competes(tried),
            ~t.apart,
            a.eligible,
            a.time_zone == t.zone,
            start <= grace,
            end <= grace,
            ~_rejected(t.vendor_id, host_id, tried),
        )
    )
    table.create(tried.session.connection())
    tried.session.execute(insert(table).from_select(list(table.c.keys()), found))
    yield table
    # A failed transaction takes it along by itself.
    table.drop(tried.session.connection())


def pairs_apart(tried: Tried, grace: int) -> list[Pair]:
    """Read the candidates of marked clients one by one: the note's day and the days beside it.

    Of the days beside it only those within the grace count.
    """
    apart = tried.table.c.apart
    if tried.session.scalar(select(apart).where(apart).limit(1)) is None:
        return []
    rows = [
        row
        for day in _days_beside(tried)
        for row in tried.session.execute(_candidates(tried).where(apart, day))
    ]
    found = []
    for row in rows:
        note = Span(row.note_date, row.note_start, row.note_end, row.note_zone)
        appointment = Span(row.date, row.at, row.until, row.zone)
        minutes = minutes_apart(note, appointment)
        if minutes and (max(minutes) <= grace or on_its_day(note, appointment)):
            found.append(_pair(row, *minutes))
    return found


def pairs_that_day(tried: Tried) -> Iterator[Pair]:
    """Yield the candidates of the day of notes that were not mapped, whatever the grace."""
    t, a = tried.table.c, tried.appointment.c
    start, end = _apart(tried)
    statement = (
        _candidates(tried)
        .add_columns(start.label("start_apart"), end.label("end_apart"))
        .where(~t.apart, a.date == t.date, a.time_zone == t.zone)
    )
    for row in tried.session.execute(statement):
        yield _pair(row, row.start_apart, row.end_apart)


def _candidates(tried: Tried) -> AnySelect:
    """SELECT tried notes with the appointments of the same people; a caller bounds the days."""
    t, a = tried.table.c, tried.appointment.c
    host_id = as_text(a.id)
    holder = aliased(Mapping, name="holder_mapping")
    return (
        select(
            t.vendor_id.label("note"),
            t.date.label("note_date"),
            t.start.label("note_start"),
            t.end.label("note_end"),
            t.zone.label("note_zone"),
            t.own.label("own"),
            host_id.label("appointment"),
            a.date.label("date"),
            minute_of_day(a.start).label("at"),
            minute_of_day(a.end).label("until"),
            a.time_zone.label("zone"),
            a.eligible.label("eligible"),
            _rejected(t.vendor_id, host_id, tried).label("rejected"),
            holder.vendor_id.label("holder"),
        )
        .select_from(pinned_join(tried.table, tried.appointment, _same_people(tried)))
        .outerjoin(
            holder,
            and_(
                holder.account_id == tried.account_id,
                holder.kind == NOTE.name,
                holder.host_id == host_id,
            ),
        )
        .where(_competes(tried))
    )


def _pair(row: Any, start: int, end: int) -> Pair:
    return Pair(
        row.note,
        row.appointment,
        start,
        end,
        bool(row.eligible),
        bool(row.rejected),
        row.own,
        row.holder,
    )
