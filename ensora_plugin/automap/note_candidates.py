"""Which appointments the tried notes may belong to.

An edge is a note and an appointment of the same client, staff and agency, of the same day,
eligible, within the grace, that no person rejected. A pair is less: it need not be eligible, within
the grace or free of a rejection, since those tell why a note does not map.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, or_, select, union_all
from sqlalchemy.orm import aliased

from ..database import AnySelect
from ..dialect import as_text, days_later, minute_of_day, pinned_join
from ..kinds import NOTE
from ..models import Mapping, Note, Rejected
from .note_tables import Tried

#: So many rows of a long answer are in memory at a time.
_AT_ONCE = 2000

#: What holds an appointment, where that is taken.
holder = aliased(Mapping, name="holder_mapping")


def same_people(tried: Tried) -> ColumnElement[bool]:
    """Return the condition that an appointment is of a note's client, staff and agency."""
    t, a = tried.table.c, tried.appointment.c
    return and_(a.client_id == t.client, a.staff_id == t.staff, a.agency_id == t.agency)


def holds(account_id: int, host_id: Any) -> ColumnElement[bool]:
    """Return the condition that `holder` is the mapping of a note to an appointment."""
    return and_(
        holder.account_id == account_id,
        holder.kind == NOTE.name,
        holder.host_id == host_id,
    )


def lone_edges(tried: Tried, grace: int) -> Any:
    """Return a subquery of note and appointment: the edges that are the only one of their group
    (student, user, day), of notes that are to be mapped and that SQL can compare.
    """
    t, a = tried.table.c, tried.appointment.c
    start = func.abs(minute_of_day(a.start) - t.start)
    end = func.abs(minute_of_day(a.end) - t.end)
    host_id = as_text(a.id)
    that_day = and_(same_people(tried), a.date == t.date)
    return (
        select(func.min(t.vendor_id).label("note"), func.min(host_id).label("appointment"))
        .select_from(pinned_join(tried.table, tried.appointment, that_day))
        .where(
            _competes(tried),
            ~t.apart,
            a.eligible,
            a.time_zone == t.zone,
            start <= grace,
            end <= grace,
            ~_rejected(tried, t.vendor_id, host_id),
        )
        .group_by(t.client, t.staff, t.date)
        .having(func.count() == 1, func.max(t.own).is_(None))
        .subquery("lone_edge")
    )


def days_beside(tried: Tried) -> list[ColumnElement[bool]]:
    """Return the conditions that an appointment is on a note's day, the day before, the day after.

    One by one they are equalities, for which a host has an index: it comes in by the day.
    """
    t, a = tried.table.c, tried.appointment.c
    return [a.date == days_later(t.date, days) for days in (0, -1, 1)]


def open_clients(
    left: Tried, *, any_apart: bool
) -> Iterator[tuple[list[Row[Any]], list[Row[Any]]]]:
    """Yield client by client the notes that are left open, and their pairs.

    `any_apart`: whether there are notes that have to be compared one by one. A note without a
    client comes alone. A client at a time, so that memory does not grow with the notes.
    """
    pairs = iter(_streamed(left, _pairs(left, any_apart)))
    waiting = next(pairs, None)
    for (client, _), notes in groupby(_streamed(left, _facts(left)), key=_client_or_alone):
        mine = []
        while waiting is not None and waiting.client == client:
            mine.append(waiting)
            waiting = next(pairs, None)
        yield list(notes), mine


def _client_or_alone(note: Any) -> tuple[Any, Any]:
    return note.client, note.note_id if note.client is None else None


def _streamed(left: Tried, statement: Any) -> Any:
    # Plain rows: the session would look through each for objects of its own.
    connection = left.session.connection()
    return connection.execute(statement, execution_options={"yield_per": _AT_ONCE})


def _facts(left: Tried) -> AnySelect:
    """SELECT the notes with the reasons that stand beside them, client by client."""
    t = left.table.c
    beside = pinned_join(left.table, Note.__table__, Note.id == t.note_id)
    told = Note.why, Note.why_minutes, Note.nearest, Note.rival, Note.seen
    return select(left.table, *told).select_from(beside).order_by(t.client, t.note_id)


def _pairs(left: Tried, any_apart: bool) -> Any:
    """SELECT the pairs, client by client."""
    t, a = left.table.c, left.appointment.c
    comparable = _pairs_where(left, and_(~t.apart, a.date == t.date, a.time_zone == t.zone))
    if not any_apart:
        return comparable.order_by(t.client)
    others = (_pairs_where(left, and_(t.apart, day)) for day in days_beside(left))
    pairs = union_all(comparable, *others).subquery("open_pair")
    return select(pairs).order_by(pairs.c.client)


def _pairs_where(left: Tried, which: ColumnElement[bool]) -> AnySelect:
    t, a = left.table.c, left.appointment.c
    host_id = as_text(a.id)
    return (
        select(
            t.client.label("client"),
            t.vendor_id.label("note"),
            host_id.label("appointment"),
            a.date.label("date"),
            minute_of_day(a.start).label("start"),
            minute_of_day(a.end).label("end"),
            a.time_zone.label("zone"),
            a.eligible.label("eligible"),
            _rejected(left, t.vendor_id, host_id).label("rejected"),
            holder.vendor_id.label("holder"),
        )
        .select_from(pinned_join(left.table, left.appointment, same_people(left)))
        .outerjoin(holder, holds(left.account_id, host_id))
        .where(_competes(left), which)
    )


def _rejected(tried: Tried, vendor_id: Any, host_id: Any) -> ColumnElement[bool]:
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
