"""The summary over a report: what is mapped, why the rest is not, and the hours that wait."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, Text, and_, case, cast, func, literal, null

from ..automap.reasons import REASONS, UNTRIED
from ..dialect import minute_of_day
from ..joins import rendering_of_version
from ..kinds import NOTE
from ..listing.conditions import NOT_TRIED, matching
from ..listing.filters import Filters
from ..listing.row_words import day_text
from ..models import Mapping, Note, RenderingRow
from .choice import Choice
from .host_side import host_matching
from .sides import Source

_REFUSED = ("refused", "failed")
#: What becomes of a session, in the order of the bar -> the tone of its part.
_TONES = {"rendered": "ok", "refused": "bad", "waiting": "auto", "open": "warn"}


@dataclass
class Bar:
    """A bar: words, a number, the minutes of its sessions, and the filters that show its rows."""

    words: str
    count: int
    narrower: dict[str, Any]
    minutes: int = 0


@dataclass
class Week:
    """The minutes of a week's sessions by what became of them."""

    monday: date
    #: By what is in `_TONES`: mapped is all but "open"; "waiting" is neither rendered nor refused.
    minutes: Counter[str] = field(default_factory=Counter)

    @property
    def words(self) -> str:
        return day_text(self.monday)

    @property
    def mapped(self) -> int:
        return self.minutes.total() - self.minutes["open"]

    def parts(self, longest: int) -> list[tuple[str, float]]:
        """Return the parts of its bar, as tone and per cent of the longest one."""
        return [(tone, 100 * self.minutes[came] / longest) for came, tone in _TONES.items()]

    def narrower(self, choice: Choice) -> dict[str, str]:
        """Return the filters that show this week alone, within the days that were chosen."""
        since, until = choice.filters.since, choice.filters.until
        sunday = self.monday + timedelta(days=6)
        return {
            "since": max(self.monday, since or self.monday).isoformat(),
            "until": min(sunday, until or sunday).isoformat(),
        }


@dataclass
class Summary:
    """What stands over the table; `weeks` and `refusals` are of appointments alone."""

    records: int
    states: list[Bar]
    reasons: list[Bar]
    refusals: list[Bar]
    weeks: list[Week]

    @property
    def longest_week(self) -> int:
        return max((week.minutes.total() for week in self.weeks), default=0)


#: What is told of every report, with the words of it.
_STATES = {"auto": "Auto", "user": "User", "ignored": "Ignored", "to-map": "To map"}
#: The days first: sorting by them tells most rows apart.
_BY = ("day", Mapping.state, "is_settled", "why", "rendering", "refused_for")


def summary_of(source: Source, choice: Choice) -> Summary:
    """Count what was chosen, whatever of it the bars may narrow further."""
    filters = replace(choice.filters, state="all", why="", refusal="", rendering="")
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    open_minutes: Counter[str] = Counter()
    refusals: dict[str, Bar] = {}
    weeks: dict[date, Week] = {}
    for row in source.session.execute(_counted(source, filters), execution_options=_FEW):
        state = row.state or ("settled" if row.is_settled else "to-map")
        states[state] += row.records
        if state == "to-map" and source.side == "vendor":
            reasons[row.why or NOT_TRIED] += row.records
            open_minutes[row.why or NOT_TRIED] += row.minutes or 0
        if row.day and row.minutes and state != "settled":
            monday = row.day - timedelta(days=row.day.weekday())
            week = weeks.setdefault(monday, Week(monday))
            week.minutes[_came(state, row.rendering)] += row.minutes
        for code in _codes(row.refused_for):
            bar = refusals.setdefault(code, _refused(code))
            bar.count += row.records
            bar.minutes += row.minutes or 0
    told = {code: REASONS.get(code, UNTRIED) for code in reasons}
    shown = {name: words for name, words in _STATES.items() if states[name] or name != "ignored"}
    return Summary(
        states.total(),
        [Bar(words, states[name], {"show": name}) for name, words in shown.items()],
        [
            Bar(told[code], count, {"show": "to-map", "why": code}, open_minutes[code])
            for code, count in reasons.most_common()
        ],
        sorted(refusals.values(), key=lambda bar: -bar.count),
        [weeks[monday] for monday in sorted(weeks)],
    )


def _came(state: str, rendering: str | None) -> str:
    if state not in ("auto", "user"):
        return "open"
    if rendering in _REFUSED:
        return "refused"
    return "rendered" if rendering == "rendered" else "waiting"


def _codes(refusals: str | None) -> set[str]:
    """Return why the host did not render: one note may stand under several reasons."""
    return {told["code"] for told in json.loads(refusals)} if refusals else set()


def _refused(code: str) -> Bar:
    words = code.replace("_", " ").capitalize()
    return Bar(words, 0, {"show": "all", "refusal": code})


def _counted(source: Source, filters: Filters) -> Select[Any]:
    """Count by all that the summary tells apart, in one pass."""
    if source.side == "host":
        return _entities(source, filters)
    model: Any = source.kind.model
    columns = [Mapping.state, source.kind.settled.label("is_settled"), model.why.label("why")]
    if source.kind is not NOTE:
        counted = matching(source.scope, source.kind, filters, *columns, *_UNDATED, _RECORDS)
        return counted.group_by(Mapping.state, "is_settled", "why")
    columns += [Note.date.label("day"), _RENDERING, _REFUSED_FOR, _MINUTES, _RECORDS]
    counted = matching(source.scope, NOTE, filters, *columns)
    # Most notes are rendered, which their mappings tell: only of the others it is looked up.
    open_in = case((Mapping.unrendered, Mapping.host_id))
    return counted.outerjoin(RenderingRow, rendering_of_version(open_in)).group_by(*_BY)


def _entities(source: Source, filters: Filters) -> Select[Any]:
    found = host_matching(source.scope, source.host, source.kind, filters)
    columns = [Mapping.state, literal(False).label("is_settled"), null().label("why")]
    if source.kind is not NOTE:
        return found.select(*columns, *_UNDATED, _RECORDS).group_by(Mapping.state)
    visit = found.table
    rendering = case((visit.c.rendered, literal("rendered"))).label("rendering")
    minutes = func.sum(minute_of_day(visit.c.end) - minute_of_day(visit.c.start)).label("minutes")
    columns += [visit.c.date.label("day"), rendering, null().label("refused_for"), minutes]
    return found.select(*columns, _RECORDS).group_by(visit.c.date, Mapping.state, "rendering")


_RECORDS = func.count().label("records")
_MINUTES = func.sum(Note.end - Note.start).label("minutes")
_UNDATED = [null().label(name) for name in ("day", "rendering", "refused_for", "minutes")]
_RENDERING = case(
    (and_(Mapping.host_id.is_not(None), ~Mapping.unrendered), literal("rendered")),
    else_=RenderingRow.state,
).label("rendering")
_REFUSED_FOR = case(
    (RenderingRow.state.in_(_REFUSED), cast(RenderingRow.refusals, Text)),
).label("refused_for")
_FEW = {"yield_per": 1000}
