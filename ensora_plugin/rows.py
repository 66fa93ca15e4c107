"""What a row of a tab says: titles, chips, reasons and the three icons, for any kind. Templates
only print it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from .access import Scope
from .host import HostAdapter
from .kinds import NOTE, SITE, STUDENT, USER, Kind
from .mapping import why_not_deleted
from .matching import Span, minutes_apart
from .reasons import REASONS
from .rendering_words import drift_said, rendering_said, source_said
from .text import text_key


@dataclass(frozen=True)
class Icon:
    """An icon of the Action column: a name, and an address or form, or why it is disabled."""

    name: str
    symbol: str
    reason: str | None
    url: str | None = None

    @property
    def enabled(self) -> bool:
        return self.reason is None


@dataclass(frozen=True)
class Chip:
    """A short word with a tone: auto, user, none, ok, bad, warn."""

    text: str
    tone: str


@dataclass(frozen=True)
class RowView:
    """A row as the template prints it."""

    id: int
    kind: Kind
    title: str
    sub: str
    #: The entity it is mapped to, empty where there is none.
    label: str
    label_sub: str
    chip: Chip
    note: str
    version: int
    may_map: bool
    #: Why it is not mapped, and the nearest entity that one click maps.
    why: str
    nearest_id: str
    nearest_label: str
    rendering: Chip | None
    rendering_sub: str
    #: Whether the actor may ask for the rendering now, and whose evidence there is to see.
    render_now: bool
    evidence_of: str
    icons: tuple[Icon, ...]


def day_text(day: date | datetime | None) -> str:
    """Return a day as people here read it: 3 Sep 2018."""
    return f"{day.day} {day:%b %Y}" if day else ""


def minute_text(minute: int | None) -> str:
    """Return minutes since midnight as HH:MM."""
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def time_text(at: time | None) -> str:
    return f"{at:%H:%M}" if at else ""


def row_view(
    row: Any,
    scope: Scope,
    host: HostAdapter,
    kind: Kind,
    *,
    sites: Mapping[str, list[str]],
    back: str,
) -> RowView:
    """Return what a row of `listing.py` says. `sites` are the names of users' sites, `back` this
    tab's address.
    """
    record = row[0]
    may_map = scope.may("map")
    hidden = why_not_changed(row) is not None
    label, label_sub = _LABEL[kind.name](row)
    vanished = row.host_id is not None and row.entity_id is None
    if hidden:
        label, label_sub = "another agency", ""
    elif vanished:
        label, label_sub = f"{kind.entity_noun} {row.host_id}", ""
    why = "" if row.state else _why(kind, row, record)
    nearest = _nearest(kind, row, record) if may_map and not row.state else ("", "")
    said = rendering_said(row) if kind is NOTE and row.host_id and not hidden else None
    return RowView(
        id=record.id,
        kind=kind,
        title=_TITLE[kind.name](row, record),
        sub=_SUB[kind.name](row, record, sites),
        label=label if row.host_id else "",
        label_sub=label_sub if row.host_id else "",
        chip=_CHIPS[row.state],
        note=_note(kind, row, record, vanished, hidden),
        version=row.version,
        may_map=may_map and not hidden,
        why=why,
        nearest_id=nearest[0],
        nearest_label=nearest[1],
        rendering=Chip(said.text, said.tone) if said else None,
        rendering_sub=said.sub if said else "",
        render_now=said is not None and said.open and scope.may("render"),
        evidence_of=row.host_id if said and row.standing is not None else "",
        icons=_icons(row, record, scope, host, kind, hidden=hidden or vanished, back=back),
    )


def why_not_changed(row: Any) -> str | None:
    """Return why the actor may not touch a row's mapping, None where they may."""
    if row.state in ("auto", "user") and not row.within:
        return "It is mapped in another agency"
    return None


_CHIPS = {
    "auto": Chip("Auto", "auto"),
    "user": Chip("User", "user"),
    "ignored": Chip("Ignored", "none"),
    None: Chip("None", "none"),
}


def _person(record: Any) -> str:
    return f"{record.first_name} {record.last_name}".strip() or "(no name)"


def _note_title(row: Any, note: Any) -> str:
    if note.date is None:
        return "Date or time cannot be read"
    span = f"{minute_text(note.start)}–{minute_text(note.end)}"
    zone = f" ({row.student_zone})" if _other_zone(row) else ""
    return f"{note.date:%a} {day_text(note.date)}, {span}{zone}"


def _other_zone(row: Any) -> bool:
    """Tell whether note and appointment stand in time zones that differ."""
    zone = row.entity_time_zone or row.nearest_time_zone
    return zone is not None and row.student_zone is not None and zone != row.student_zone


_TITLE: dict[str, Callable[[Any, Any], str]] = {
    SITE.name: lambda _row, record: record.name or "(no name)",
    STUDENT.name: lambda _row, record: _person(record),
    USER.name: lambda _row, record: _person(record),
    NOTE.name: _note_title,
}


def _join(*parts: str | None) -> str:
    return " · ".join(filter(None, parts))


def _note_sub(row: Any, note: Any, _sites: Mapping[str, list[str]]) -> str:
    student = f"{row.student_first or ''} {row.student_last or ''}".strip() or "unknown student"
    user = f"{row.user_first or ''} {row.user_last or ''}".strip() or "unknown user"
    published = f"published {day_text(note.published_at)}" if note.published_at else ""
    return _join(f"{student} with {user}", row.site_name, note.template, published)


_SUB: dict[str, Callable[[Any, Any, Mapping[str, list[str]]], str]] = {
    SITE.name: lambda _row, record, _sites: "" if record.active else "inactive",
    STUDENT.name: lambda row, record, _sites: _join(
        f"born {day_text(record.date_of_birth)}",
        row.site_name,
        "" if record.active else "inactive",
    ),
    USER.name: lambda _row, record, sites: _join(
        record.email,
        ", ".join(sites.get(record.vendor_id, [])),
        "" if record.active else "inactive",
    ),
    NOTE.name: _note_sub,
}


def _appointment_label(row: Any) -> tuple[str, str]:
    start, end = time_text(row.entity_start), time_text(row.entity_end)
    other_day = row.entity_date is not None and row.entity_date != row[0].date
    other = day_text(row.entity_date) if other_day else ""
    zone = row.entity_time_zone if _other_zone(row) else ""
    return f"{start}–{end}", _join(other, zone, _apart(row, "entity"))


_LABEL: dict[str, Callable[[Any], tuple[str, str]]] = {
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


def _apart(row: Any, entity: str) -> str:
    """Return how far the times of an appointment ("entity" or "nearest") are from the note's."""
    note = row[0]
    start, end = getattr(row, f"{entity}_start"), getattr(row, f"{entity}_end")
    if note.date is None or start is None or end is None or row.student_zone is None:
        return ""
    apart = minutes_apart(
        Span(note.date, note.start, note.end, row.student_zone),
        Span(
            getattr(row, f"{entity}_date"),
            start.hour * 60 + start.minute,
            end.hour * 60 + end.minute,
            getattr(row, f"{entity}_time_zone"),
        ),
    )
    told = [
        f"{name} {minutes}"
        for name, minutes in zip(("start", "end"), apart or (0, 0), strict=True)
        if minutes
    ]
    return f"{', '.join(told)} min apart" if told else ""


def _why(kind: Kind, row: Any, record: Any) -> str:
    if row.settled and kind is not NOTE:
        return ""
    if record.why is None:
        return "Not tried yet"
    told = REASONS[record.why]
    if kind is NOTE and row.nearest_date is not None:
        apart = _apart(row, "nearest") if row.nearest_within else ""
        if apart:
            told = f"{told}: {apart}"
    return told


def _nearest(kind: Kind, row: Any, record: Any) -> tuple[str, str]:
    """Return the nearest entity that one click maps: a free appointment. ("", "") where there is
    none.
    """
    if kind is not NOTE or row.nearest_date is None:
        return "", ""
    if row.nearest_holder or not row.nearest_eligible or not row.nearest_within:
        return "", ""
    span = f"{time_text(row.nearest_start)}–{time_text(row.nearest_end)}"
    return record.nearest, f"{day_text(row.nearest_date)}, {span}"


def _differing(kind: Kind, row: Any, record: Any) -> str:
    """Name the compared fields in which record and entity are not equal."""
    found = [
        _FIELDS.get(name, name.replace("_", " "))
        for name in kind.compared
        if text_key(str(getattr(record, name))) != text_key(str(getattr(row, f"entity_{name}")))
    ]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found) or "name"


_FIELDS = {"date_of_birth": "birth date"}


def _note(kind: Kind, row: Any, record: Any, vanished: bool, hidden: bool) -> str:
    by = f"mapped by {row.by}, {row.at.day} {row.at:%b}" if row.state == "user" and row.by else ""
    gone = "no longer there" if vanished else ""
    differs = ""
    if row.names_differ and row.state in ("auto", "user") and not vanished:
        fields = _differing(kind, row, record)
        differs = f"{fields} differ{'s' if ' and ' not in fields else ''}"
        differs += " now" if row.state == "auto" else ""
    if kind is NOTE and row.host_id:
        drift = [] if vanished or hidden else drift_said(row)
        return _join(by, gone, *drift, source_said(row))
    return _join(by, differs, gone)


def _icons(
    row: Any, record: Any, scope: Scope, host: HostAdapter, kind: Kind, *, hidden: bool, back: str
) -> tuple[Icon, ...]:
    may_map = None if scope.may("map") else "You do not have the permission to map"
    reason = may_map or why_not_changed(row) or why_not_deleted(kind, row.state, row.dependents)
    delete = Icon("Delete mapping", "delete", reason)
    if kind is NOTE:
        return (delete,)
    noun = kind.entity_noun.lower()
    return (
        delete,
        _edit_icon(row, scope, host, kind, noun, hidden),
        _create_icon(row, record, scope, host, kind, noun, back),
    )


def _edit_icon(
    row: Any, scope: Scope, host: HostAdapter, kind: Kind, noun: str, hidden: bool
) -> Icon:
    if row.host_id is None:
        return Icon(f"Edit {noun}", "edit", f"There is no {noun} to edit yet")
    if hidden:
        return Icon(f"Edit {noun}", "edit", f"This {noun} is not yours to edit, or is gone")
    if not scope.may(f"edit_{kind.entity}"):
        return Icon(f"Edit {noun}", "edit", f"You do not have the permission to edit {noun}")
    url = host.url(kind.entity, row.entity_id, "edit")
    return Icon(f"Edit {noun}", "edit", None if url else "The host has no page for this", url)


def _create_icon(
    row: Any, record: Any, scope: Scope, host: HostAdapter, kind: Kind, noun: str, back: str
) -> Icon:
    name = f"Create {noun}"
    if row.host_id is not None:
        return Icon(name, "create", f"It is mapped to a {noun} already")
    if not scope.may(f"create_{kind.entity}"):
        return Icon(name, "create", f"You do not have the permission to create {noun}")
    values = {
        field: str(getattr(record, field))
        for field in ("name", "first_name", "last_name", "date_of_birth", "email")
        if hasattr(record, field)
    }
    if kind.by_site and row.home_agency is not None:
        values["agency_id"] = row.home_agency
    url = host.url(kind.entity, None, "create", values, f"{back}?row={record.id}")
    return Icon(name, "create", None if url else "The host has no page for this", url)
