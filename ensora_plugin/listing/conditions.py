"""What the filters of a list let through, as conditions over the records of a kind."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy import cast as cast_as

from ..access import Scope
from ..joins import mapping_of, rendering_of_version
from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from ..models import Mapping, Membership, RenderingRow
from .filters import Filters
from .searching import sought


def bounds_of(filters: Filters) -> dict[str, str]:
    """Return the first key of the days asked for, and the one after them."""
    bounds = {}
    if filters.since:
        bounds["since"] = filters.since.isoformat()
    if filters.until:
        bounds["until"] = (filters.until + timedelta(days=1)).isoformat()
    return bounds


def chosen(scope: Scope, kind: Kind, filters: Filters) -> ColumnElement[bool]:
    """Return the condition of all filters but the state and the search.

    It stands over the record table with its own mapping beside it.
    """
    conditions = [kind.model.account_id == scope.account_id, scope.sees(kind)]
    if filters.agency:
        conditions.append(_of_agency(scope, kind, filters.agency))
    bounds = bounds_of(filters)
    if filters.since:
        conditions.append(kind.model.sort_key >= bindparam("since", bounds["since"]))
    if filters.until:
        conditions.append(kind.model.sort_key < bindparam("until", bounds["until"]))
    if filters.rendering:
        conditions.append(_rendered_as(filters.rendering))
    if filters.site:
        conditions.append(_of_site(kind, filters.site))
    return and_(*conditions)


def shown(kind: Kind, filters: Filters) -> ColumnElement[bool]:
    """Return the condition that a record is shown: unasked only active ones, and every note that
    is mapped.
    """
    if filters.inactive:
        return true()
    return or_(~kind.settled, Mapping.id.is_not(None)) if kind is NOTE else ~kind.settled


def _of_agency(scope: Scope, kind: Kind, agency: str) -> ColumnElement[bool]:
    if kind is SITE:
        return Mapping.host_id == agency
    return replace(scope, agencies=frozenset({agency})).sees(kind)


def _of_site(kind: Kind, site: str) -> ColumnElement[bool]:
    if kind is not USER:
        return cast(ColumnElement[bool], getattr(kind.model, _SITE_ID[kind.name]) == site)
    return exists().where(
        Membership.account_id == kind.model.account_id,
        Membership.kind == kind.name,
        Membership.vendor_id == kind.model.vendor_id,
        Membership.site_id == site,
    )


_SITE_ID = {SITE.name: "vendor_id", STUDENT.name: "site_id", NOTE.name: "site_id"}


def _rendered_as(rendering: str) -> ColumnElement[bool]:
    states = {"rendered": ("rendered",), "refused": ("refused", "failed")}
    told = exists().where(
        rendering_of_version(Mapping.host_id),
        RenderingRow.state.in_(states.get(rendering, ("rendered", "refused", "failed"))),
    )
    return told if rendering in states else and_(Mapping.host_id.is_not(None), ~told)


def _refused_for(code: str) -> ColumnElement[bool]:
    """Return the condition that the host refused a note's version for a reason."""
    # A host's engine may write JSON with or without spaces.
    told = func.replace(cast_as(RenderingRow.refusals, Text), '": "', '":"')
    return exists().where(
        rendering_of_version(Mapping.host_id),
        RenderingRow.state.in_(("refused", "failed")),
        told.contains(json.dumps({"code": code}, separators=(",", ":"))[1:-1], autoescape=True),
    )


def matching(scope: Scope, kind: Kind, filters: Filters, *columns: Any) -> Select[Any]:
    """SELECT columns of the records that all filters let through, and of their mappings."""
    statement = (
        select(*columns)
        .select_from(kind.model)
        .outerjoin(Mapping, mapping_of(kind))
        .where(let_through(scope, kind, filters))
    )
    if filters.search.strip():
        statement = statement.where(sought(scope, kind, filters.search).condition)
    return statement


def let_through(scope: Scope, kind: Kind, filters: Filters) -> ColumnElement[bool]:
    """Return the condition of all filters but the search."""
    conditions = [chosen(scope, kind, filters), _in_state(kind, filters)]
    if filters.why:
        told = None if filters.why == NOT_TRIED else filters.why
        conditions += [Mapping.id.is_(None), kind.model.why.is_not_distinct_from(told)]
    if filters.refusal:
        conditions.append(_refused_for(filters.refusal))
    return and_(*conditions)


#: Stands for the reason of a record that automap has not looked at yet.
NOT_TRIED = "not_tried_yet"


def _in_state(kind: Kind, filters: Filters) -> ColumnElement[bool]:
    if filters.state == "to-map":
        return and_(Mapping.id.is_(None), ~kind.settled)
    if filters.state == "all":
        return shown(kind, filters)
    return and_(shown(kind, filters), Mapping.state == filters.state)
