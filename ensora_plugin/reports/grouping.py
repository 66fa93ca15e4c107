"""The rows of a report in groups: how many there are in each, and how many of them are mapped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, and_, case, func, literal, or_, select, text

from ..automap.reasons import REASONS, UNTRIED
from ..dialect import as_text
from ..host.entities import host_entity, in_agencies
from ..kinds import NOTE, SITE
from ..listing.conditions import NOT_TRIED, matching
from ..listing.filters import STATES
from ..listing.row_words import day_text
from ..models import Directory, DirectoryAgency, Mapping, Note, Site
from .cells import Value
from .choice import Choice
from .host_side import host_matching
from .sides import Source


@dataclass
class Group:
    """A group with its counts, and the filters that show its rows alone."""

    words: str
    narrower: dict[str, Any]
    auto: int = 0
    user: int = 0
    ignored: int = 0
    to_map: int = 0
    #: Neither mapped nor to be mapped: inactive, or not published.
    settled: int = 0

    @property
    def records(self) -> int:
        return self.auto + self.user + self.ignored + self.to_map + self.settled

    @property
    def line(self) -> list[Value]:
        return [self.words, self.records, self.auto, self.user, self.ignored, self.to_map]


def groups_of(source: Source, choice: Choice) -> list[Group]:
    """Return the groups of what was chosen, the largest first; weeks in their order."""
    names = _names(source) if choice.group == "place" else {}
    groups: dict[Any, Group] = {}
    for key, state, settled, count in _counted(source, choice):
        which = _monday(key) if choice.group == "week" else key
        if which not in groups:
            groups[which] = Group(*_told(choice, which, names))
        counted = state or ("settled" if settled else "to_map")
        setattr(groups[which], counted, getattr(groups[which], counted) + count)
    if choice.group == "week":
        return [groups[week] for week in sorted(groups)]
    return sorted(groups.values(), key=lambda group: (-group.records, group.words))


def _counted(source: Source, choice: Choice) -> Iterable[Any]:
    vendor = source.side == "vendor"
    statement = _records(source, choice) if vendor else _entities(source, choice)
    # By their names: a second "why" with values of its own would be another expression.
    grouped = statement.group_by(text("group_key"), Mapping.state, text("is_settled"))
    return source.session.execute(grouped)


def _records(source: Source, choice: Choice) -> Select[Any]:
    model: Any = source.kind.model
    settled: Any = source.kind.settled
    keys: dict[str, Any] = {
        "state": _state(settled),
        "why": case(
            (or_(Mapping.id.is_not(None), settled), None), else_=func.coalesce(model.why, NOT_TRIED)
        ),
        "place": getattr(model, "site_id", None),
        # By what lists are sorted and bounded by: a date that cannot be read has its last change.
        "week": func.substr(Note.sort_key, 1, 10),
    }
    columns = _columns(keys[choice.group], settled)
    return matching(source.scope, source.kind, choice.filters, *columns)


def _entities(source: Source, choice: Choice) -> Select[Any]:
    found = host_matching(source.scope, source.host, source.kind, choice.filters)
    if choice.group == "state":
        return found.select(*_columns(_state(literal(False)), literal(False)))
    if source.kind is NOTE:
        visit = found.table
        key = visit.c.date if choice.group == "week" else as_text(visit.c.agency_id)
        return found.select(*_columns(key, literal(False)))
    statement = found.select(*_columns(DirectoryAgency.agency_id, literal(False)))
    return statement.join(
        DirectoryAgency,
        and_(
            DirectoryAgency.account_id == Directory.account_id,
            DirectoryAgency.entity == Directory.entity,
            DirectoryAgency.host_id == Directory.host_id,
        ),
    )


def _columns(key: Any, settled: Any) -> tuple[Any, ...]:
    return key.label("group_key"), Mapping.state, settled.label("is_settled"), func.count()


def _state(settled: Any) -> Any:
    return case(
        (Mapping.id.is_not(None), Mapping.state), (settled, literal("settled")), else_="to-map"
    )


def _names(source: Source) -> dict[str, str]:
    """Return the names of the sites or agencies that the actor sees."""
    scope = source.scope
    if source.side == "vendor":
        statement: Any = select(Site.vendor_id, Site.name).where(
            Site.account_id == scope.account_id, scope.sees(SITE)
        )
    else:
        agency = host_entity(source.host, scope.account, SITE)
        statement = select(agency.c.id, agency.c.name).where(in_agencies(scope, agency.c.id))
    return {str(id): name for id, name in source.session.execute(statement)}


def _told(choice: Choice, key: Any, names: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the words of a group, and what narrows the report to it."""
    if choice.group == "state":
        shown = {} if key == "settled" else {"show": key}
        return _SETTLED if key == "settled" else STATES[key], shown
    if choice.group == "why":
        if key is None:
            return "Mapped, or not to be mapped", {}
        return REASONS.get(key, UNTRIED), {"why": key, "show": "to-map"}
    if choice.group == "place":
        by = "site" if choice.side == "vendor" else "agency"
        return names.get(str(key), str(key)), {by: key}
    since, until = choice.filters.since or key, choice.filters.until or date.max
    sunday = key + timedelta(days=6)
    narrower = {"since": max(key, since).isoformat(), "until": min(sunday, until).isoformat()}
    return f"Week of {day_text(key)}", narrower


_SETTLED = "Not to be mapped"


def _monday(told: date | str) -> date:
    day = date.fromisoformat(told) if isinstance(told, str) else told
    return day - timedelta(days=day.weekday())
