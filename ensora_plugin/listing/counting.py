"""How much there is in each tab, by the state of the mapping; taken anew only after a change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import String, case, func, literal, null, select, union_all

from ..access import Scope
from ..database import AnySession
from ..dialect import as_text
from ..host.entities import host_entity, in_agencies
from ..host.port import HostAdapter
from ..joins import mapping_of
from ..kinds import KINDS, SITE, Kind
from ..models import Mapping
from .conditions import chosen, shown
from .filters import STATES, Filters
from .suggestions import MOST_COUNTED, suggested

#: So many agencies are offered as filters.
_AGENCIES = 200


@dataclass
class Summary:
    """The counts of each kind by the filters of `STATES`, and the actor's agencies by id."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    agencies: dict[str, str] = field(default_factory=dict)
    #: How many suggestions of each kind the actor may confirm.
    suggestions: dict[str, int] = field(default_factory=dict)


def summary(session: AnySession, scope: Scope, host: HostAdapter) -> Summary:
    """Count the records that the actor sees in every tab, and name the agencies to filter by."""
    kinds = [kind for kind in KINDS if kind is not SITE or scope.has_agency]
    parts = [_counted(scope, kind, Filters()) for kind in kinds]
    agency = host_entity(host, scope.account, SITE)
    offered = (
        select(agency.c.id, agency.c.name)
        .where(in_agencies(scope, agency.c.id))
        .order_by(agency.c.name)
        .limit(_AGENCIES)
        .subquery("offered_agency")
    )
    parts.append(
        select(
            literal("agency").label("what"),
            as_text(offered.c.id).label("which"),
            offered.c.name.cast(String).label("name"),
            literal(0).label("count"),
        )
    )
    if scope.may("map"):
        parts += [_suggested(scope, host, kind) for kind in kinds]
    found = Summary({kind.name: dict.fromkeys(STATES, 0) for kind in kinds})
    for what, which, name, count in session.execute(union_all(*parts)):
        if what == "agency":
            found.agencies[which] = name
        elif what == "suggested":
            found.suggestions[which] = count
        else:
            _add(found.counts[what], which, count)
    return found


def counts(session: AnySession, scope: Scope, kind: Kind, filters: Filters) -> dict[str, int]:
    """Count the records of a tab that all filters but state and search let through."""
    found = dict.fromkeys(STATES, 0)
    for _, which, _, count in session.execute(_counted(scope, kind, filters)):
        _add(found, which, count)
    return found


def _counted(scope: Scope, kind: Kind, filters: Filters) -> Any:
    settled = case((kind.settled, literal("settled")), else_=literal("to-map"))
    state = func.coalesce(Mapping.state, settled).label("which")
    counted = (
        select(state, func.count().label("count"))
        .select_from(kind.model)
        .outerjoin(Mapping, mapping_of(kind))
        .where(chosen(scope, kind, filters), shown(kind, filters))
        .group_by(state)
        .subquery(f"counted_{kind.name}")
    )
    return select(
        literal(kind.name).label("what"),
        counted.c.which,
        null().cast(String).label("name"),
        counted.c.count,
    )


def _suggested(scope: Scope, host: HostAdapter, kind: Kind) -> Any:
    some = suggested(scope, host, kind).limit(MOST_COUNTED).subquery(f"suggested_{kind.name}")
    return select(
        literal("suggested").label("what"),
        literal(kind.name).label("which"),
        null().cast(String).label("name"),
        select(func.count()).select_from(some).scalar_subquery().label("count"),
    )


def _add(found: dict[str, int], which: str, count: int) -> None:
    found["all"] += count
    if which in found:
        found[which] += count
