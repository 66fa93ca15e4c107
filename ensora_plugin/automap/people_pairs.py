"""Pairs of a record and an entity whose facts are equal, and which of them stand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, select
from sqlalchemy.orm import aliased

from ..database import AnySelect
from ..dialect import both_one_of, pinned_join
from ..kinds import SITE, Kind
from ..models import Directory, DirectoryAgency, Mapping, Membership, Rejected

#: The parameters of these statements: an account, and the keys that are looked up.
_ACCOUNT: Any = bindparam("account")
_KEYS = "keys"


def equal_pairs(kind: Kind, dialect: str) -> AnySelect:
    """SELECT every pair of equal facts that has one of some keys; taken ones count as well."""
    record: Any = kind.model
    equal = and_(
        Directory.account_id == _ACCOUNT,
        Directory.entity == kind.entity,
        Directory.match_key == record.match_key,
    )
    pairs = (
        select(
            record.vendor_id.label("vendor_id"),
            _one(record.active).label("record_active"),
            Directory.host_id.label("host_id"),
            _one(Directory.active).label("entity_active"),
        )
        .select_from(pinned_join(record.__table__, Directory.__table__, equal))
        .where(
            record.account_id == _ACCOUNT,
            both_one_of(record.match_key, Directory.match_key, _KEYS, dialect),
        )
    )
    return pairs.where(_shares_agency(kind)) if kind.by_site else pairs


def _one(flag: Any) -> ColumnElement[int]:
    return case((flag, 1), else_=0)


def _shares_agency(kind: Kind) -> ColumnElement[bool]:
    """The condition that a site of the record is mapped to an agency of the directory's entry."""
    site = aliased(Mapping, name="site_mapping")
    shared = (
        select(DirectoryAgency.agency_id)
        .where(
            Membership.account_id == _ACCOUNT,
            Membership.kind == kind.name,
            Membership.vendor_id == kind.model.vendor_id,
            site.account_id == _ACCOUNT,
            site.kind == SITE.name,
            site.vendor_id == Membership.site_id,
            DirectoryAgency.account_id == _ACCOUNT,
            DirectoryAgency.entity == kind.entity,
            DirectoryAgency.host_id == Directory.host_id,
            DirectoryAgency.agency_id == site.host_id,
        )
        .correlate(kind.model, Directory)
    )
    return any_of(shared)


def any_of(statement: AnySelect) -> ColumnElement[bool]:
    """Return the condition that a SELECT has a row.

    No EXISTS: PostgreSQL would make a join of it, and begin with whoever shares an agency, of whom
    it expects few; they are all, with all. Or it would read a whole table to look up some rows.
    """
    return statement.limit(1).scalar_subquery().is_not(None)


def counted_pairs(kind: Kind, dialect: str) -> Any:
    """The equal pairs with what decides about them: whether an active rival stands before, and how
    many are left.
    """
    pair = equal_pairs(kind, dialect).cte("equal_pair")
    best = select(
        pair,
        func.max(pair.c.entity_active).over(partition_by=pair.c.vendor_id).label("best_entity"),
        func.max(pair.c.record_active).over(partition_by=pair.c.host_id).label("best_record"),
    ).cte("best_pair")
    stands = and_(
        best.c.entity_active == best.c.best_entity, best.c.record_active == best.c.best_record
    )
    left = select(best, case((stands, 1), else_=0).label("stands")).cte("standing_pair")
    return select(
        left,
        func.sum(left.c.stands).over(partition_by=left.c.vendor_id).label("entities"),
        func.sum(left.c.stands).over(partition_by=left.c.host_id).label("records"),
    ).cte("counted_pair")


def rejected_pair(kind: Kind, vendor_id: Any, host_id: Any) -> ColumnElement[bool]:
    """Return the condition that a person rejected a pair."""
    return exists().where(
        Rejected.account_id == _ACCOUNT,
        Rejected.kind == kind.name,
        Rejected.vendor_id == vendor_id,
        Rejected.host_id == host_id,
    )
