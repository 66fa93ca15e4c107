"""Why sites, students and users do not map, written beside them with the entity that comes nearest.

Only what is not mapped is looked at, and only what is other than what stands there is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from ..database import AnySelect, AnySession
from ..dialect import pinned_join
from ..kinds import SITE, Kind
from ..models import Directory, Mapping, Membership, Record
from .outcome import Mapped, Why, unmapped
from .people_pairs import counted_pairs, rejected_pair
from .suggesting import Suggestion, suggest


def write_reasons(
    session: AnySession, account_id: int, kind: Kind, found: Sequence[Any], result: Mapped
) -> None:
    """Write down why records do not map, where that changed, and clear it where they map now.

    `found`: what `open_pairs` gives. Counts the reasons in `result`.
    """
    _clear_settled(session, account_id, kind)
    rows = session.execute(_facts(account_id, kind)).all()
    if not rows:
        return
    pairs = defaultdict(list)
    for pair in found:
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


def _clear_settled(session: AnySession, account_id: int, kind: Kind) -> None:
    """Forget the reasons of records that are mapped or ignored now, or became a Parent."""
    model: type[Record] = kind.model
    cleared = {"why": None, "nearest": None, "rival": None, "suggested_by": None}
    session.execute(
        update(model)
        .where(
            model.account_id == account_id,
            model.why.is_not(None),
            or_(~unmapped(kind, account_id), kind.outside),
        )
        .values(**cleared)
        .execution_options(synchronize_session=False)
    )


def _facts(account_id: int, kind: Kind) -> AnySelect:
    """SELECT of each unmapped record what a reason needs besides its equal pairs, and what stands
    beside it.
    """
    record: Any = kind.model
    member = and_(
        Membership.account_id == account_id,
        Membership.kind == kind.name,
        Membership.vendor_id == record.vendor_id,
    )
    of_site = and_(
        Mapping.account_id == account_id,
        Mapping.kind == SITE.name,
        Mapping.vendor_id == Membership.site_id,
    )
    # For a least one SQLite would read the mappings of all sites in order.
    mapped_site = pinned_join(Membership.__table__, Mapping.__table__, of_site)
    same_names = and_(_entry(account_id, kind), Directory.match_key == record.match_key)
    nearest = and_(_entry(account_id, kind), Directory.host_id == record.nearest)
    # With these two a change of the agencies is seen, if not of every one among several.
    agencies = (func.min(Mapping.host_id), func.max(Mapping.host_id))
    first, last = (
        select(one).select_from(mapped_site).where(member).scalar_subquery() for one in agencies
    )
    return select(
        record.id,
        record.vendor_id,
        record.match_key,
        record.checksum,
        *(getattr(record, name) for name in kind.compared),
        record.why,
        record.nearest,
        record.rival,
        record.suggested_by,
        exists().where(member).label("has_site"),
        first.label("first_agency"),
        last.label("last_agency"),
        exists().where(same_names).label("elsewhere"),
        and_(record.nearest.is_not(None), ~exists().where(nearest)).label("nearest_gone"),
    ).where(record.account_id == account_id, unmapped(kind, account_id), ~kind.outside)


def _entry(account_id: int, kind: Kind) -> ColumnElement[bool]:
    return and_(Directory.account_id == account_id, Directory.entity == kind.entity)


def open_pairs(session: AnySession, account_id: int, kind: Kind) -> Sequence[Any]:
    """Return the equal pairs that concern unmapped records, with who holds each entity and whether
    a person rejected the pair.
    """
    pair = counted_pairs(account_id, kind)
    holder = aliased(Mapping, name="holder_mapping")
    statement = select(
        pair,
        holder.vendor_id.label("holder"),
        rejected_pair(account_id, kind, pair.c.vendor_id, pair.c.host_id).label("rejected"),
    ).outerjoin(
        holder,
        and_(
            holder.account_id == account_id,
            holder.kind == kind.name,
            holder.host_id == pair.c.host_id,
        ),
    )
    return session.execute(statement).all()


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
    if kind.by_site and record.first_agency is None:
        return "no_site_mapping"
    if record.match_key is None:
        return kind.blank
    return "other_agency" if kind.by_site and record.elsewhere else kind.none_equal
