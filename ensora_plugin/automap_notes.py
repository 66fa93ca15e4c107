"""Automap of session notes: same day, start and end within the grace, through the mappings that
stand already.

Pairs that nobody contends for are inserted in one statement; the few that compete are solved
exactly in
`matching.py`; and what a database cannot compare (zones that differ, days when clocks change) is
read there too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from .automap import Mapped, Why, mappings_of_run, unmapped, write_reasons
from .clock import utcnow
from .database import AnySelect, AnySession, as_host_id, as_text, insert_for, minute_of_day
from .host import HostAdapter
from .kinds import NOTE, SITE, STUDENT, USER
from .matching import Edge, Span, changes_that_day, minutes_apart, solve, zone
from .models import Mapping, Note, Rejected, Student

_client = aliased(Mapping, name="client_mapping")
_staff = aliased(Mapping, name="staff_mapping")
_site = aliased(Mapping, name="site_mapping")
_own = aliased(Mapping, name="own_mapping")
_holder = aliased(Mapping, name="holder_mapping")


@dataclass(frozen=True)
class _Pass:
    """One pass over an account's unmapped notes."""

    session: AnySession
    account_id: int
    #: The host's appointments, as a named subquery.
    appointment: Any
    grace: int
    run_id: int


def automap_notes(
    session: AnySession, account_id: int, account: str, host: HostAdapter, grace: int, run_id: int
) -> Mapped:
    """Map the account's unmapped notes to appointments, and note why the others do not map.

    `grace` in whole minutes, inclusive. Returns what it did; flushes, never commits.
    """
    appointment = host.appointments(account).subquery("appointment")
    this = _Pass(session, account_id, appointment, grace, run_id)
    odd = _odd_students(this)
    _insert_uncontended(this, odd)
    read = _read_apart(this, odd)
    _insert_pairs(this, _solve_contended(this, odd, read))
    result = Mapped(made=mappings_of_run(session, account_id, NOTE, run_id))
    write_reasons(session, account_id, NOTE, _reasons(this, odd), result)
    return result


def _open(this: _Pass) -> ColumnElement[bool]:
    """Notes that may map: published, readable, without a mapping."""
    return and_(
        Note.account_id == this.account_id,
        Note.status == "published",
        Note.date.is_not(None),
        unmapped(NOTE, this.account_id),
    )


def _mapped_to(alias: Any, kind: str, vendor_id: Any, this: _Pass) -> ColumnElement[bool]:
    return and_(
        alias.account_id == this.account_id, alias.kind == kind, alias.vendor_id == vendor_id
    )


def _with_parties(statement: AnySelect, this: _Pass, *, outer: bool = False) -> AnySelect:
    """Join a note's student, and the mappings of its student, user and site."""
    return (
        statement.join(
            Student,
            and_(Student.account_id == Note.account_id, Student.vendor_id == Note.student_id),
            isouter=outer,
        )
        .join(_client, _mapped_to(_client, STUDENT.name, Note.student_id, this), isouter=outer)
        .join(_staff, _mapped_to(_staff, USER.name, Note.user_id, this), isouter=outer)
        .join(_site, _mapped_to(_site, SITE.name, Note.site_id, this), isouter=outer)
    )


def _same_parties(this: _Pass) -> ColumnElement[bool]:
    a = this.appointment.c
    return and_(
        a.client_id == as_host_id(_client.host_id, a.client_id),
        a.staff_id == as_host_id(_staff.host_id, a.staff_id),
        a.agency_id == as_host_id(_site.host_id, a.agency_id),
    )


def _apart(this: _Pass) -> tuple[ColumnElement[int], ColumnElement[int]]:
    a = this.appointment.c
    return (
        func.abs(minute_of_day(a.start) - Note.start),
        func.abs(minute_of_day(a.end) - Note.end),
    )


def _odd_students(this: _Pass) -> list[str]:
    """Return the students whose open notes SQL cannot compare: another zone than the appointment's,
    no such
    zone, or a day on which clocks change."""
    spans: list[Any] = this.session.execute(  # type: ignore[assignment]
        select(Student.time_zone, func.min(Note.date), func.max(Note.date))
        .join(
            Note, and_(Note.account_id == Student.account_id, Note.student_id == Student.vendor_id)
        )
        .where(_open(this))
        .group_by(Student.time_zone)
    ).all()
    if not spans:
        return []
    first = min(span[1] for span in spans) - timedelta(days=1)
    last = max(span[2] for span in spans) + timedelta(days=1)
    a = this.appointment.c
    other_zone = exists().where(
        _same_parties(this), a.date.between(first, last), a.time_zone != Student.time_zone
    )
    odd_days = [
        and_(Student.time_zone == name, Note.date.in_(_changing_days(name, *span)))
        for name, *span in spans
        if zone(name)
    ]
    no_zone = Student.time_zone.in_([name for name, *_ in spans if not zone(name)])
    statement = _with_parties(select(Note.student_id).distinct(), this).where(
        _open(this), or_(no_zone, other_zone, *odd_days)
    )
    return list(this.session.scalars(statement))


def _changing_days(name: str, first: date, last: date) -> list[date]:
    where = zone(name)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if where and changes_that_day(day, where)]


def _edges(this: _Pass, odd: Sequence[str]) -> AnySelect:
    """SELECT the pairs within the grace of each group (student, user, day) with an open note."""
    waiting = aliased(Note, name="waiting_note")
    group_waits = exists().where(
        waiting.account_id == this.account_id,
        waiting.student_id == Note.student_id,
        waiting.date == Note.date,
        waiting.user_id == Note.user_id,
        waiting.status == "published",
        ~exists().where(
            Mapping.account_id == this.account_id,
            Mapping.kind == NOTE.name,
            Mapping.vendor_id == waiting.vendor_id,
        ),
    )
    a = this.appointment.c
    host_id = as_text(a.id)
    start, end = _apart(this)
    statement = _with_parties(
        select(
            Note.vendor_id.label("note"),
            host_id.label("appointment"),
            (start + end).label("minutes"),
            _own.host_id.label("own"),
            _holder.vendor_id.label("holder"),
        ),
        this,
    )
    return (
        statement.join(this.appointment, and_(_same_parties(this), a.date == Note.date))
        .outerjoin(_own, _mapped_to(_own, NOTE.name, Note.vendor_id, this))
        .outerjoin(
            _holder,
            and_(
                _holder.account_id == this.account_id,
                _holder.kind == NOTE.name,
                _holder.host_id == host_id,
            ),
        )
        .where(
            Note.account_id == this.account_id,
            Note.date.is_not(None),
            or_(Note.status == "published", _own.host_id.is_not(None)),
            or_(_own.id.is_(None), _own.host_id.is_not(None)),
            group_waits,
            _not_among(Note.student_id, odd),
            a.eligible,
            a.time_zone == Student.time_zone,
            start <= this.grace,
            end <= this.grace,
            ~_rejected(this, Note.vendor_id, host_id),
        )
    )


def _not_among(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    # Written into the statement: databases bound the number of parameters.
    clause: ColumnElement[bool] = not_(
        column.in_(bindparam("odd", list(values), expanding=True, literal_execute=True))
    )
    return clause


def _rejected(this: _Pass, vendor_id: Any, host_id: Any) -> ColumnElement[bool]:
    return exists().where(
        Rejected.account_id == this.account_id,
        Rejected.kind == NOTE.name,
        Rejected.vendor_id == vendor_id,
        Rejected.host_id == host_id,
    )


def _insert_uncontended(this: _Pass, odd: Sequence[str]) -> None:
    edge = _edges(this, odd).cte("edge")
    counted = select(
        edge,
        func.count().over(partition_by=edge.c.note).label("appointments"),
        func.count().over(partition_by=edge.c.appointment).label("notes"),
    ).cte("counted_edge")
    chosen = select(
        literal(this.account_id),
        literal(NOTE.name),
        counted.c.note,
        counted.c.appointment,
        literal("auto"),
        literal(this.run_id),
        literal(utcnow()),
    ).where(
        counted.c.appointments == 1,
        counted.c.notes == 1,
        counted.c.own.is_(None),
        counted.c.holder.is_(None),
    )
    columns = ["account_id", "kind", "vendor_id", "host_id", "state", "run_id", "at"]
    statement = insert_for(this.session, Mapping.__table__).from_select(columns, chosen)
    this.session.execute(statement.on_conflict_do_nothing())


@dataclass(frozen=True)
class _Pair:
    """A note and an appointment that may belong together, and how far apart they are."""

    note: str
    appointment: str
    start: int
    end: int
    eligible: bool
    own: str | None
    holder: str | None
    rejected: bool

    @property
    def minutes(self) -> int:
        return self.start + self.end

    def within(self, grace: int) -> bool:
        return self.start <= grace and self.end <= grace


def _solve_contended(this: _Pass, odd: Sequence[str], read: Iterable[_Pair]) -> list[Edge]:
    """Solve what is left of the open groups, and the pairs that were read apart."""
    rows: list[Any] = list(this.session.execute(_edges(this, odd)))
    rows += [
        pair for pair in read if pair.eligible and not pair.rejected and pair.within(this.grace)
    ]
    edges = [Edge(row.note, row.appointment, row.minutes) for row in rows]
    fixed = {row.note: row.own for row in rows if row.own is not None}
    holders = {row.appointment: row.holder for row in rows if row.holder is not None}
    return solve(edges, fixed=fixed, holders=holders)


def _insert_pairs(this: _Pass, pairs: Sequence[Edge]) -> None:
    rows = [
        {
            "account_id": this.account_id,
            "kind": NOTE.name,
            "vendor_id": pair.note,
            "host_id": pair.appointment,
            "state": "auto",
            "run_id": this.run_id,
            "at": utcnow(),
        }
        for pair in pairs
    ]
    if rows:
        this.session.execute(insert(Mapping), rows)


def _candidates(this: _Pass) -> AnySelect:
    """SELECT notes with the appointments of the same client, staff and agency; a caller bounds
    both.
    """
    a = this.appointment.c
    host_id = as_text(a.id)
    statement = _with_parties(
        select(
            Note.vendor_id.label("note"),
            Note.date.label("note_date"),
            Note.start.label("note_start"),
            Note.end.label("note_end"),
            Student.time_zone.label("note_zone"),
            host_id.label("appointment"),
            a.date.label("date"),
            minute_of_day(a.start).label("start"),
            minute_of_day(a.end).label("end"),
            a.time_zone.label("zone"),
            a.eligible.label("eligible"),
            _own.host_id.label("own"),
            _holder.vendor_id.label("holder"),
            _rejected(this, Note.vendor_id, host_id).label("rejected"),
        ),
        this,
    )
    return (
        statement.join(this.appointment, _same_parties(this))
        .outerjoin(_own, _mapped_to(_own, NOTE.name, Note.vendor_id, this))
        .outerjoin(
            _holder,
            and_(
                _holder.account_id == this.account_id,
                _holder.kind == NOTE.name,
                _holder.host_id == host_id,
            ),
        )
    )


def _pair(row: Any) -> _Pair | None:
    apart = minutes_apart(
        Span(row.note_date, row.note_start, row.note_end, row.note_zone),
        Span(row.date, row.start, row.end, row.zone),
    )
    if apart is None:
        return None
    return _Pair(
        row.note, row.appointment, *apart, bool(row.eligible), row.own, row.holder, row.rejected
    )


def _read_apart(this: _Pass, odd: Sequence[str]) -> list[_Pair]:
    """Read the candidates of odd students one by one: the note's day and the days beside it."""
    found: list[_Pair] = []
    a = this.appointment.c
    for at in range(0, len(odd), 200):
        own = (Note.account_id == this.account_id, Note.student_id.in_(odd[at : at + 200]))
        days = this.session.scalars(select(Note.date).distinct().where(_open(this), *own))
        near = {day + timedelta(days=n) for day in days if day for n in (-1, 0, 1)}
        if not near:
            continue
        statement = _candidates(this).where(
            *own,
            Note.date.in_(near),
            a.date.between(min(near), max(near)),
            or_(Note.status == "published", _own.host_id.is_not(None)),
            or_(_own.id.is_(None), _own.host_id.is_not(None)),
        )
        for row in this.session.execute(statement):
            if abs((row.date - row.note_date).days) <= 1 and (pair := _pair(row)):
                found.append(pair)
    return found


def _reasons(this: _Pass, odd: Sequence[str]) -> dict[str, Why]:
    """Return why each note that is still unmapped does not map."""
    a = this.appointment.c
    pairs: dict[str, list[_Pair]] = defaultdict(list)
    same_day = _candidates(this).where(
        _open(this), a.date == Note.date, _not_among(Note.student_id, odd)
    )
    for pair in map(_pair, this.session.execute(same_day)):
        if pair:
            pairs[pair.note].append(pair)
    for pair in _read_apart(this, odd):
        pairs[pair.note].append(pair)
    facts = _with_parties(
        select(
            Note.vendor_id,
            Note.status,
            Note.date,
            Note.start,
            Note.end,
            Student.time_zone,
            _client.host_id.label("client"),
            _staff.host_id.label("staff"),
            _site.host_id.label("agency"),
        ),
        this,
        outer=True,
    ).where(Note.account_id == this.account_id, unmapped(NOTE, this.account_id))
    return {
        row.vendor_id: _why(this, row, pairs.get(row.vendor_id, []))
        for row in this.session.execute(facts)
    }


def _why(this: _Pass, note: Any, pairs: list[_Pair]) -> Why:
    code = _why_no_parties(note)
    return Why(code) if code else _why_of_pairs(this, pairs)


def _why_no_parties(note: Any) -> str | None:
    if note.status != "published":
        return "unpublished"
    if note.date is None or _unreadable(note):
        return "unreadable_date_or_time"
    if note.agency is None:
        return "no_site_mapping"
    if note.client is None:
        return "no_client_and_no_staff_mapping" if note.staff is None else "no_client_mapping"
    return "no_staff_mapping" if note.staff is None else None


def _unreadable(note: Any) -> bool:
    """Tell whether the note's zone or a time in a gap of it makes its times meaningless."""
    if note.time_zone is None:
        return False
    span = Span(note.date, note.start, note.end, note.time_zone)
    return minutes_apart(span, span) is None


def _why_of_pairs(this: _Pass, pairs: list[_Pair]) -> Why:
    if not pairs:
        return Why("no_appointment_that_day")
    nearest = min(pairs, key=lambda pair: (not pair.eligible, pair.minutes, pair.appointment))
    told: Any = {"minutes": max(nearest.start, nearest.end), "nearest": nearest.appointment}
    within = [pair for pair in pairs if pair.eligible and pair.within(this.grace)]
    if not nearest.eligible:
        return Why("appointment_cancelled", **told)
    if not within:
        return Why("outside_the_grace", **told)
    left = sorted((pair for pair in within if not pair.rejected), key=lambda pair: pair.minutes)
    if not left:
        return Why("rejected_by_a_person", **told)
    tied = len(left) > 1 and left[1].minutes == left[0].minutes
    if left[0].holder and not tied:
        return Why("taken", **told, rival=left[0].holder)
    return Why("ambiguous", **told)
