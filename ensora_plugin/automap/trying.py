"""The notes that a pass of automap tries, in a temporary table with the host's ids of their people.

Only what may have changed is tried: notes that were touched since the last pass. The other notes of
the same groups (student, user, day) stand beside them, since they still count; group by group the
rest is independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    exists,
    false,
    insert,
    inspect,
    or_,
    select,
    tuple_,
    union,
    update,
)
from sqlalchemy.orm import aliased

from ..database import AnySelect, AnySession, analyze
from ..dialect import as_host_id, pinned_join
from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from ..models import Connection, Mapping, Note, Student
from .note_tables import Pass, Tried, notes_table, temporary

_client = aliased(Mapping, name="client_mapping")
_staff = aliased(Mapping, name="staff_mapping")
_site = aliased(Mapping, name="site_mapping")
_own = aliased(Mapping, name="own_mapping")
_held = aliased(Mapping, name="held_mapping")
_note = aliased(Note, name="touched_note")
_sibling = aliased(Note, name="sibling")
_of_group = aliased(Note, name="note_of_group")


def touch(session: AnySession, account_id: int, which: ColumnElement[bool]) -> None:
    """Let the next pass try the notes under a condition again; flushes, never commits."""
    mark(session, account_id, which, held_generation(session, account_id))


def mark(session: AnySession, account_id: int, which: ColumnElement[bool], generation: int) -> None:
    """Let the pass of a generation, which the caller holds, try the notes under a condition."""
    session.execute(
        update(Note)
        .where(Note.account_id == account_id, Note.touched != generation, which)
        .values(touched=generation)
        .execution_options(synchronize_session=False)
    )


def held_generation(session: AnySession, account_id: int) -> int:
    """Return the account's generation, its row locked against a pass under way."""
    return session.execute(
        select(Connection.generation)
        .where(Connection.id == account_id)
        .with_for_update(key_share=True)
    ).scalar_one()


def any_to_try(session: AnySession, account_id: int, generation: int) -> bool:
    """Tell whether a pass has anything to do."""
    return session.scalar(_touched(account_id, generation).limit(1)) is not None


@contextmanager
def tried_notes(this: Pass) -> Iterator[Tried]:
    """Fill the table with what is to be tried, and drop it afterwards."""
    session, account_id, generation = this.session, this.account_id, this.generation
    tried = Tried(**vars(this), table=notes_table("ensora_tried", this.appointment))
    with temporary(session, tried.table):
        if _any_untouched(session, account_id, generation):
            ids = union(_touched(account_id, generation), _siblings(account_id, generation))
            _insert_chosen(tried, ids)
        else:
            _insert(tried, tried_rows(this).where(Note.touched == generation))
        analyze(session, tried.table)
        yield tried


def end_generation(session: AnySession, account_id: int, grace: int) -> None:
    """Say that a pass is done: what was touched until now was looked at, with a grace."""
    session.execute(
        update(Connection)
        .where(Connection.id == account_id)
        .values(generation=Connection.generation + 1, tried_grace=grace)
        .execution_options(synchronize_session=False)
    )


@contextmanager
def left_over(tried: Tried) -> Iterator[Tried]:
    """Fill a second table with the tried notes that have no mapping, and the mapped ones that
    compete with them; drop it afterwards.
    """
    t = tried.table.c
    left = replace(tried, table=notes_table("ensora_left", tried.appointment))
    with temporary(tried.session, left.table):
        _copy(tried, left, and_(t.own.is_(None), ~is_mapped(tried, t.vendor_id)))
        of_left = select(left.table.c.client, left.table.c.staff, left.table.c.date)
        same_group = tuple_(t.client, t.staff, t.date).in_(of_left)
        # Where zones differ, an appointment may be another day's.
        same_client = and_(t.apart, t.client.in_(select(left.table.c.client)))
        _copy(tried, left, and_(t.own.is_not(None), or_(same_group, same_client)))
        analyze(tried.session, left.table)
        yield left


def is_mapped(tried: Tried, vendor_id: Any) -> ColumnElement[bool]:
    """Return the condition that a note has a mapping."""
    return exists().where(
        _held.account_id == tried.account_id,
        _held.kind == NOTE.name,
        _held.vendor_id == vendor_id,
    )


def _copy(tried: Tried, left: Tried, which: ColumnElement[bool]) -> None:
    names = list(left.table.c.keys())
    rows = select(tried.table).where(which)
    tried.session.execute(insert(left.table).from_select(names, rows))


def notes_of(kind: Kind, vendor_ids: Any) -> ColumnElement[bool]:
    """Return the condition that a note belongs to one of some sites, students or users."""
    columns = {SITE: Note.site_id, STUDENT: Note.student_id, USER: Note.user_id}
    return columns[kind].in_(vendor_ids)


def groups_of(account_id: int, vendor_ids: Any) -> ColumnElement[bool]:
    """Return the condition that a note stands in a group (student, user, day) with some notes."""
    return exists().where(
        _of_group.account_id == account_id,
        _of_group.vendor_id.in_(vendor_ids),
        _of_group.student_id == Note.student_id,
        _of_group.user_id == Note.user_id,
        _of_group.date == Note.date,
    )


def _any_untouched(session: AnySession, account_id: int, generation: int) -> bool:
    """Tell whether there are notes that may stand in a group with one that is tried."""
    return (
        session.scalar(
            select(Note.id).where(Note.account_id == account_id, Note.touched < generation).limit(1)
        )
        is not None
    )


def _insert_chosen(tried: Tried, ids: Any) -> None:
    """Add the notes of some ids."""
    _insert(tried, tried_rows(tried, notes_by_id(ids)))


def _insert(tried: Tried, rows: AnySelect) -> None:
    tried.session.execute(insert(tried.table).from_select(list(tried.table.c.keys()), rows))


def notes_by_id(ids: Any) -> Any:
    """Return the notes of some ids, as what to SELECT from."""
    chosen = ids.subquery("chosen_note")
    return pinned_join(chosen, Note.__table__, Note.id == chosen.c.id)


def tried_rows(this: Pass, notes: Any = Note) -> AnySelect:
    """SELECT what is to know of notes; an ignored one is out of the competition."""
    a, account_id = this.appointment.c, this.account_id
    client = as_host_id(_client.host_id, a.client_id)
    staff = as_host_id(_staff.host_id, a.staff_id)

    def of(alias: Any, kind: Kind, vendor_id: Any) -> ColumnElement[bool]:
        return and_(
            alias.account_id == account_id,
            alias.kind == kind.name,
            alias.vendor_id == vendor_id,
        )

    told: dict[str, Any] = {
        "note_id": Note.id,
        "vendor_id": Note.vendor_id,
        "status": Note.status,
        "client": client,
        "staff": staff,
        "agency": as_host_id(_site.host_id, a.agency_id),
        "date": Note.date,
        "start": Note.start,
        "end": Note.end,
        "zone": Student.time_zone,
        "own": _own.host_id,
        "picked": Note.picked,
        "told": Note.why.is_not(None),
        "apart": false(),
    }
    return (
        select(*(column.label(name) for name, column in told.items()))
        .select_from(notes)
        .outerjoin(
            Student,
            and_(Student.account_id == account_id, Student.vendor_id == Note.student_id),
        )
        .outerjoin(_client, of(_client, STUDENT, Note.student_id))
        .outerjoin(_staff, of(_staff, USER, Note.user_id))
        .outerjoin(_site, of(_site, SITE, Note.site_id))
        .outerjoin(_own, of(_own, NOTE, Note.vendor_id))
        .where(Note.account_id == account_id, or_(_own.id.is_(None), _own.host_id.is_not(None)))
    )


def _touched(account_id: int, generation: int) -> AnySelect:
    """SELECT the ids of the touched notes."""
    return select(Note.id.label("id")).where(
        Note.account_id == account_id, Note.touched == generation
    )


def _siblings(account_id: int, generation: int) -> AnySelect:
    """SELECT the ids of the notes that stand in one group (student, user, day) with touched ones,
    those themselves among them.
    """
    same_group = and_(
        _sibling.account_id == account_id,
        _sibling.student_id == _note.student_id,
        _sibling.user_id == _note.user_id,
        _sibling.date == _note.date,
    )
    groups = pinned_join(inspect(_note).selectable, inspect(_sibling).selectable, same_group)
    return (
        select(_sibling.id.label("id"))
        .select_from(groups)
        .where(_note.account_id == account_id, _note.touched == generation)
    )
