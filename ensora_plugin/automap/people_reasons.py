"""Why sites, students and users do not map, written beside them with the entity that comes nearest.

Only what is not mapped is looked at, and only what is other than what stands there is written.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

from sqlalchemy import bindparam, or_, update

from ..database import AnySession
from ..kinds import Kind
from .outcome import Mapped, Why, unmapped
from .people_open import Open
from .suggesting import Suggestion, suggest


def write_reasons(
    session: AnySession, account_id: int, kind: Kind, left: Open, result: Mapped
) -> None:
    """Write down why records do not map, where that changed, and clear it where they map now.

    Counts the reasons in `result`.
    """
    session.connection().execute(_clear_settled(kind), {"account": account_id})
    rows = list(left.records.values())
    if not rows:
        return
    pairs = defaultdict(list)
    for pair in left.pairs:
        pairs[pair.vendor_id].append(pair)
    whys = {row.vendor_id: _why(kind, row, pairs.get(row.vendor_id, [])) for row in rows}
    suggested = suggest(session, account_id, kind, rows, whys)
    changes = []
    for row in rows:
        why = whys[row.vendor_id]
        told = suggested.get(row.vendor_id, Suggestion(why.nearest, None))
        result.reasons[why.code] = result.reasons.get(why.code, 0) + 1
        new = (why.code, told.nearest, why.rival, told.by)
        if new != (row.why, row.nearest, row.rival, row.suggested_by):
            names = ("code", "near", "held_by", "chosen_by")
            changes.append({"record": row.id, **dict(zip(names, new, strict=True))})
    if changes:
        session.connection().execute(_write(kind), changes)
    result.ambiguous = result.reasons.get("ambiguous", 0)


@cache
def _write(kind: Kind) -> Any:
    table = kind.model.__table__
    return (
        update(table)
        .where(table.c.id == bindparam("record"))
        .values(
            why=bindparam("code"),
            nearest=bindparam("near"),
            rival=bindparam("held_by"),
            suggested_by=bindparam("chosen_by"),
        )
    )


@cache
def _clear_settled(kind: Kind) -> Any:
    """Forget the reasons of records that are mapped or ignored now, or became a Parent."""
    table: Any = kind.model.__table__
    account: Any = bindparam("account")
    return (
        update(table)
        .where(
            table.c.account_id == account,
            table.c.why.is_not(None),
            or_(~unmapped(kind, account), kind.outside),
        )
        .values(why=None, nearest=None, rival=None, suggested_by=None)
    )


def _why(kind: Kind, record: Any, pairs: list[Any]) -> Why:
    if not pairs:
        return Why(_why_none_equal(kind, record))
    standing = [pair for pair in pairs if pair.stands]
    if len(standing) != 1:
        # Without a standing pair the record is an inactive one that yields to an active twin.
        taken = [pair for pair in pairs if pair.holder]
        held = min(taken, key=lambda pair: pair.host_id, default=None)
        if standing or held is None:
            return Why("ambiguous")
        return Why("taken", nearest=held.host_id, rival=held.holder)
    pair = standing[0]
    if pair.records > 1:
        return Why("ambiguous", nearest=pair.host_id)
    if pair.rejected:
        return Why("rejected_by_a_person", nearest=pair.host_id)
    return Why("taken", nearest=pair.host_id, rival=pair.holder)


def _why_none_equal(kind: Kind, record: Any) -> str:
    if kind.by_site and not record.has_site:
        return "no_site"
    if kind.by_site and record.agencies is None:
        return "no_site_mapping"
    if record.match_key is None:
        return kind.blank
    return "other_agency" if kind.by_site and record.elsewhere else kind.none_equal
