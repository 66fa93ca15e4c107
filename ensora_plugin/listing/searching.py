"""Search in the lists: the beginning of a name, a day, an email, an id; notes by their people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, true, union

from ..access import Scope
from ..dialect import pinned_join
from ..kinds import NOTE, STUDENT, USER, Kind
from ..models import Note
from ..text import text_key
from .dates import days_of

#: So many are few: they are found first, and put in order then. Of more, the first of the list are
#: soon met by going through it in its order.
_FEW = 2000


@dataclass(frozen=True)
class Sought:
    """What is found by what was typed, of a kind.

    A statement over it may be kept and sent for other words, with `words_of` them.
    """

    #: The ids of all of them where they are `few`, else of some.
    ids: Any
    few: ColumnElement[bool]
    #: The condition that a record is among them, for whoever goes through all of a list.
    condition: ColumnElement[bool]
    #: The same for whoever goes on until a page is full: each record is looked at by itself.
    met: ColumnElement[bool]


def sought(scope: Scope, kind: Kind, search: str) -> Sought:
    """Return what is found, each way by an index of its own."""
    words = words_of(search)
    people = _people(scope, words) if kind is NOTE else {}
    ways = [way.limit(_FEW + 1).subquery() for way in _ways(scope, kind, words, people)]
    ids = union(*(select(way.c.id) for way in ways)).cte("sought").prefix_with("MATERIALIZED")
    counted = [
        select(func.count()).select_from(some).scalar_subquery() for some in (ids, *people.values())
    ]
    few = and_(*(count <= _FEW for count in counted))
    if kind is not NOTE:
        condition = met = or_(*_named(kind, kind.model, words))
        return Sought(ids, few, condition, met)
    own, named = _told(Note, words), [_person(scope, words, *person) for person in _PEOPLE]
    # Of EXISTS, PostgreSQL may find all people first; of a value it cannot.
    met = or_(*(one.with_only_columns(true()).scalar_subquery() for one in named), *own)
    return Sought(ids, few, or_(*(one.exists() for one in named), *own), met)


def _person(scope: Scope, words: dict[str, Any], of: Kind, column: str) -> Select[Any]:
    """SELECT a person of a note, where it is one who is found."""
    model: Any = of.model
    person = select(model.id).where(
        model.account_id == scope.account_id,
        model.vendor_id == getattr(Note, column),
        or_(*_named(of, model, words)),
    )
    return person.correlate(Note)


#: The people of a note, and the column that names them.
_PEOPLE = ((STUDENT, "student_id"), (USER, "user_id"))


def words_of(search: str) -> dict[str, Any]:
    """Return the values that stand for what was typed; a search for days has another form."""
    key, days = text_key(search.replace(",", " ")), days_of(search)
    told = {"key": key, "key_end": _end(key), "own_id": search.strip(), "days": days}
    for number, day in enumerate(_few_days(days)):
        told |= {f"day_{number}": day, f"day_{number}_end": _end(day)}
    return told


def _few_days(days: list[Any]) -> list[str]:
    """Return the days that a text may mean, two of them; none is "-"."""
    return ([day.isoformat() for day in days] + ["-", "-"])[:2]


def _people(scope: Scope, words: dict[str, Any]) -> dict[str, Any]:
    """Return column of a note that names a person -> the people who are found, a few of them."""
    found = {}
    for of, column in _PEOPLE:
        ways = [
            select(of.model.vendor_id)
            .where(of.model.account_id == scope.account_id, way)
            .limit(_FEW + 1)
            .subquery()
            for way in _named(of, of.model, words)
        ]
        every = union(*(select(way.c.vendor_id) for way in ways)).cte(f"sought_{of.name}")
        found[column] = every.prefix_with("MATERIALIZED")
    return found


def _ways(
    scope: Scope, kind: Kind, words: dict[str, Any], people: dict[str, Any]
) -> list[Select[Any]]:
    """SELECT the ids of the records that are found, in each way."""
    own: Any = kind.model
    told = _told(own, words) if kind is NOTE else _named(kind, own, words)
    ways = [select(own.id).where(own.account_id == scope.account_id, way) for way in told]
    for column, some in people.items():
        theirs = and_(own.account_id == scope.account_id, getattr(own, column) == some.c.vendor_id)
        ways.append(select(own.id).select_from(pinned_join(some, own.__table__, theirs)))
    return ways


def _named(kind: Kind, model: Any, words: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Return the ways in which a site, student or user is found."""
    keys = [model.sort_key, model.name_key]
    if kind is USER:
        keys.append(model.email_key)
    ways = [_between(column, "key", words) for column in keys]
    if kind is STUDENT and words["days"]:
        ways.append(model.date_of_birth.in_(bindparam("days", words["days"], expanding=True)))
    return [*ways, _own(model, words)]


def _told(model: Any, words: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Return the ways in which a note is found that do not lead over its people."""
    # Its sort key begins with its day.
    days = [_between(model.sort_key, f"day_{number}", words) for number in range(2)]
    return [*(days if words["days"] else ()), _own(model, words)]


def _own(model: Any, words: dict[str, Any]) -> ColumnElement[bool]:
    own: ColumnElement[bool] = model.vendor_id == bindparam("own_id", words["own_id"])
    return own


def _between(column: Any, key: str, words: dict[str, Any]) -> ColumnElement[bool]:
    end = f"{key}_end"
    return and_(column >= bindparam(key, words[key]), column < bindparam(end, words[end]))


def starts_with(column: Any, key: str) -> ColumnElement[bool]:
    """Return the condition that a key begins with `key`, in the form that an index serves."""
    return and_(column >= key, column < _end(key))


def _end(key: str) -> str:
    return key + "\U0010ffff"
