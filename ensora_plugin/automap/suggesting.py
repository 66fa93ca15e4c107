"""Which entity comes nearest to a site, student or user that equals none: a suggestion, and never
more.

It is looked for again where a record is new or changed, or where the directory changed near it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ..database import AnySession
from ..kinds import SITE, Kind
from ..models import Connection, Directory, Rejected
from .near_entries import Search, facts_of
from .outcome import Why

#: After more changes than these of the directory, all that is unmapped is looked at.
_MANY = 2000
#: Reasons for which somebody may be suggested: of the others it is known, or the site comes first.
SUGGESTED = frozenset(
    (
        *("no_agency_of_that_name", "no_such_client", "no_such_staff", "other_agency", "no_site"),
        *("empty_name_or_birth_date", "empty_name_or_email"),
    )
)


@dataclass(frozen=True)
class Suggestion:
    """The nearest entity, and a digest of what it was chosen by."""

    nearest: str | None
    by: bytes | None


def suggest(
    session: AnySession,
    account_id: int,
    kind: Kind,
    rows: Sequence[Any],
    whys: Mapping[str, Why],
) -> dict[str, Suggestion]:
    """Return vendor id -> the nearest entity, of those records whose reason leaves room for one.

    What stands there is kept where nothing changed for the record.
    """
    open_rows = [row for row in rows if whys[row.vendor_id].code in SUGGESTED]
    if not open_rows:
        return {}
    rejected = _rejected(session, account_id, kind)
    near_changes = _near_changes(session, account_id, kind)
    found: dict[str, Suggestion] = {}
    again: dict[str, tuple[Any, bytes]] = {}
    for row in open_rows:
        by = _digest(row, rejected[row.vendor_id])
        stands = (row.why, row.suggested_by) == (whys[row.vendor_id].code, by)
        if stands and not row.nearest_gone and not near_changes(row):
            found[row.vendor_id] = Suggestion(row.nearest, by)
        else:
            again[row.vendor_id] = (row, by)
    search = Search(session, account_id, kind, rejected)
    nearest = search.nearest([row for row, _ in again.values()])
    return found | {
        vendor_id: Suggestion(nearest.get(vendor_id), by) for vendor_id, (_, by) in again.items()
    }


def _digest(row: Any, rejected: Iterable[str]) -> bytes:
    told = (row.checksum.hex(), row.agencies, *sorted(rejected))
    return hashlib.blake2b("\x1f".join(map(str, told)).encode(), digest_size=16).digest()


def _rejected(session: AnySession, account_id: int, kind: Kind) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in session.execute(
        select(Rejected.vendor_id, Rejected.host_id).where(
            Rejected.account_id == account_id, Rejected.kind == kind.name
        )
    ):
        found[row.vendor_id].add(row.host_id)
    return found


def _near_changes(session: AnySession, account_id: int, kind: Kind) -> Any:
    """Return a function that tells whether an entry came or changed since the last pass that may be
    near a record, or was near it.

    The generation before counts as well: it lasts on after the pass over the kind, till the notes'.
    """
    passed = select(Connection.generation).where(Connection.id == account_id).scalar_subquery()
    changed = session.execute(
        select(Directory.host_id, Directory.facts)
        .where(
            Directory.account_id == account_id,
            Directory.entity == kind.entity,
            Directory.touched >= passed - 1,
        )
        .limit(_MANY + 1)
    ).all()
    if not changed:
        return lambda _row: False
    if len(changed) > _MANY or kind is SITE:
        return lambda _row: True
    ids = {row.host_id for row in changed}
    names = {tuple(row.facts[:-1]) for row in changed}
    lasts = {row.facts[-1] for row in changed} - {""}

    def near(row: Any) -> bool:
        *mine, last = facts_of(kind, row)
        return row.nearest in ids or tuple(mine) in names or last in lasts

    return near
