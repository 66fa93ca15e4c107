"""The icons of the Action column: each enabled as the rules say, else with the reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..access import Scope
from ..kinds import NOTE, Kind
from ..mapping.mapping import why_not_deleted


@dataclass(frozen=True)
class Icon:
    """An icon of the Action column: a name and a symbol, or why it is disabled."""

    name: str
    symbol: str
    reason: str | None

    @property
    def enabled(self) -> bool:
        return self.reason is None


def why_not_changed(row: Any) -> str | None:
    """Return why the actor may not touch a row's mapping, None where they may; a `Case` will do."""
    if row.state in ("auto", "user") and not row.within:
        return "It is mapped in another agency"
    return None


def icons_of(
    row: Any, scope: Scope, kind: Kind, pages: Collection[str], *, hidden: bool
) -> tuple[Icon, ...]:
    """Return the icons of a row; `pages` are the verbs that the host has a page for, and `hidden`
    says that the entity is not the actor's, or gone.
    """
    may_map = None if scope.may("map") else "You do not have the permission to map"
    reason = may_map or why_not_changed(row) or why_not_deleted(kind, row.state, row.dependents)
    delete = Icon("Delete mapping", "delete", reason)
    if kind is NOTE:
        return (delete,)
    noun = kind.entity_noun.lower()
    edit = _why_not_edited(row, scope, kind, noun, hidden)
    create = _why_not_created(row, scope, kind, noun)
    missing = "There is no page for this"
    return (
        delete,
        Icon(f"Edit {noun}", "edit", edit or (None if "edit" in pages else missing)),
        Icon(f"Create {noun}", "create", create or (None if "create" in pages else missing)),
    )


def _why_not_edited(row: Any, scope: Scope, kind: Kind, noun: str, hidden: bool) -> str | None:
    if row.host_id is None:
        return f"There is no {noun} to edit yet"
    if hidden:
        return f"This {noun} is not yours to edit, or is gone"
    if not scope.may(f"edit_{kind.entity}"):
        return f"You do not have the permission to edit {noun}"
    return None


def _why_not_created(row: Any, scope: Scope, kind: Kind, noun: str) -> str | None:
    if row.host_id is not None:
        return "It is mapped already"
    if not scope.may(f"create_{kind.entity}"):
        return f"You do not have the permission to create {noun}"
    return None


def values_of(row: Any, kind: Kind) -> dict[str, str]:
    """Return what a create page gets of a row: names, birth date or email, and agency."""
    values = {
        field: str(getattr(row, field))
        for field in ("name", "first_name", "last_name", "date_of_birth", "email")
        if hasattr(row, field)
    }
    if kind.by_site and row.home_agency is not None:
        values["agency_id"] = row.home_agency
    return values
