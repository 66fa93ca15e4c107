"""What a row of a tab says: titles, chips, reasons and the three icons, for any kind. Templates
only print it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..access import Scope
from ..clock import utcnow
from ..kinds import NOTE, Kind
from .rendering_words import rendering_said
from .row_icons import Icon, icons_of, why_not_changed
from .row_words import LABEL, SUB, TITLE, Nearest, nearest_of, remark, why_text


@dataclass(frozen=True)
class Chip:
    """A short word with a tone: auto, user, none, ok, bad, warn."""

    text: str
    tone: str


@dataclass(frozen=True)
class Ask:
    """A question in a row before a change is made: what it brings about, and how to go on."""

    #: The change, as its address ends.
    verb: str
    words: str
    button: str
    values: dict[str, Any]
    #: Whether the person has to say why.
    reason: bool = False


@dataclass(frozen=True)
class RowView:
    """A row as the template prints it."""

    id: int
    #: The address of the row; what is done with it stands under it.
    at: str
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
    nearest: Nearest | None
    rendering: Chip | None
    rendering_sub: str
    #: Whether the actor may ask for the rendering now, and whose evidence there is to see.
    render_now: bool
    evidence_of: str
    icons: tuple[Icon, ...]
    #: Why a person ignores it, empty where nobody does.
    ignored: str
    #: The vendor's id under which the actor may read the record's history, empty for others.
    trail: str
    #: The version of the person's own change of today that Undo takes back, 0 for none.
    undo: int
    #: What is in the way of a change that was tried, and the question before one.
    message: str = ""
    ask: Ask | None = None


def row_view(row: Any, scope: Scope, kind: Kind, *, at: str, pages: Collection[str]) -> RowView:
    """Return what a row of `listing.py` says.

    `at` is the address of its tab, `pages` are the verbs that the host has a page for.
    """
    may_map = scope.may("map")
    hidden = why_not_changed(row) is not None
    label, label_sub = LABEL[kind.name](row)
    vanished = row.host_id is not None and row.entity_id is None
    if hidden:
        label, label_sub = "another agency", ""
    elif vanished:
        label, label_sub = f"{kind.entity_noun} {row.host_id}", ""
    why = "" if row.state else why_text(kind, row)
    told = rendering_said(row) if kind is NOTE and row.host_id and not hidden else None
    # The evidence of an appointment that is gone is for those who see all agencies.
    proven = told is not None and row.standing is not None
    proven = proven and not (vanished and scope.agencies is not None)
    return RowView(
        id=row.id,
        at=f"{at}{row.id}",
        kind=kind,
        title=TITLE[kind.name](row),
        sub=SUB[kind.name](row),
        label=label if row.host_id else "",
        label_sub=label_sub if row.host_id else "",
        chip=_CHIPS[row.state],
        note=remark(kind, row, vanished, hidden),
        version=row.mapping_version,
        may_map=may_map and not hidden,
        why=why,
        nearest=nearest_of(kind, row) if may_map and not row.state else None,
        rendering=Chip(told.text, told.tone) if told else None,
        rendering_sub=told.sub if told else "",
        render_now=told is not None and told.open and scope.may("render"),
        evidence_of=row.host_id if proven else "",
        icons=icons_of(row, scope, kind, pages, hidden=hidden or vanished),
        ignored=_ignored(row),
        # What a run mapped stands in its own line of the history, not in one of the record.
        trail=row.vendor_id if row.state != "auto" and scope.may("audit") else "",
        undo=row.mapping_version if may_map and not hidden and _own_of_today(row, scope) else 0,
    )


def _ignored(row: Any) -> str:
    if row.state != "ignored":
        return ""
    return f"ignored by {row.by}, {row.at.day} {row.at:%b}: {row.reason}"


def _own_of_today(row: Any, scope: Scope) -> bool:
    return (
        row.state in ("user", "ignored")
        and row.by == scope.actor.name
        and row.at > utcnow() - timedelta(days=1)
    )


_CHIPS = {
    "auto": Chip("Auto", "auto"),
    "user": Chip("User", "user"),
    "ignored": Chip("Ignored", "none"),
    None: Chip("None", "none"),
}
