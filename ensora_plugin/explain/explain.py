"""Why a record does not map, explained on demand: what comes near it, and in which facts it
differs.

For each kind every statement comes in by an index, and a bounded number of rows is looked at.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, select

from ..automap.reasons import REASONS, UNTRIED
from ..database import AnySession
from ..host.port import HostAdapter
from ..kinds import NOTE, Kind
from ..models import Mapping
from .explanation import Candidate, Explanation, Fact, Holder, Question
from .notes import near_appointments
from .people import near_entities

__all__ = ["Candidate", "Explanation", "Fact", "Holder", "explain"]


def explain(
    session: AnySession,
    account_id: int,
    account: str,
    host: HostAdapter,
    kind: Kind,
    vendor_id: str,
    *,
    grace: int,
    agencies: frozenset[str] | None = None,
) -> Explanation:
    """Return why a record does not map and at most 50 entities that come near, nearest first.

    `grace` in whole minutes. `agencies`: the ids of those that the person sees, None for all; what
    stands in others is told as "another agency" and no more. Whether they may see the record itself
    is the caller's to ask. Writes and flushes nothing. Raises LookupError where there is no such
    record.
    """
    code, reason = _reason(session, account_id, kind, vendor_id)
    question = Question(session, account_id, account, host, agencies)
    if kind is NOTE:
        near = near_appointments(question, vendor_id, grace)
    else:
        near = near_entities(question, kind, vendor_id)
    return Explanation(code, reason, tuple(near))


def _reason(
    session: AnySession, account_id: int, kind: Kind, vendor_id: str
) -> tuple[str | None, str]:
    values = {"account": account_id, "vendor_id": vendor_id}
    row = session.connection().execute(_stands(kind), values).first()
    if row is None:
        raise LookupError(f"no {kind.name} of that id")
    if row.state is not None:
        return None, "Ignored" if row.state == "ignored" else "Mapped"
    if row.why is None:
        return None, UNTRIED
    words = REASONS[row.why]
    if row.why == "outside_the_grace" and row.why_minutes is not None:
        words = f"{words}: {row.why_minutes} min apart"
    return row.why, words


@cache
def _stands(kind: Kind) -> Any:
    """SELECT what stands beside a record of an `account` by its `vendor_id`, and its mapping.

    Built once, since that takes longer than to run it.
    """
    record, own = kind.model.__table__, Mapping.__table__
    mapped = and_(
        own.c.account_id == record.c.account_id,
        own.c.kind == kind.name,
        own.c.vendor_id == record.c.vendor_id,
    )
    return (
        select(record.c.why, record.c.why_minutes, own.c.state)
        .select_from(record.outerjoin(own, mapped))
        .where(
            record.c.account_id == bindparam("account"),
            record.c.vendor_id == bindparam("vendor_id"),
        )
    )
