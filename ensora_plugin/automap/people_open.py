"""The sites, students and users that are not mapped, and the pairs of equal facts around them."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, select
from sqlalchemy.orm import aliased

from ..database import AnySelect, AnySession
from ..dialect import pinned_join
from ..kinds import SITE, Kind
from ..models import Directory, Mapping, Membership
from .outcome import unmapped
from .people_pairs import any_of, counted_pairs, rejected_pair

#: So many keys are looked up in one statement. A key's pairs are counted among themselves alone.
_KEYS_AT_ONCE = 500
_ACCOUNT: Any = bindparam("account")


@dataclass(frozen=True)
class Open:
    """What is not mapped: the records by their vendor id, with what a reason needs, and the pairs
    that have the facts of one of them, with who holds the entity and whether a person rejected the
    pair.
    """

    records: MappingABC[str, Any]
    pairs: Sequence[Any]


def read_open(session: AnySession, account_id: int, kind: Kind) -> Open:
    """Read what is not mapped of a kind; costs in proportion to that."""
    connection = session.connection()
    rows = connection.execute(_facts(kind), {"account": account_id}).all()
    keys = sorted({row.match_key for row in rows if row.match_key is not None})
    statement = _open_pairs(kind, connection.dialect.name)
    pairs: list[Any] = []
    for at in range(0, len(keys), _KEYS_AT_ONCE):
        some = {"account": account_id, "keys": keys[at : at + _KEYS_AT_ONCE]}
        pairs += connection.execute(statement, some)
    return Open({row.vendor_id: row for row in rows}, pairs)


@cache
def _facts(kind: Kind) -> AnySelect:
    """SELECT of each unmapped record what a reason needs besides its equal pairs, and what stands
    beside it.
    """
    record: Any = kind.model
    member = and_(
        Membership.account_id == _ACCOUNT,
        Membership.kind == kind.name,
        Membership.vendor_id == record.vendor_id,
    )
    of_site = and_(
        Mapping.account_id == _ACCOUNT,
        Mapping.kind == SITE.name,
        Mapping.vendor_id == Membership.site_id,
    )
    # For a least one SQLite would read the mappings of all sites in order.
    mapped_site = pinned_join(Membership.__table__, Mapping.__table__, of_site)
    # With these two a change of the agencies is seen, if not of every one among several.
    first_and_last = func.min(Mapping.host_id) + "|" + func.max(Mapping.host_id)
    agencies = select(first_and_last).select_from(mapped_site).where(member)
    same_names = select(Directory.host_id).where(
        _entry(kind), Directory.match_key == record.match_key
    )
    nearest = select(Directory.host_id).where(_entry(kind), Directory.host_id == record.nearest)
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
        any_of(select(Membership.site_id).where(member)).label("has_site"),
        agencies.scalar_subquery().label("agencies"),
        any_of(same_names).label("elsewhere"),
        and_(record.nearest.is_not(None), ~any_of(nearest)).label("nearest_gone"),
    ).where(record.account_id == _ACCOUNT, unmapped(kind, _ACCOUNT), ~kind.outside)


def _entry(kind: Kind) -> ColumnElement[bool]:
    return and_(Directory.account_id == _ACCOUNT, Directory.entity == kind.entity)


@cache
def _open_pairs(kind: Kind, dialect: str) -> AnySelect:
    pair = counted_pairs(kind, dialect)
    holder = aliased(Mapping, name="holder_mapping")
    holds = and_(
        holder.account_id == _ACCOUNT,
        holder.kind == kind.name,
        holder.host_id == pair.c.host_id,
    )
    rejected = rejected_pair(kind, pair.c.vendor_id, pair.c.host_id)
    return select(pair, holder.vendor_id.label("holder"), rejected.label("rejected")).outerjoin(
        holder, holds
    )
