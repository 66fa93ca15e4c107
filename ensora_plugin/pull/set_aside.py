"""Records that break the contract: set aside with the reason, until they come whole.

Of one whose id cannot be read nobody knows when it does, unless its place is read again: after a
month it is no longer told of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from sqlalchemy import and_, bindparam, delete, or_

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
    own |= {"long_ago": utcnow() - _TOLD}
    session.connection().execute(_WHOLE_AGAIN, own)
    key = {"account_id": account_id, "kind": kind.name}
    by = {"run_id": run_id, "at": utcnow()}
    rows = [
        key | {"vendor_id": item.vendor_id, "reason": item.reason} | by for item in broken.values()
    ]
    upsert(session, SetAside.__table__, rows, [*key, "vendor_id"])


_TOLD = timedelta(days=30)
_WHOLE_AGAIN = delete(SetAside.__table__).where(
    SetAside.account_id == bindparam("account"),
    SetAside.kind == bindparam("of_kind"),
    or_(
        SetAside.vendor_id.in_(bindparam("ids", expanding=True)),
        and_(
            or_(*(SetAside.vendor_id.startswith(f"{way}:") for way in ("place", "checksum"))),
            SetAside.at < bindparam("long_ago"),
        ),
    ),
)
