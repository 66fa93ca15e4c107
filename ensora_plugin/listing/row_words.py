"""The words of a row: titles, labels, what is apart and what differs, for any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from ..automap.matching import Span, minutes_apart
from ..automap.reasons import REASONS, UNTRIED
from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from ..text import SEPARATOR, text_key
from .rendering_words import drift_said, source_said


def day_text(day: date | datetime | None) -> str:
    """Return a day as people here read it: 3 Sep 2018."""
    return f"{day.day} {day:%b %Y}" if day else ""


def moment_text(at: datetime | None) -> str:
    """Return a moment to the second: 3 Sep 2018, 14:05:09 UTC."""
    return f"{day_text(at)}, {at:%H:%M:%S} UTC" if at else ""


def minute_text(minute: int | None) -> str:
    """Return minutes since midnight as HH:MM."""
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def time_text(at: time | None) -> str:
    return f"{at:%H:%M}" if at else ""


def _person(row: Any) -> str:
    return f"{row.first_name} {row.last_name}".strip() or "(no name)"


def _note_title(row: Any) -> str:
    if row.date is None:
        return "Date or time cannot be read"
    span = f"{minute_text(row.start)}–{minute_text(row.end)}"
    zone = f" ({row.student_zone})" if _other_zone(row) else ""
    return f"{row.date:%a} {day_text(row.date)}, {span}{zone}"


def _other_zone(row: Any) -> bool:
    """Tell whether note and appointment stand in time zones that differ."""
    zone = row.entity_time_zone or row.nearest_time_zone
    return zone is not None and row.student_zone is not None and zone != row.student_zone


TITLE: dict[str, Callable[[Any], str]] = {
    SITE.name: lambda row: row.name or "(no name)",
    STUDENT.name: _person,
    USER.name: _person,
    NOTE.name: _note_title,
}


def _join(*parts: str | None) -> str:
    return " · ".join(filter(None, parts))


def _note_sub(row: Any) -> str:
    student = f"{row.student_first or ''} {row.student_last or ''}".strip() or "unknown student"
    user = f"{row.user_first or ''} {row.user_last or ''}".strip() or "unknown user"
    published = f"published {day_text(row.published_at)}" if row.published_at else ""
    return _join(f"{student} with {user}", row.site_name, row.template, published)


SUB: dict[str, Callable[[Any], str]] = {
    SITE.name: lambda row: "" if row.active else "inactive",
    STUDENT.name: lambda row: _join(
        f"born {day_text(row.date_of_birth)}",
        row.site_name,
        "" if row.active else "inactive",
    ),
    USER.name: lambda row: _join(
        row.email,
        ", ".join(sorted((row.site_names or "").split(SEPARATOR))),
        "" if row.active else "inactive",
    ),
    NOTE.name: _note_sub,
}


def _appointment_label(row: Any) -> tuple[str, str]:
    start, end = time_text(row.entity_start), time_text(row.entity_end)
    other_day = row.entity_date is not None and row.entity_date != row.date
    other = day_text(row.entity_date) if other_day else ""
    zone = row.entity_time_zone if _other_zone(row) else ""
    return f"{start}–{end}", _join(other, zone, _apart(row, "entity"))


LABEL: dict[str, Callable[[Any], tuple[str, str]]] = {
    SITE.name: lambda row: (row.entity_name or "", ""),
    STUDENT.name: lambda row: (
        f"{row.entity_first_name} {row.entity_last_name}",
        day_text(row.entity_date_of_birth),
    ),
    USER.name: lambda row: (
        f"{row.entity_first_name} {row.entity_last_name}",
        row.entity_email or "",
    ),
    NOTE.name: _appointment_label,
}


def apart(row: Any, entity: str) -> tuple[int, int] | None:
    """Return how many minutes start and end of an appointment ("entity" or "nearest") are from the
    note's, None where that cannot be told.
    """
    start, end = getattr(row, f"{entity}_start"), getattr(row, f"{entity}_end")
    if row.date is None or start is None or end is None or row.student_zone is None:
        return None
    return minutes_apart(
        Span(row.date, row.start, row.end, row.student_zone),
        Span(
            getattr(row, f"{entity}_date"),
            start.hour * 60 + start.minute,
            end.hour * 60 + end.minute,
            getattr(row, f"{entity}_time_zone"),
        ),
    )


def _apart(row: Any, entity: str) -> str:
    """Say how far the times of an appointment are from the note's, where they are."""
    told = [
        f"{name} {minutes}"
        for name, minutes in zip(("start", "end"), apart(row, entity) or (0, 0), strict=True)
        if minutes
    ]
    return f"{', '.join(told)} min apart" if told else ""


def why_text(kind: Kind, row: Any) -> str:
    """Return why a record is not mapped, empty for one that nobody has to map."""
    if row.settled and kind is not NOTE:
        return ""
    if row.why is None:
        return UNTRIED
    told = REASONS[row.why]
    if kind is NOTE and row.nearest_date is not None:
        minutes = _apart(row, "nearest") if row.nearest_within else ""
        if minutes:
            told = f"{told}: {minutes}"
    return told


@dataclass(frozen=True)
class Nearest:
    """The free entity that comes nearest to a record: one click maps it."""

    id: str
    label: str
    #: What agrees and what differs, in words.
    facts: str
    #: The birth date or email that the host has.
    sub: str = ""


def nearest_of(kind: Kind, row: Any) -> Nearest | None:
    """Return the nearest entity that one click maps, None where there is none for the actor."""
    if row.nearest_id is None or row.nearest_holder is not None or not row.nearest_within:
        return None
    if kind is NOTE:
        if not row.nearest_eligible:
            return None
        span = f"{time_text(row.nearest_start)}–{time_text(row.nearest_end)}"
        facts = "picked by the therapist" if row.picked == row.nearest else ""
        return Nearest(row.nearest, f"{day_text(row.nearest_date)}, {span}", facts)
    differ = unequal(kind, row, "nearest")
    agree = [name for name in map(_field, kind.compared) if name not in differ]
    told = filter(None, (_said(agree, "agree"), _said(differ, "differ")))
    if kind is SITE:
        return Nearest(row.nearest, row.nearest_name, "")
    name = f"{row.nearest_first_name} {row.nearest_last_name}".strip()
    born = f"born {day_text(row.nearest_date_of_birth)}" if kind is STUDENT else row.nearest_email
    return Nearest(row.nearest, name, ", ".join(told), born or "")


def unequal(kind: Kind, row: Any, entity: str) -> list[str]:
    """Name the compared fields in which a record and an entity of its row are not equal."""
    return [
        _field(name)
        for name in kind.compared
        if text_key(str(getattr(row, name))) != text_key(str(getattr(row, f"{entity}_{name}")))
    ]


def agreeing(kind: Kind, record: Any, entity: Any) -> str:
    """Say in which compared fields a record and an entity of the host are equal; blank ones are
    not.
    """
    keys = {
        name: [text_key(str(getattr(one, name) or "")) for one in (record, entity)]
        for name in kind.compared
    }
    return _said([_field(name) for name, (own, its) in keys.items() if own and own == its], "agree")


def _said(fields: list[str], verb: str) -> str:
    return f"{_list(fields)} {verb}{'' if len(fields) > 1 else 's'}" if fields else ""


def _field(name: str) -> str:
    return _FIELDS.get(name, name.replace("_", " "))


def _list(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


_FIELDS = {"date_of_birth": "birth date"}


def remark(kind: Kind, row: Any, vanished: bool, hidden: bool) -> str:
    """Return what is to be remarked of a mapping: by whom, what differs, what is gone."""
    by = f"mapped by {row.by}, {row.at.day} {row.at:%b}" if row.state == "user" and row.by else ""
    gone = "no longer there" if vanished else ""
    differs = ""
    if row.names_differ and row.state in ("auto", "user") and not vanished:
        fields = unequal(kind, row, "entity") or ["name"]
        differs = f"{_said(fields, 'differ')}{' now' if row.state == 'auto' else ''}"
    if kind is NOTE and row.host_id:
        drift = [] if vanished or hidden else drift_said(row)
        return _join(by, gone, *drift, source_said(row))
    return _join(by, differs, gone)
