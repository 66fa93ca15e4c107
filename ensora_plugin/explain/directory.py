"""The entries of the directory that share a fact or the beginning of a name with a record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, select, true, union

from ..kinds import SITE, Kind
from ..models import Directory, Mapping, Membership, Rejected
from ..text import joint_key, list_keys
from .explanation import Question

#: So many entries of the directory are compared at most for each way of coming near.
_LOOKED_AT = 100
#: By so many first letters of a name others like it are found.
_LETTERS = 4
_LAST = "\U0010ffff"


def read_near(asked: Question, kind: Kind, vendor_id: str, facts: Sequence[str]) -> Sequence[Any]:
    """Read at most some hundred entries that come near some facts, with who holds them."""
    *names, last = facts
    key, letters = joint_key(last), (names or facts)[-1][:_LETTERS]
    limited = asked.agencies is not None
    values: dict[str, Any] = {"account": asked.account_id, "vendor_id": vendor_id}
    values |= {"letters": letters, "after": letters + _LAST}
    if names:
        values |= {"name_key": list_keys(*names)["name_key"], "last_fact": key}
    if limited and kind.by_site:
        values["agencies"] = sorted(asked.agencies or ())
    statement = _directory(kind, bool(letters), key is not None, limited)
    return asked.session.connection().execute(statement, values).all()


@cache
def _directory(kind: Kind, with_name: bool, with_last: bool, limited: bool) -> Any:
    """SELECT the entries that share a fact or the beginning of a name, with who holds them.

    Built once, since that takes longer than to run it; `read_near` knows its values. `limited`: the
    person sees some agencies only.
    """
    entry, held = Directory.__table__, Mapping.__table__.alias("held_mapping")
    holder = kind.model.__table__.alias("holder")
    own = (entry.c.account_id == bindparam("account"), entry.c.entity == kind.entity)
    ways = [
        select(select(entry.c.host_id).where(*own, way).limit(_LOOKED_AT).subquery())
        for way in _ways(kind, with_name, with_last)
    ]
    rejected = exists().where(
        Rejected.account_id == bindparam("account"),
        Rejected.kind == kind.name,
        Rejected.vendor_id == bindparam("vendor_id"),
        Rejected.host_id == entry.c.host_id,
    )
    holds = and_(
        held.c.account_id == bindparam("account"),
        held.c.kind == kind.name,
        held.c.host_id == entry.c.host_id,
    )
    is_holder = and_(
        holder.c.account_id == bindparam("account"), holder.c.vendor_id == held.c.vendor_id
    )
    names = ("name",) if kind is SITE else ("first_name", "last_name")
    return (
        select(
            *(entry.c[name] for name in ("host_id", "facts", "active")),
            held.c.vendor_id.label("held_by"),
            *(holder.c[name].label(f"holder_{name}") for name in names),
            rejected.label("rejected"),
            _holder_seen(kind, held.c.vendor_id, limited).label("holder_seen"),
        )
        .select_from(entry.outerjoin(held, holds).outerjoin(holder, is_holder))
        .where(*own, entry.c.host_id.in_(union(*ways)))
    )


def _holder_seen(kind: Kind, vendor_id: Any, limited: bool) -> ColumnElement[bool]:
    """The condition that the person sees the record that holds an entity as well."""
    if not limited or not kind.by_site:
        return true()
    site = Mapping.__table__.alias("holder_site")
    return exists().where(
        Membership.account_id == bindparam("account"),
        Membership.kind == kind.name,
        Membership.vendor_id == vendor_id,
        site.c.account_id == bindparam("account"),
        site.c.kind == SITE.name,
        site.c.vendor_id == Membership.site_id,
        site.c.host_id.in_(bindparam("agencies", expanding=True)),
    )


def _ways(kind: Kind, with_name: bool, with_last: bool) -> list[ColumnElement[bool]]:
    """Return the conditions under which an entry is looked at, each served by an index."""
    entry = Directory.__table__.c
    if kind is SITE:
        # A practice has few agencies; one may be called like another but for its first word.
        return [entry.sort_key >= "", _begins(entry.name_key)]
    ways = [entry.name_key == bindparam("name_key")]
    if with_last:
        ways.append(entry.last_fact == bindparam("last_fact"))
    if with_name:
        # Also where first and last name stand in each other's place.
        ways += [_begins(entry.sort_key), _begins(entry.name_key)]
    return ways


def _begins(column: Any) -> ColumnElement[bool]:
    return and_(column >= bindparam("letters"), column < bindparam("after"))
