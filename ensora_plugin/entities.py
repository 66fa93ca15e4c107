"""The host's entities of a kind, and one of them by the id that we keep as text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from .database import AnySession
from .host import HostAdapter
from .kinds import Kind


def host_entity(host: HostAdapter, account: str, kind: Kind) -> Any:
    """Return the host's SELECT of a kind's entities as a named subquery."""
    selects = {
        "agency": host.agencies,
        "client": host.clients,
        "staff": host.staff,
        "appointment": host.appointments,
    }
    return selects[kind.entity](account).subquery(kind.entity)


def find_entity(session: AnySession, entity: Any, host_id: str) -> Any:
    """Return the row of a host's entity by our text id, None where there is none."""
    try:
        native = entity.c.id.type.python_type(host_id)
    except ValueError:
        return None
    # " 12" and "012" are 12 to Python, but not to the unique constraint.
    if str(native) != host_id or (isinstance(native, int) and abs(native) >= 2**63):
        return None
    return session.execute(select(entity).where(entity.c.id == native)).first()
