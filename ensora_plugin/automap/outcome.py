"""Automap: records that equal a host's entity get a mapping, and what does not map says why.

One set-based pass a kind, whose cost goes with what is not mapped yet: sites, students and users in
`people.py`, session notes in `notes.py`. Here is what both have in common.
"""

from __future__ import annotations

import hashlib
from collections import abc
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import aliased

from ..clock import utcnow
from ..database import AnySelect, AnySession
from ..kinds import Kind
from ..models import History, Mapping

#: A name of its own, since the statement around it may look at mappings as well.
_any = aliased(Mapping, name="any_mapping")


@dataclass(frozen=True)
class Why:
    """Why a record does not map: a code of `reasons.py`, and what belongs to it."""

    code: str
    minutes: int | None = None
    nearest: str | None = None
    rival: str | None = None


@dataclass
class Mapped:
    """What a pass did: mappings made, and how many records stayed ambiguous.

    `beyond`: the last mapping that its run had made before, be it under another worker.
    """

    made: int = 0
    beyond: int = 0
    ambiguous: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def unmapped(kind: Kind, account_id: Any) -> ColumnElement[bool]:
    """Return the condition that a record of the kind has no mapping, not even an ignored one."""
    return ~exists().where(
        _any.account_id == account_id,
        _any.kind == kind.name,
        _any.vendor_id == kind.model.vendor_id,
    )


def mapped_by_run(account_id: int, kind: Kind, run_id: int, beyond: int = 0) -> AnySelect:
    """SELECT the vendor ids of the records of a kind that a run mapped, beyond one of its
    mappings.
    """
    return select(Mapping.vendor_id).where(*_of_run(account_id, kind, run_id, beyond))


def auto_mappings(
    account_id: int, kind: Kind, run_id: int, pairs: abc.Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the rows of the mappings that a run makes by itself, of pairs record -> entity."""
    own = {"account_id": account_id, "kind": kind.name, "state": "auto", "run_id": run_id}
    own |= {"at": utcnow()}
    return [own | {"vendor_id": record, "host_id": entity} for record, entity in pairs.items()]


def last_of_run(session: AnySession, account_id: int, kind: Kind, run_id: int) -> int:
    """Return the last mapping of a kind that a run made; 0 where there is none."""
    # Not the bare id: PostgreSQL would walk through those of all runs, from the last one back.
    last = select(func.max(Mapping.id + 0)).where(*_of_run(account_id, kind, run_id, 0))
    return session.scalar(last) or 0


def mappings_of_run(
    session: AnySession, account_id: int, kind: Kind, run_id: int, beyond: int
) -> int:
    """Count the mappings that a run made beyond one; drivers do not tell for INSERT .. SELECT."""
    made = mapped_by_run(account_id, kind, run_id, beyond).subquery()
    return session.scalar(select(func.count()).select_from(made)) or 0


def go_on_with_versions(
    session: AnySession, account_id: int, kind: Kind, run_id: int, beyond: int
) -> None:
    """Let the versions of a run's new mappings go on where those of the same records ended, so that
    nobody takes one for a mapping that was there before.
    """
    of_record = (
        History.account_id == account_id,
        History.kind == kind.name,
        History.vendor_id == Mapping.vendor_id,
        History.version.is_not(None),
    )
    last = select(func.max(History.version)).where(*of_record).scalar_subquery()
    session.execute(
        update(Mapping)
        .where(*_of_run(account_id, kind, run_id, beyond), exists().where(*of_record))
        .values(version=last + 1)
        .execution_options(synchronize_session=False)
    )


def digest_of_run(
    session: AnySession, account_id: int, kind: Kind, run_id: int, beyond: int
) -> dict[str, Any]:
    """Return count and SHA-256 of the pairs that a run mapped beyond one of its mappings, in the
    order in which they were made.
    """
    digest = hashlib.sha256()
    count = 0
    pairs = session.execute(
        select(Mapping.vendor_id, Mapping.host_id)
        .where(*_of_run(account_id, kind, run_id, beyond))
        .order_by(Mapping.id),
        execution_options={"yield_per": 5000},
    )
    for vendor_id, host_id in pairs:
        digest.update(f"{vendor_id}\x1f{host_id}\x1e".encode())
        count += 1
    return {"count": count, "sha256": digest.hexdigest()}


def _of_run(account_id: int, kind: Kind, run_id: int, beyond: int) -> tuple[Any, ...]:
    return (
        Mapping.account_id == account_id,
        Mapping.kind == kind.name,
        Mapping.run_id == run_id,
        Mapping.state == "auto",
        Mapping.id > beyond,
    )
