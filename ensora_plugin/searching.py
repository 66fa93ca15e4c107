"""Search in the lists: the beginning of a name, a day, an email; notes by their people."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from .access import Scope
from .kinds import NOTE, STUDENT, USER, Kind
from .models import Note, Student, User
from .text import text_key
from .vendor import checked_date


def found(scope: Scope, kind: Kind, search: str) -> ColumnElement[bool]:
    """Search by the beginning of a name, either way round, or a day; notes by their people."""
    if kind is NOTE:
        people = [
            column.in_(
                select(of.model.vendor_id).where(
                    of.model.account_id == scope.account_id, _named(of, search)
                )
            )
            for of, column in ((STUDENT, Note.student_id), (USER, Note.user_id))
        ]
        day = checked_date(search.strip())
        return or_(*people, Note.date == day.date()) if day else or_(*people)
    return _named(kind, search)


def _named(kind: Kind, search: str) -> ColumnElement[bool]:
    key = text_key(search)
    model: Any = kind.model
    wanted = [starts_with(model.sort_key, key), starts_with(model.name_key, key)]
    day = checked_date(search.strip())
    if kind is STUDENT and day:
        wanted.append(Student.date_of_birth == day.date())
    if kind is USER:
        wanted.append(User.email == search.strip())
    return or_(*wanted)


def starts_with(column: Any, key: str) -> ColumnElement[bool]:
    """Return the condition that a key begins with `key`, in the form that an index serves."""
    return and_(column >= key, column < key + "\U0010ffff")
