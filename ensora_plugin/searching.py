"""Search in the lists: the beginning of a name, a day, an email, an id; notes by their people."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select

from .access import Scope
from .dates import days_of
from .kinds import NOTE, STUDENT, USER, Kind
from .models import Note, Student, User
from .text import text_key


def found(scope: Scope, kind: Kind, search: str) -> ColumnElement[bool]:
    """Return the condition that a record is found by what was typed.

    A statement over it may be kept and sent for other words, with `words_of` them.
    """
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
    words = words_of(search)
    when = [Note.date.in_(_days(words))] if words["days"] else []
    return or_(*people, *when, Note.vendor_id == bindparam("own_id", words["own_id"]))


def words_of(search: str) -> dict[str, Any]:
    """Return the values that stand for what was typed; a search for days has another form."""
    key = text_key(search.replace(",", " "))
    return {
        "key": key,
        "key_end": _end(key),
        "own_id": search.strip(),
        "days": days_of(search),
    }


def _named(kind: Kind, search: str) -> ColumnElement[bool]:
    words = words_of(search)
    model: Any = kind.model

    def begins(column: Any) -> ColumnElement[bool]:
        key: Any = bindparam("key", words["key"])
        return and_(column >= key, column < bindparam("key_end", words["key_end"]))

    wanted = [begins(model.sort_key), begins(model.name_key)]
    if kind is STUDENT and words["days"]:
        wanted.append(Student.date_of_birth.in_(_days(words)))
    if kind is USER:
        wanted.append(begins(User.email_key))
    return or_(*wanted, model.vendor_id == bindparam("own_id", words["own_id"]))


def _days(words: dict[str, Any]) -> Any:
    return bindparam("days", words["days"], expanding=True)


def starts_with(column: Any, key: str) -> ColumnElement[bool]:
    """Return the condition that a key begins with `key`, in the form that an index serves."""
    return and_(column >= key, column < _end(key))


def _end(key: str) -> str:
    return key + "\U0010ffff"
