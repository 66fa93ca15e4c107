"""The host's entities of a kind, and one of them by the id that we keep as text."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, literal, select

from ..access import Scope
from ..database import AnySession
from ..kinds import SITE, USER, Kind
from .ids import native_ids
from .port import HostAdapter


def host_entity(host: HostAdapter, account: str, kind: Kind) -> Any:
    """Return the host's SELECT of a kind's entities as a named subquery."""
    selects = {
        "agency": host.agencies,
        "client": host.clients,
        "staff": host.staff,
        "appointment": host.appointments,
    }
    return selects[kind.entity](account).subquery(kind.entity)


def find_entity(
    session: AnySession, entity: Any, host_id: str, *conditions: ColumnElement[bool]
) -> Any:
    """Return the row of a host's entity by our text id, None where there is none under the
    conditions.
    """
    for native in native_ids(entity.c.id, [host_id]):
        return session.execute(select(entity).where(entity.c.id == native, *conditions)).first()
    return None


def in_agencies(scope: Scope, agency_id: Any) -> ColumnElement[bool]:
    """Return the condition that a host's column holds one of the actor's agencies."""
    if scope.agencies is None:
        return literal(True)
    own = [agency_id.type.python_type(agency) for agency in scope.agencies]
    return cast(ColumnElement[bool], agency_id.in_(own))


def of_agencies(scope: Scope, host: HostAdapter, kind: Kind, entity: Any) -> ColumnElement[bool]:
    """Return the condition that a host's entity belongs to the actor's agencies, as it stands now.

    `entity` is the named subquery of `host_entity`.
    """
    if scope.agencies is None:
        return literal(True)
    if kind is SITE:
        return in_agencies(scope, entity.c.id)
    if kind is USER:
        member = host.staff_agencies(scope.account).subquery("member_agency")
        own = select(member.c.staff_id).where(in_agencies(scope, member.c.agency_id))
        return cast(ColumnElement[bool], entity.c.id.in_(own))
    return in_agencies(scope, entity.c.agency_id)
