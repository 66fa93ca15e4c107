"""The icons of the Action column: each enabled as the rules say, else with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .access import Scope
from .host import HostAdapter
from .kinds import NOTE, Kind
from .mapping import why_not_deleted


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


def why_not_changed(row: Any) -> str | None:
    """Return why the actor may not touch a row's mapping, None where they may."""
    if row.state in ("auto", "user") and not row.within:
        return "It is mapped in another agency"
    return None


def icons_of(
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
    return Icon(f"Edit {noun}", "edit", None if url else "There is no page for this", url)


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
    url = host.url(kind.entity, None, "create", values, f"{back}&row={record.id}")
    return Icon(name, "create", None if url else "There is no page for this", url)
