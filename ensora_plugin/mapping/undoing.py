"""Undo: take back the last change of a mapping that a person made, while it stands unchanged."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from ..kinds import NOTE, Kind
from ..models import History, Mapping, Record
from ..rendering.withdrawing import Desk
from .cases import Case, case_of
from .changing import Stale, check_entity, check_free, said, sign, try_again, write_change
from .releasing import Consequences, forget_rejection, reject, release

#: The changes that can be taken back, as the history calls them.
UNDONE = ("map", "unmap", "ignore")


def last_change(desk: Desk, kind: Kind, vendor_id: str) -> History | None:
    """Return the last change of a record's mapping by a person, None where nobody ever did."""
    return desk.session.scalar(
        select(History)
        .where(
            History.account_id == desk.account_id,
            History.kind == kind.name,
            History.vendor_id == vendor_id,
            # What happened to a note in its appointment changes no mapping.
            History.version.is_not(None),
        )
        .order_by(History.id.desc())
        .limit(1)
    )


def undo_change(desk: Desk, kind: Kind, record: Record, *, version: int) -> Consequences:
    """Put a mapping back to what it was before the change that made its `version`.

    A rejection that the change brought about is taken back as well, and one that it took away
    comes back. Raises `Stale` where the change is no longer the last one, `Taken` where another
    record holds the entity by now, and `NotAllowed` where the entity is gone.
    """
    last = last_change(desk, kind, record.vendor_id)
    host_id = (last.before or {}).get("host_id") if last else None
    case = case_of(desk, kind, record, host_id)
    mapping = case.mapping
    if last is None or not _stands(last, mapping, version):
        raise Stale("This was changed meanwhile and can't be undone. Look at it as it stands now.")
    before, after = last.before or {}, last.after or {}
    if host_id is not None:
        check_entity(kind, case)
        check_free(kind, case)
    happened = Consequences()
    if mapping is not None and mapping.host_id != host_id:
        happened = release(desk, kind, record, mapping, must=kind is NOTE, rejects=False)
    if host_id is not None:
        forget_rejection(desk, kind, record.vendor_id, host_id)
    if after.get("rejected"):
        reject(desk, kind, record.vendor_id, after["host_id"])
    _restore(desk, kind, case, before)
    try_again(desk, kind, case)
    return happened


def _stands(last: History, mapping: Mapping | None, version: int) -> bool:
    if last.version != version or last.action not in UNDONE:
        return False
    if last.action == "unmap":
        return mapping is None
    return mapping is not None and mapping.version == version


def _restore(desk: Desk, kind: Kind, case: Case, before: dict[str, Any]) -> None:
    mapping, was = case.mapping, said(case.mapping)
    reason = mapping.reason if mapping else None
    fresh = Mapping(
        account_id=desk.account_id,
        kind=kind.name,
        vendor_id=case.record.vendor_id,
        host_id=before.get("host_id"),
        state=before.get("state", "user"),
        reason=reason,
        version=mapping.version if mapping else 0,
    )
    sign(desk, fresh, case)
    if mapping is not None:
        # A row anew: the database refuses to let one of a person become automap's.
        desk.session.delete(mapping)
        desk.session.flush()
    if not before:
        write_change(desk, "undo", fresh, was, after={})
        return
    if fresh.state == "auto":
        fresh.by, fresh.run_id = None, before.get("run_id")
    desk.session.add(fresh)
    write_change(desk, "undo", fresh, was)
    desk.session.flush()
