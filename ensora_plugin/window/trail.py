"""The audit trail: who changed which mapping when, and what the runs did, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select

from ..access import Scope
from ..database import AnySession
from ..kinds import BY_NAME, KINDS, Kind
from ..models import History

PAGE = 50
#: Action -> the words of its line.
ACTIONS = {
    "activate": "Feature activated",
    "connect": "Connected to Data Collection",
    "map": "Mapped",
    "unmap": "Mapping deleted",
    "ignore": "Ignored",
    "unignore": "No longer ignored",
    "undo": "Change taken back",
    "automap": "Automap",
    "agree": "Agreed to a held pull",
    "settings": "Settings changed",
    "begin_rotation": "Sealing with a new key begun",
    "rotate_keys": "Sealed with a new key",
    "render": "Rendering asked for",
    "withdraw": "Note taken back from its appointment",
    "view_evidence": "Evidence looked at",
    "export": "Report exported",
}


@dataclass(frozen=True)
class Step:
    """A line of the trail. `record` is the record's name, "" where it is not one record's."""

    id: int
    at: datetime
    who: str
    words: str
    kind: Kind | None
    vendor_id: str
    record: str
    facts: list[tuple[str, str]]


@dataclass(frozen=True)
class TrailPage:
    """Lines, newest first; `older` is where the next page begins, None at the end."""

    steps: list[Step]
    older: int | None


def trail_page(
    session: AnySession,
    scope: Scope,
    *,
    kind: Kind | None = None,
    vendor_id: str = "",
    before: int | None = None,
) -> TrailPage:
    """Return a page of what the actor may read: of their agencies' records, and with all agencies
    also what concerns the account as a whole.
    """
    statement = select(History).where(History.account_id == scope.account_id, _readable(scope))
    if kind is not None:
        statement = statement.where(History.kind == kind.name)
    if vendor_id:
        statement = statement.where(History.vendor_id == vendor_id)
    if before is not None:
        statement = statement.where(History.id < before)
    rows = list(session.scalars(statement.order_by(History.id.desc()).limit(PAGE + 1)))
    more, rows = len(rows) > PAGE, rows[:PAGE]
    names = _names(session, scope, rows)
    steps = [_step(row, names.get((row.kind, row.vendor_id), "")) for row in rows]
    return TrailPage(steps, rows[-1].id if more else None)


def _readable(scope: Scope) -> ColumnElement[bool]:
    own = [
        (History.kind == kind.name)
        & exists().where(
            kind.model.account_id == scope.account_id,
            kind.model.vendor_id == History.vendor_id,
            scope.sees(kind),
        )
        for kind in KINDS
    ]
    return or_(*own) if scope.agencies is not None else History.id > 0


def _names(
    session: AnySession, scope: Scope, rows: list[History]
) -> dict[tuple[str | None, str | None], str]:
    """Return the names of the records of some lines, by kind and vendor id."""
    found: dict[tuple[str | None, str | None], str] = {}
    for kind in KINDS:
        ids = {row.vendor_id for row in rows if row.kind == kind.name and row.vendor_id}
        if not ids:
            continue
        records = session.scalars(
            select(kind.model).where(
                kind.model.account_id == scope.account_id, kind.model.vendor_id.in_(ids)
            )
        )
        found |= {(kind.name, record.vendor_id): _name(record) for record in records}
    return found


def _name(record: Any) -> str:
    if hasattr(record, "first_name"):
        return f"{record.last_name}, {record.first_name}"
    return str(getattr(record, "name", "") or record.sort_key)


def _step(row: History, name: str) -> Step:
    return Step(
        id=row.id,
        at=row.at,
        who=row.by or (f"run {row.run_id}" if row.run_id else "—"),
        words=ACTIONS[row.action],
        kind=BY_NAME.get(row.kind or ""),
        vendor_id=row.vendor_id or "",
        record=name,
        facts=_facts(row.before or {}, row.after or {}),
    )


def _facts(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what changed, as name and "old → new"."""
    facts = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        told = _word(new) if old is None else f"{_word(old)} → {_word(new)}"
        facts.append((name.replace("_", " "), told))
    return facts


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_word(each)}" for name, each in value.items())
    return str(value)
