"""The append-only history: a person's change is a row of its own, a run's mappings are one row a
kind. An account's rows are a chain: each has a hash over the one before it and itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ScalarSelect, select

from .clock import utcnow
from .database import KNOWN, AnySession
from .models import Connection, History


def lock_account(session: AnySession, account_id: int) -> None:
    """Hold the account's row until the end of the transaction.

    People and runs take it before they change a mapping or write into the history: in one order, so
    that they never wait for each other in a ring (PostgreSQL; SQLite has one writer).
    """
    account = select(Connection.id).where(Connection.id == account_id)
    # Rows that refer to the account may be written meanwhile.
    session.execute(account.with_for_update(key_share=True))


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
    """Append a row, inside the caller's transaction, which began with `begin_write` and holds the
    account's row: a chain has one end. `before` and `after` hold ids, states and counts only.
    """
    row = History(
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
    ends = session.info[KNOWN]
    if account_id not in ends:
        last = select(last_hash(account_id))
        # Through the connection: nothing that waits is to be flushed for it.
        ends[account_id] = session.connection().scalar(last)
    row.hash = ends[account_id] = _link(ends[account_id], row)
    session.add(row)


def last_hash(account_id: Any) -> ScalarSelect[bytes | None]:
    """Return the hash of an account's last row, as a column."""
    own = select(History.hash).where(History.account_id == account_id)
    return own.order_by(History.id.desc()).limit(1).scalar_subquery()


def know_end(session: AnySession, account_id: int, last: bytes | None) -> None:
    """Tell the transaction the hash of the account's last row, which was read under its lock."""
    session.info[KNOWN].setdefault(account_id, last)


def _link(before: bytes | None, row: Any) -> bytes:
    """Return the hash of a row behind one with the hash `before`."""
    told = [row.account_id, row.at.isoformat(timespec="microseconds"), row.by, row.run_id]
    told += [row.action, row.kind, row.vendor_id, row.version, row.before, row.after]
    content = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((before or b"") + content.encode()).digest()


@dataclass(frozen=True)
class Verified:
    """An account's chain: how many rows hold, and the hash of the last of them."""

    account: str
    rows: int
    head: str
    #: Rows from before there was a chain.
    unchained: int
    #: The id of the first row that does not hold.
    broken: int | None


def verify_history(session: AnySession) -> list[Verified]:
    """Follow every account's chain to its end, or to the first row that was changed, put in or
    taken away before it.

    Rows taken away at the end leave a chain that holds: somebody has to have kept its length.
    """
    accounts = session.execute(select(Connection.id, Connection.account)).all()
    found = [_follow(session, account_id, account) for account_id, account in accounts]
    session.rollback()
    return found


def _follow(session: AnySession, account_id: int, account: str) -> Verified:
    before: bytes | None = None
    rows = unchained = 0
    broken = None
    statement = select(History.__table__).filter_by(account_id=account_id).order_by(History.id)
    with session.execute(statement, execution_options={"yield_per": 5000}) as found:
        for row in found:
            if before is None and row.hash is None:
                unchained += 1
            elif row.hash == _link(before, row):
                before, rows = row.hash, rows + 1
            else:
                broken = row.id
                break
    return Verified(account, rows, (before or b"").hex(), unchained, broken)
