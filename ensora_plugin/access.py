"""Who may see and do what: the actor's agencies and permissions, and why an icon is disabled.

Everything is enforced here for the server; what a page hides or disables is only courtesy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import aliased

from .automap.outcome import unmapped
from .dialect import among
from .host.port import ALL, Actor
from .kinds import NOTE, SITE, STUDENT, USER, Kind
from .models import Mapping, Membership, Note, Site, Student


@dataclass(frozen=True)
class Scope:
    """The account and the person of a request, bounded to their agencies (None for all)."""

    account_id: int
    account: str
    actor: Actor
    agencies: frozenset[str] | None

    @classmethod
    def of(cls, account_id: int, account: str, actor: Actor) -> Scope:
        """Make the scope of an actor; the agencies' ids become text as our tables have them."""
        agencies = None if actor.agencies is ALL else frozenset(map(str, actor.agencies))
        return cls(account_id, account, actor, agencies)

    def may(self, permission: str) -> bool:
        """Tell whether the actor has a permission by its name."""
        return permission in self.actor.permissions

    @property
    def has_agency(self) -> bool:
        """Whether there is an agency to see; without any the Agencies tab is gone."""
        return self.agencies is None or bool(self.agencies)

    def holds(self, agency_id: object) -> bool:
        """Tell whether an agency of the host is one of the actor's."""
        return self.agencies is None or (agency_id is not None and str(agency_id) in self.agencies)

    def sees(self, kind: Kind) -> ColumnElement[bool]:
        """Return the condition on a record table under which the actor sees a record."""
        if self.agencies is None:
            return ~kind.outside
        return ~kind.outside & _VISIBLE[kind.name](self)

    def mapped_sites(self) -> Any:
        """SELECT the vendor's ids of the sites that are mapped to the actor's agencies."""
        site = aliased(Mapping, name="scope_site")
        return select(site.vendor_id).where(
            site.account_id == self.account_id,
            site.kind == SITE.name,
            site.host_id.in_(self.agencies or ()),
        )


def _sites(scope: Scope) -> ColumnElement[bool]:
    mapped = among(Site.vendor_id, scope.mapped_sites())
    # Whoever may map has to see what waits to be mapped.
    return or_(mapped, unmapped(SITE, scope.account_id)) if scope.may("map") else mapped


def _users(scope: Scope) -> ColumnElement[bool]:
    return exists().where(
        Membership.account_id == scope.account_id,
        Membership.kind == USER.name,
        Membership.vendor_id == USER.model.vendor_id,
        among(Membership.site_id, scope.mapped_sites()),
    )


_VISIBLE: dict[str, Callable[[Scope], ColumnElement[bool]]] = {
    SITE.name: _sites,
    STUDENT.name: lambda scope: among(Student.site_id, scope.mapped_sites()),
    USER.name: _users,
    NOTE.name: lambda scope: among(Note.site_id, scope.mapped_sites()),
}


def open_sites_of(account_id: Any) -> Any:
    """Return, for a SELECT over accounts, how many sites of the whole account nobody has settled:
    they close the other tabs.

    Inactive and ignored sites count as settled (domain: Automap).
    """
    settled = exists().where(
        Mapping.account_id == Site.account_id,
        Mapping.kind == SITE.name,
        Mapping.vendor_id == Site.vendor_id,
    )
    return (
        select(func.count())
        .select_from(Site)
        .where(Site.account_id == account_id, ~SITE.settled, ~settled)
        .scalar_subquery()
    )
