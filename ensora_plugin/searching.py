"""Search in the lists: the beginning of a name, a day, an email, an id; notes by their people."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from .access import Scope
from .dates import days_of
from .kinds import NOTE, STUDENT, USER, Kind
from .models import Note, Student, User
from .text import text_key


def found(scope: Scope, kind: Kind, search: str) -> ColumnElement[bool]:
    """Return the condition that a record is found by what was typed."""
    if kind is not NOTE:
        return _named(kind, search)
    people = [
        column.in_(
            select(of.model.vendor_id).where(
                of.model.account_id == scope.account_id, _named(of, search)
            )
        )
        for of, column in ((STUDENT, Note.student_id), (USER, Note.user_id))
    ]
    days = days_of(search)
    when = [Note.date.in_(days)] if days else []
    return or_(*people, *when, Note.vendor_id == search.strip())


def _named(kind: Kind, search: str) -> ColumnElement[bool]:
    key = text_key(search.replace(",", " "))
    model: Any = kind.model
    wanted = [starts_with(model.sort_key, key), starts_with(model.name_key, key)]
    if kind is STUDENT and (days := days_of(search)):
        wanted.append(Student.date_of_birth.in_(days))
    if kind is USER:
        wanted.append(starts_with(User.email_key, key))
    return or_(*wanted, model.vendor_id == search.strip())


def starts_with(column: Any, key: str) -> ColumnElement[bool]:
    """Return the condition that a key begins with `key`, in the form that an index serves."""
    return and_(column >= key, column < key + "\U0010ffff")
