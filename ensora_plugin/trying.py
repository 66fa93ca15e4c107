"""The notes that a pass of automap tries, in a temporary table with the host's ids of their people.

Only what may have changed is tried: notes that were touched since the last pass and, for hosts that
do not tell what changed, the unmapped ones of the last days. The other notes of the same groups
(student, user, day) stand beside them, since they still count; group by group the rest is
independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    MetaData,
    SmallInteger,
    String,
    Table,
    and_,
    exists,
    false,
    insert,
    inspect,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.orm import aliased

from .database import AnySelect, AnySession, analyze, as_host_id, pinned_join
from .kinds import NOTE, SITE, STUDENT, USER, Kind
from .models import Connection, Mapping, Note, Student

_client = aliased(Mapping, name="client_mapping")
_staff = aliased(Mapping, name="staff_mapping")
_site = aliased(Mapping, name="site_mapping")


@dataclass(frozen=True)
class Tried:
    """The temporary table of a pass, and the host's appointments as a named subquery."""

    session: AnySession
    account_id: int
    appointment: Any
    table: Table


def touch(session: AnySession, account_id: int, which: ColumnElement[bool]) -> None:
    """Let the next pass try the notes under a condition again; flushes, never commits."""
    generation = _held_generation(session, account_id)
    session.execute(
        update(Note)
        .where(Note.account_id == account_id, Note.touched != generation, which)
        .values(touched=generation)
        .execution_options(synchronize_session=False)
    )


def _held_generation(session: AnySession, account_id: int) -> int:
    """Return the account's generation, its row locked against a pass under way."""
    return session.execute(
        select(Connection.generation)
        .where(Connection.id == account_id)
        .with_for_update(key_share=True)
    ).scalar_one()


@contextmanager
def tried_notes(
    session: AnySession, account_id: int, appointment: Any, *, since: date | None
) -> Iterator[Tried]:
    """Fill the table with what is to be tried, and drop it afterwards.

    `since`: unmapped notes from this day on are tried again although nobody touched them; None for
    none.
    """
    generation = _held_generation(session, account_id)
    tried = Tried(session, account_id, appointment, _table(appointment, "ensora_tried"))
    with _temporary(tried):
        if _any_untouched(session, account_id, generation):
            _insert(tried, Note.id.in_(_some(account_id, generation, since)))
            # Else it takes the few for many, and reads all notes for their siblings.
            analyze(session, tried.table)
            _insert(tried, Note.id.in_(_siblings(tried)))
        else:
            _insert(tried, Note.touched == generation)
        analyze(session, tried.table)
        yield tried
        session.execute(
            update(Connection)
            .where(Connection.id == account_id)
            .values(generation=generation + 1)
            .execution_options(synchronize_session=False)
        )


@contextmanager
def left_over(tried: Tried) -> Iterator[Tried]:
    """Fill a second table with the tried notes that have no mapping, and drop it afterwards."""
    t = tried.table
    held = aliased(Mapping, name="held_mapping")
    unmapped = ~exists().where(
        held.account_id == tried.account_id,
        held.kind == NOTE.name,
        held.vendor_id == t.c.vendor_id,
    )
    left = replace(tried, table=_table(tried.appointment, "ensora_left"))
    with _temporary(left):
        rows = select(t).where(t.c.own.is_(None), unmapped)
        tried.session.execute(insert(left.table).from_select(list(t.c.keys()), rows))
        analyze(tried.session, left.table)
        yield left


@contextmanager
def _temporary(tried: Tried) -> Iterator[None]:
    """Create the table, and drop it afterwards; a failed transaction takes it along by itself."""
    tried.table.create(tried.session.connection())
    yield
    tried.table.drop(tried.session.connection())


def notes_of(kind: Kind, vendor_ids: Any) -> ColumnElement[bool]:
    """Return the condition that a note belongs to one of some sites, students or users."""
    columns = {SITE: Note.site_id, STUDENT: Note.student_id, USER: Note.user_id}
    return columns[kind].in_(vendor_ids)


def groups_of(account_id: int, vendor_ids: Any) -> ColumnElement[bool]:
    """Return the condition that a note stands in a group (student, user, day) with some notes."""
    some = aliased(Note, name="note_of_group")
    return exists().where(
        some.account_id == account_id,
        some.vendor_id.in_(vendor_ids),
        some.student_id == Note.student_id,
        some.user_id == Note.user_id,
        some.date == Note.date,
    )


def _table(appointment: Any, name: str) -> Table:
    a = appointment.c
    return Table(
        name,
        MetaData(),
        Column("note_id", BigInteger),
        Column("vendor_id", String(64)),
        Column("status", String(12)),
        Column("client", a.client_id.type),
        Column("staff", a.staff_id.type),
        Column("agency", a.agency_id.type),
        Column("date", Date),
        Column("start", SmallInteger),
        Column("end", SmallInteger),
        Column("zone", String(64)),
        #: The appointment that a mapped note of the group holds; None for what is to be mapped.
        Column("own", String(64)),
        #: Whether its times have to be compared one by one.
        Column("apart", Boolean),
        prefixes=["TEMPORARY"],
    )


def _any_untouched(session: AnySession, account_id: int, generation: int) -> bool:
    """Tell whether there are notes that may stand in a group with one that is tried."""
    return (
        session.scalar(
            select(Note.id).where(Note.account_id == account_id, Note.touched < generation).limit(1)
        )
        is not None
    )


def _insert(tried: Tried, which: ColumnElement[bool]) -> None:
    """Add notes; an ignored one is out of the competition."""
    own = aliased(Mapping, name="own_mapping")
    held = and_(
        own.account_id == tried.account_id,
        own.kind == NOTE.name,
        own.vendor_id == Note.vendor_id,
    )
    statement = (
        _rows(tried, own.host_id)
        .outerjoin(own, held)
        .where(
            Note.account_id == tried.account_id,
            which,
            or_(own.id.is_(None), own.host_id.is_not(None)),
        )
        # In the order of the groups, so that what follows finds neighbours beside each other.
        .order_by(Note.student_id, Note.user_id, Note.date)
    )
    tried.session.execute(insert(tried.table).from_select(list(tried.table.c.keys()), statement))


def _rows(tried: Tried, own: Any) -> AnySelect:
    a = tried.appointment.c

    def of(alias: Any, kind: str, vendor_id: Any) -> ColumnElement[bool]:
        return and_(
            alias.account_id == tried.account_id, alias.kind == kind, alias.vendor_id == vendor_id
        )

    return (
        select(
            Note.id,
            Note.vendor_id,
            Note.status,
            as_host_id(_client.host_id, a.client_id),
            as_host_id(_staff.host_id, a.staff_id),
            as_host_id(_site.host_id, a.agency_id),
            Note.date,
            Note.start,
            Note.end,
            Student.time_zone,
            own,
            false(),
        )
        .outerjoin(
            Student,
            and_(Student.account_id == Note.account_id, Student.vendor_id == Note.student_id),
        )
        .outerjoin(_client, of(_client, STUDENT.name, Note.student_id))
        .outerjoin(_staff, of(_staff, USER.name, Note.user_id))
        .outerjoin(_site, of(_site, SITE.name, Note.site_id))
    )


def _some(account_id: int, generation: int, since: date | None) -> Any:
    """SELECT the ids of the touched notes, and of the unmapped ones from the day `since` on.

    Two SELECTs, an index each: SQLite reads all notes for an OR of both.
    """
    own = select(Note.id).where(Note.account_id == account_id)
    touched = own.where(Note.touched == generation)
    if since is None:
        return touched
    return union(touched, own.where(Note.why.is_not(None), Note.date >= since))


def _siblings(tried: Tried) -> AnySelect:
    """SELECT the ids of the notes of tried groups that are not tried themselves."""
    one, other = aliased(Note, name="tried_note"), aliased(Note, name="sibling")
    t = tried.table
    same_group = and_(
        other.account_id == tried.account_id,
        other.student_id == one.student_id,
        other.user_id == one.user_id,
        other.date == one.date,
    )
    return (
        select(other.id)
        .select_from(
            pinned_join(
                pinned_join(t, inspect(one).selectable, one.id == t.c.note_id),
                inspect(other).selectable,
                same_group,
            )
        )
        .where(other.id.not_in(select(t.c.note_id)))
        # Keeps the SELECT in one piece: PostgreSQL orders eight joins at most, and the statement
        # around it has its own.
        .distinct()
    )
