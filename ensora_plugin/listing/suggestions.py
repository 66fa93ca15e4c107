"""Suggestions that are safe to confirm many at a time: of each record one free entity that comes
nearest, and of each such entity one record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, true
from sqlalchemy.orm import aliased

from ..access import Scope
from ..automap.likeness import likeness
from ..database import AnySession
from ..dialect import as_host_id
from ..explain.explain import explain
from ..explain.explanation import Candidate
from ..host.entities import host_entity, of_agencies
from ..host.port import HostAdapter
from ..joins import mapping_of
from ..kinds import NOTE, USER, Kind
from ..models import Mapping, Note
from ..text import text_key

#: So many are offered at once.
PAGE = 25
#: So many are counted at most.
MOST_COUNTED = 1000
#: Why a record does not map for which the nearest entity may well be its own.
_NEARLY = ("no_agency_of_that_name", "no_such_client", "no_such_staff", "outside_the_grace")
#: Session notes may be so many minutes apart from their appointments.
_MINUTES = 30


def suggested(scope: Scope, host: HostAdapter, kind: Kind) -> Select[Any]:
    """SELECT the ids of the records that the actor may confirm a suggestion of."""
    record: Any = kind.model
    taken = aliased(Mapping, name="taken")
    sure = record.why.in_(_NEARLY) & record.nearest.in_(_alone(scope, kind))
    if kind is NOTE:
        picks = _alone(scope, kind, lambda rival: rival.picked == rival.nearest)
        picked = and_(Note.picked == Note.nearest, Note.nearest.in_(picks))
        sure = or_(picked, sure & (Note.why_minutes <= _MINUTES))
    return select(record.id).where(
        record.account_id == scope.account_id,
        record.nearest.is_not(None),
        sure,
        ~kind.settled,
        scope.sees(kind),
        ~exists().where(mapping_of(kind)),
        ~exists().where(
            taken.account_id == record.account_id,
            taken.kind == kind.name,
            taken.host_id == record.nearest,
        ),
        _offered(scope, host, kind),
    )


def _alone(
    scope: Scope, kind: Kind, which: Callable[[Any], ColumnElement[bool]] = lambda _rival: true()
) -> Select[Any]:
    """SELECT the entities that come nearest to one record alone of those under a condition."""
    rival: Any = aliased(kind.model, name="rival")
    return (
        select(rival.nearest)
        .where(rival.account_id == scope.account_id, rival.nearest.is_not(None), which(rival))
        .group_by(rival.nearest)
        .having(func.count() == 1)
    )


def _offered(scope: Scope, host: HostAdapter, kind: Kind) -> ColumnElement[bool]:
    """The condition that the nearest entity is there, in use, and of the actor's agencies."""
    entity = host_entity(host, scope.account, kind)
    ours = of_agencies(scope, host, kind, entity)
    in_use = {"note": "eligible", "student": "active", "user": "active"}.get(kind.name)
    return exists().where(
        entity.c.id == as_host_id(kind.model.nearest, entity.c.id),
        and_(ours, entity.c[in_use]) if in_use else ours,
    )


def suggestions(session: AnySession, scope: Scope, host: HostAdapter, kind: Kind) -> list[int]:
    """Return the ids of the first records that the actor may confirm a suggestion of."""
    order: Any = kind.model.sort_key
    rows = suggested(scope, host, kind).order_by(order.desc() if kind is NOTE else order)
    return list(session.scalars(rows.limit(PAGE)))


def is_clear(
    session: AnySession, scope: Scope, host: HostAdapter, kind: Kind, record: Any, *, grace: int
) -> bool:
    """Tell whether nothing beside the nearest entity of a record might be meant as well: what the
    therapist picked is meant.
    """
    if kind is NOTE and record.picked == record.nearest:
        return True
    told = explain(
        session,
        scope.account_id,
        scope.account,
        host,
        kind,
        record.vendor_id,
        grace=grace,
        agencies=scope.agencies,
    )
    near = [one.host_id for one in told.candidates if not one.hidden and _may_be(kind, one)]
    return near == [record.nearest]


def _may_be(kind: Kind, one: Candidate) -> bool:
    if kind is NOTE:
        apart = (one.start_apart, one.end_apart)
        return one.eligible and all(each is not None and each <= _MINUTES for each in apart)
    facts = one.facts[: len(kind.compared)]
    like = likeness(_keys([f.vendor for f in facts]), _keys([f.host for f in facts]))
    return like.shares_enough or (kind is USER and like.equal[-1])


def _keys(texts: Sequence[str]) -> list[str]:
    return [text_key(each) for each in texts]
