"""Appointments that come near a session note, and which note took them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select, union_all
from sqlalchemy.orm import aliased

from .database import as_text, minute_of_day
from .explanation import MOST, Candidate, Fact, Holder, Question
from .host import native_ids
from .kinds import NOTE, SITE, STUDENT, USER, Kind
from .mapping import host_entity
from .matching import Span, minutes_apart
from .models import Mapping, Note, Record, Rejected, Site, Student, User
from .rows import day_text, minute_text

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

    @property
    def order(self) -> tuple[int, int, float, str]:
        """The note's own appointments, then with another agency or staff, another client or day."""
        strange = 4 * (not self.same_client) + 2 * (not self.same_staff) + (not self.same_agency)
        apart = float("inf") if self.apart is None else sum(self.apart)
        return 8 * (not self.same_day) + strange, not self.row.eligible, apart, self.row.host_id

    @property
    def own(self) -> bool:
        """Whether automap looks at it for this note."""
        return (
            self.same_client
            and self.same_staff
            and self.same_agency
            and (self.same_day or self.apart is not None)
        )


def near_appointments(asked: Question, vendor_id: str, grace: int) -> list[Candidate]:
    """Return the appointments of the note's client, staff and day; where none of them may match,
    those with one of the two that day, and with both of them the day before and after.
    """
    note = asked.session.execute(_note(asked, vendor_id)).one()
    if note.Note.date is None:
        return []
    near = [_near(note, row) for row in _rows(asked, note)]
    own = [one for one in near if one.own]
    if not any(one.row.eligible for one in own):
        own = [one for one in near if one.same_day or (one.same_client and one.same_staff)]
    own.sort(key=lambda one: one.order)
    visible = [one for one in own if asked.sees((str(one.row.agency_id),))]
    hidden = len(visible) < len(own)
    shown = visible[: MOST - hidden]
    return [_candidate(asked, note, one, grace) for one in shown] + [Candidate.elsewhere()] * hidden


def _note(asked: Question, vendor_id: str) -> Any:
    """SELECT a note with its people and what they are mapped to, or else come nearest to."""
    statement = select(Note, Student, User, Site.name.label("site_name"))
    people: tuple[tuple[Kind, Any, Any], ...] = (
        (STUDENT, Student, Note.student_id),
        (USER, User, Note.user_id),
        (SITE, Site, Note.site_id),
    )
    for kind, model, id in people:
        mapped = aliased(Mapping, name=f"{kind.name}_mapping")
        statement = (
            statement.add_columns(
                mapped.host_id.label(kind.entity),
                func.coalesce(mapped.host_id, model.nearest).label(f"{kind.entity}_or_nearest"),
            )
            .outerjoin(model, and_(model.account_id == asked.account_id, model.vendor_id == id))
            .outerjoin(
                mapped,
                and_(
                    mapped.account_id == asked.account_id,
                    mapped.kind == kind.name,
                    mapped.vendor_id == id,
                ),
            )
        )
    return statement.where(Note.account_id == asked.account_id, Note.vendor_id == vendor_id)


def _rows(asked: Question, note: Any) -> Sequence[Any]:
    """Read the appointments of the note's client or staff, of its day and the days beside it."""
    a = host_entity(asked.host, asked.account, NOTE)
    clients, staff = (native_ids(a.c[column], [id] if id else []) for column, id in _people(note))
    days = [note.Note.date + timedelta(days=days) for days in _AROUND]
    ways: list[ColumnElement[bool]] = []
    if clients:
        ways.append(a.c.client_id.in_(clients))
    if staff:
        ways.append(a.c.staff_id.in_(staff))
    if not ways:
        return []
    # One by one, since an OR of both lets databases come in by the day alone.
    parts = [
        select(a.c.id.label("id")).where(way, a.c.date.in_(days)).limit(_READ).subquery()
        for way in ways
    ]
    found = union_all(*(select(part.c.id) for part in parts)).subquery("near")
    return asked.session.execute(_told(asked, note.Note.vendor_id, found)).all()


def _people(note: Any) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
    return ("client_id", note.client_or_nearest), ("staff_id", note.staff_or_nearest)


def _told(asked: Question, vendor_id: str, found: Any) -> Any:
    """SELECT what people read of some appointments, and the notes that hold them."""
    a = host_entity(asked.host, asked.account, NOTE)
    client, staff, agency = (
        host_entity(asked.host, asked.account, kind) for kind in (STUDENT, USER, SITE)
    )
    held = aliased(Mapping, name="held_mapping")
    holder = aliased(Note, name="holder")
    child, worker = aliased(Student, name="holder_student"), aliased(User, name="holder_user")
    site = aliased(Mapping, name="holder_site")

    def ours(table: Any, id: Any) -> ColumnElement[bool]:
        return and_(table.account_id == asked.account_id, table.vendor_id == id)

    return (
        select(
            as_text(a.c.id).label("host_id"),
            *(a.c[name] for name in ("client_id", "staff_id", "agency_id", "date", "time_zone")),
            minute_of_day(a.c.start).label("start"),
            minute_of_day(a.c.end).label("end"),
            a.c.eligible,
            client.c.first_name.label("client_first"),
            client.c.last_name.label("client_last"),
            staff.c.first_name.label("staff_first"),
            staff.c.last_name.label("staff_last"),
            agency.c.name.label("agency_name"),
            held.vendor_id.label("held_by"),
            holder.date.label("holder_date"),
            holder.start.label("holder_start"),
            holder.end.label("holder_end"),
            child.first_name.label("child_first"),
            child.last_name.label("child_last"),
            worker.first_name.label("worker_first"),
            worker.last_name.label("worker_last"),
            site.host_id.label("holder_agency"),
            exists()
            .where(
                Rejected.account_id == asked.account_id,
                Rejected.kind == NOTE.name,
                Rejected.vendor_id == vendor_id,
                Rejected.host_id == as_text(a.c.id),
            )
            .label("rejected"),
        )
        .select_from(a)
        .outerjoin(client, client.c.id == a.c.client_id)
        .outerjoin(staff, staff.c.id == a.c.staff_id)
        .outerjoin(agency, agency.c.id == a.c.agency_id)
        .outerjoin(
            held,
            and_(
                held.account_id == asked.account_id,
                held.kind == NOTE.name,
                held.host_id == as_text(a.c.id),
            ),
        )
        .outerjoin(holder, ours(holder, held.vendor_id))
        .outerjoin(child, ours(child, holder.student_id))
        .outerjoin(worker, ours(worker, holder.user_id))
        .outerjoin(site, and_(ours(site, holder.site_id), site.kind == SITE.name))
        .where(a.c.id.in_(select(found.c.id)))
    )


def _near(note: Any, row: Any) -> _Near:
    one = note.Note
    zone = note.Student.time_zone if note.Student else row.time_zone
    apart = minutes_apart(
        Span(one.date, one.start, one.end, zone),
        Span(row.date, row.start, row.end, row.time_zone),
    )
    return _Near(
        row,
        same_client=str(row.client_id) == note.client,
        same_staff=str(row.staff_id) == note.staff,
        same_agency=str(row.agency_id) == note.agency,
        same_day=row.date == one.date,
        apart=apart,
    )


def _candidate(asked: Question, note: Any, near: _Near, grace: int) -> Candidate:
    row, one = near.row, note.Note
    start, end = near.apart or (None, None)
    zone = note.Student.time_zone if note.Student else ""
    there = row.time_zone if row.time_zone != zone else ""
    facts = (
        Fact("Date", day_text(one.date), day_text(row.date), near.same_day),
        _time("Start", one.start, row.start, there, start, grace),
        _time("End", one.end, row.end, there, end, grace),
        Fact("Client", _name(note.Student), _words(row, "client"), near.same_client),
        Fact("Staff", _name(note.User), _words(row, "staff"), near.same_staff),
        Fact("Agency", note.site_name or "", row.agency_name or "", near.same_agency),
    )
    span = f"{minute_text(row.start)}–{minute_text(row.end)}"
    return Candidate(
        host_id=row.host_id,
        name=f"{day_text(row.date)}, {span}",
        facts=facts,
        start_apart=start,
        end_apart=end,
        taken_by=_holder(asked, row, one.vendor_id),
        rejected=row.rejected,
        eligible=bool(row.eligible),
    )


def _time(label: str, mine: int, theirs: int, zone: str, apart: int | None, grace: int) -> Fact:
    host = " ".join(filter(None, (minute_text(theirs), zone)))
    return Fact(label, minute_text(mine), host, apart is not None and apart <= grace)


def _name(record: Record | None) -> str:
    names = (getattr(record, "first_name", ""), getattr(record, "last_name", ""))
    return " ".join(filter(None, names))


def _words(row: Any, prefix: str) -> str:
    names = (getattr(row, f"{prefix}_first"), getattr(row, f"{prefix}_last"))
    return " ".join(filter(None, names))


def _holder(asked: Question, row: Any, vendor_id: str) -> Holder | None:
    """Return the note that took an appointment, unless it is this one."""
    if row.held_by in (None, vendor_id):
        return None
    if asked.agencies is not None and row.holder_agency not in asked.agencies:
        return Holder.elsewhere()
    people = f"{_words(row, 'child')} with {_words(row, 'worker')}"
    if row.holder_date is None:
        return Holder(row.held_by, people)
    span = f"{minute_text(row.holder_start)}–{minute_text(row.holder_end)}"
    return Holder(row.held_by, f"{day_text(row.holder_date)}, {span}, {people}")
