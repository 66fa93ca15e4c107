"""Records that break the contract: set aside with the reason, until they come whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import bindparam, delete

from ..clock import utcnow
from ..database import AnySession, upsert
from ..kinds import Kind
from ..models import SetAside
from ..vendor.records import Broken


def write_set_aside(
    session: AnySession,
    account_id: int,
    run_id: int,
    kind: Kind,
    read: Collection[str],
    broken: Mapping[str, Broken],
) -> None:
    """Set broken records aside, until one comes whole or what stands in its place is `read`."""
    own = {"account": account_id, "of_kind": kind.name, "ids": list(read)}
    session.connection().execute(_WHOLE_AGAIN, own)
    key = {"account_id": account_id, "kind": kind.name}
    by = {"run_id": run_id, "at": utcnow()}
    rows = [
        key | {"vendor_id": item.vendor_id, "reason": item.reason} | by for item in broken.values()
    ]
    upsert(session, SetAside.__table__, rows, [*key, "vendor_id"])


_WHOLE_AGAIN = delete(SetAside.__table__).where(
    SetAside.account_id == bindparam("account"),
    SetAside.kind == bindparam("of_kind"),
    SetAside.vendor_id.in_(bindparam("ids", expanding=True)),
)
