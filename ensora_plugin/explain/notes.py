"""Appointments that come near a session note, and which note took them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, select, union

from ..automap.matching import Span, minutes_apart, on_its_day
from ..dialect import as_text, minute_of_day, pinned_join
from ..host.entities import host_entity
from ..host.ids import native_ids
from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from ..listing.row_words import day_text, minute_text
from ..models import Mapping, Note, Rejected, Site, Student, User
from .explanation import MOST, Candidate, Fact, Holder, Question

_AROUND = (0, -1, 1)
#: Of each way of coming near so many appointments are read at most.
_READ = 200


@dataclass(frozen=True)
class _Near:
    """An appointment, how it differs from what the note asks for, and the minutes apart."""

    row: Any
    same_client: bool
    same_staff: bool
    same_agency: bool
    same_day: bool
    apart: tuple[int, int] | None
    #: Whether automap counts its day and times as those of the note.
    counts: bool
    #: Whether the therapist picked it.
    picked: bool

    @property
    def order(self) -> tuple[bool, int, int, float, str]:
        """What was picked, then the note's own appointments, then with another agency or staff,
        another client or day.
        """
        strange = 4 * (not self.same_client) + 2 * (not self.same_staff) + (not self.same_agency)
        strange += 8 * (not self.same_day)
        apart = float("inf") if self.apart is None else sum(self.apart)
        return not self.picked, strange, not self.row.eligible, apart, self.row.host_id

    @property
    def own(self) -> bool:
        """Whether automap looks at it for this note."""
        return self.same_client and self.same_staff and self.same_agency and self.counts


def near_appointments(asked: Question, vendor_id: str, grace: int) -> list[Candidate]:
    """Return the appointments of the note's client, staff and day; where none of them may match,
    those with one of the two that day, and with both of them the day before and after. What the
    therapist picked comes first, whatever it is.
    """
    values = {"account": asked.account_id, "vendor_id": vendor_id}
    note = asked.session.connection().execute(_note(), values).one()
    if note.date is None:
        return []
    near = [_near(note, row, grace) for row in _rows(asked, vendor_id, note)]
    own = [one for one in near if one.own or one.picked]
    if not any(one.own and one.row.eligible for one in own):
        own = [
            one
            for one in near
            if one.same_day or (one.same_client and one.same_staff) or one.picked
        ]
    own.sort(key=lambda one: one.order)
    visible = [one for one in own if asked.sees((str(one.row.agency_id),))]
    hidden = len(visible) < len(own)
    shown = visible[: MOST - hidden]
    return [_candidate(asked, vendor_id, note, one, grace) for one in shown] + [
        Candidate.elsewhere()
    ] * hidden


@cache
def _note() -> Any:
    """SELECT a note of an `account` by its `vendor_id`, with its people and what they are mapped
    to, or else come nearest to. Built once, since that takes longer than to run it.
    """
    n = Note.__table__.c
    people: tuple[tuple[Kind, Any], ...] = (
        (STUDENT, n.student_id),
        (USER, n.user_id),
        (SITE, n.site_id),
    )
    columns: list[Any] = [n.date, n.start, n.end, n.picked, _STUDENT.c.time_zone]
    columns += [_names(_STUDENT.c).label("student"), _names(_USER.c).label("user")]
    columns += [_SITE.c.name.label("site_name")]
    found: Any = Note.__table__
    for (kind, id), record in zip(people, (_STUDENT, _USER, _SITE), strict=True):
        mapped = Mapping.__table__.alias(f"{kind.name}_mapping")
        columns += [
            mapped.c.host_id.label(kind.entity),
            func.coalesce(mapped.c.host_id, record.c.nearest).label(f"{kind.entity}_or_nearest"),
        ]
        found = found.outerjoin(record, _ours(record, id))
        found = found.outerjoin(mapped, and_(_ours(mapped, id), mapped.c.kind == kind.name))
    own = (n.account_id == bindparam("account"), n.vendor_id == bindparam("vendor_id"))
    return select(*columns).select_from(found).where(*own)


def _ours(table: Any, vendor_id: Any) -> ColumnElement[bool]:
    return and_(table.c.account_id == bindparam("account"), table.c.vendor_id == vendor_id)


def _names(person: Any) -> ColumnElement[str]:
    """The first and last name of a column collection as one text; empty where there is nobody."""
    return func.trim(
        func.coalesce(person.first_name, "") + " " + func.coalesce(person.last_name, "")
    )


def _rows(asked: Question, vendor_id: str, note: Any) -> Sequence[Any]:
    """Read the appointments of the note's client or staff, of its day and the days beside it, and
    the one that was picked.
    """
    a = host_entity(asked.host, asked.account, NOTE)
    people = ((a.c.client_id, note.client_or_nearest), (a.c.staff_id, note.staff_or_nearest))
    days = [note.date + timedelta(days=days) for days in _AROUND]
    # One by one, since an OR of both lets databases come in by the day alone.
    parts = [
        select(a.c.id.label("id")).where(column.in_(ids), a.c.date.in_(days)).limit(_READ)
        for column, id in people
        if (ids := native_ids(column, [id] if id else []))
    ]
    if picked := native_ids(a.c.id, [note.picked] if note.picked else []):
        parts.append(select(a.c.id.label("id")).where(a.c.id.in_(picked)))
    if not parts:
        return []
    found = union(*(select(part.subquery().c.id) for part in parts)).subquery("near")
    values = {"account": asked.account_id, "vendor_id": vendor_id}
    return asked.session.connection().execute(_told(asked, a, found), values).all()


def _told(asked: Question, a: Any, found: Any) -> Any:
    """SELECT what people read of some appointments, and the notes that hold them."""
    client, staff, agency = (
        host_entity(asked.host, asked.account, kind) for kind in (STUDENT, USER, SITE)
    )
    host_id = as_text(a.c.id)
    rejected = exists().where(_OF_THIS_NOTE, _REJECTED.c.host_id == host_id)
    joined = (
        pinned_join(found, a, a.c.id == found.c.id)
        .outerjoin(client, client.c.id == a.c.client_id)
        .outerjoin(staff, staff.c.id == a.c.staff_id)
        .outerjoin(agency, agency.c.id == a.c.agency_id)
        .outerjoin(_HELD, and_(_A_HELD_NOTE, _HELD.c.host_id == host_id))
        .outerjoin(_HOLDER, _OF_HOLDER[0])
        .outerjoin(_STUDENT, _OF_HOLDER[1])
        .outerjoin(_USER, _OF_HOLDER[2])
        .outerjoin(_HOME, _OF_HOLDER[3])
    )
    return select(
        host_id.label("host_id"),
        *(a.c[name] for name in ("client_id", "staff_id", "agency_id", "date", "time_zone")),
        minute_of_day(a.c.start).label("start"),
        minute_of_day(a.c.end).label("end"),
        a.c.eligible,
        _names(client.c).label("client"),
        _names(staff.c).label("staff"),
        agency.c.name.label("agency_name"),
        *_HOLDING,
        rejected.label("rejected"),
    ).select_from(joined)


_STUDENT = Student.__table__.alias("student")
_USER = User.__table__.alias("user_of_note")
_SITE = Site.__table__.alias("site")
_HELD = Mapping.__table__.alias("held_mapping")
_HOLDER = Note.__table__.alias("holder")
#: Where the site of a note belongs that holds an appointment.
_HOME = Mapping.__table__.alias("holder_site")
_REJECTED = Rejected.__table__
_A_HELD_NOTE = and_(_HELD.c.account_id == bindparam("account"), _HELD.c.kind == NOTE.name)
_OF_THIS_NOTE = and_(_ours(_REJECTED, bindparam("vendor_id")), _REJECTED.c.kind == NOTE.name)
_OF_HOLDER = (
    _ours(_HOLDER, _HELD.c.vendor_id),
    _ours(_STUDENT, _HOLDER.c.student_id),
    _ours(_USER, _HOLDER.c.user_id),
    and_(_ours(_HOME, _HOLDER.c.site_id), _HOME.c.kind == SITE.name),
)
_HOLDING = (
    _HELD.c.vendor_id.label("held_by"),
    _HOLDER.c.date.label("holder_date"),
    _HOLDER.c.start.label("holder_start"),
    _HOLDER.c.end.label("holder_end"),
    _names(_STUDENT.c).label("child"),
    _names(_USER.c).label("worker"),
    _HOME.c.host_id.label("holder_agency"),
)


def _near(note: Any, row: Any, grace: int) -> _Near:
    span = Span(note.date, note.start, note.end, note.time_zone or row.time_zone)
    other = Span(row.date, row.start, row.end, row.time_zone)
    apart = minutes_apart(span, other)
    same_day = row.date == note.date if span.zone == other.zone else on_its_day(span, other)
    return _Near(
        row,
        same_client=str(row.client_id) == note.client,
        same_staff=str(row.staff_id) == note.staff,
        same_agency=str(row.agency_id) == note.agency,
        same_day=same_day,
        apart=apart,
        counts=apart is not None and (same_day or max(apart) <= grace),
        picked=row.host_id == note.picked,
    )


def _candidate(asked: Question, vendor_id: str, note: Any, near: _Near, grace: int) -> Candidate:
    row = near.row
    start, end = near.apart or (None, None)
    there = row.time_zone if row.time_zone != note.time_zone else ""
    facts = (
        Fact("Date", day_text(note.date), day_text(row.date), near.same_day or near.counts),
        _time("Start", note.start, row.start, there, start, grace),
        _time("End", note.end, row.end, there, end, grace),
        Fact("Client", note.student, row.client, near.same_client),
        Fact("Staff", note.user, row.staff, near.same_staff),
        Fact("Agency", note.site_name or "", row.agency_name or "", near.same_agency),
    )
    span = f"{minute_text(row.start)}–{minute_text(row.end)}"
    picked = ", picked by the therapist" if near.picked else ""
    return Candidate(
        host_id=row.host_id,
        name=f"{day_text(row.date)}, {span}{picked}",
        facts=facts,
        start_apart=start,
        end_apart=end,
        taken_by=_holder(asked, row, vendor_id),
        rejected=row.rejected,
        eligible=bool(row.eligible),
    )


def _time(label: str, mine: int, theirs: int, zone: str, apart: int | None, grace: int) -> Fact:
    host = " ".join(filter(None, (minute_text(theirs), zone)))
    return Fact(label, minute_text(mine), host, apart is not None and apart <= grace)


def _holder(asked: Question, row: Any, vendor_id: str) -> Holder | None:
    """Return the note that took an appointment, unless it is this one."""
    if row.held_by in (None, vendor_id):
        return None
    if asked.agencies is not None and row.holder_agency not in asked.agencies:
        return Holder.elsewhere()
    people = f"{row.child} with {row.worker}"
    if row.holder_date is None:
        return Holder(row.held_by, people)
    span = f"{minute_text(row.holder_start)}–{minute_text(row.holder_end)}"
    return Holder(row.held_by, f"{day_text(row.holder_date)}, {span}, {people}")
