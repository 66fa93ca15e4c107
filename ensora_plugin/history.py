"""The append-only history: a person's change is a row of its own, a run's mappings are one row a
kind.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select

from .clock import utcnow
from .database import AnySession
from .kinds import Kind
from .models import History, Mapping


def write_history(
    session: AnySession,
    account_id: int,
    *,
    action: str,
    by: str | None = None,
    run_id: int | None = None,
    kind: str | None = None,
    vendor_id: str | None = None,
    version: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Append a row, inside the caller's transaction. `before` and `after` hold ids, states and
    counts only.
    """
    session.add(
        History(
            account_id=account_id,
            at=utcnow(),
            by=by,
            run_id=run_id,
            action=action,
            kind=kind,
            vendor_id=vendor_id,
            version=version,
            before=before,
            after=after,
        )
    )


def digest_of_run(session: AnySession, account_id: int, kind: Kind, run_id: int) -> dict[str, Any]:
    """Return count and SHA-256 of the pairs that a run mapped, in the order in which they were
    made.
    """
    digest = hashlib.sha256()
    count = 0
    pairs = session.execute(
        select(Mapping.vendor_id, Mapping.host_id)
        .where(
            Mapping.account_id == account_id,
            Mapping.kind == kind.name,
            Mapping.run_id == run_id,
            Mapping.state == "auto",
        )
        .order_by(Mapping.id),
        execution_options={"yield_per": 5000},
    )
    for vendor_id, host_id in pairs:
        digest.update(f"{vendor_id}\x1f{host_id}\x1e".encode())
        count += 1
    return {"count": count, "sha256": digest.hexdigest()}
