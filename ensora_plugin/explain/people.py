"""Agencies, clients and staff that come near a site, a student or a user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from .. import models
from ..automap.likeness import Likeness, likeness
from ..host.entities import host_entity
from ..host.ids import native_ids
from ..kinds import SITE, Kind
from ..listing.row_words import day_text
from ..models import DirectoryAgency, Membership, Site
from ..text import text_key
from .directory import read_near
from .explanation import MOST, Candidate, Fact, Holder, Question

LABELS = {
    "name": "Name",
    "first_name": "First name",
    "last_name": "Last name",
    "date_of_birth": "Date of birth",
    "email": "Email",
}


@dataclass(frozen=True)
class _Entry:
    """An entry of the directory: how much alike it is, where it belongs, and who holds it."""

    host_id: str
    like: Likeness
    agencies: frozenset[str]
    #: Whether one of its agencies is one that a site of the record is mapped to.
    here: bool
    active: bool
    holder: Holder | None
    rejected: bool

    @property
    def order(self) -> tuple[int, float, bool, str]:
        equal, names = self.like.order
        return equal - self.here, names, not self.active, self.host_id

    @property
    def near(self) -> bool:
        """Whether it is worth to be looked at: more than what stored suggestions ask for."""
        *_, last = self.like.equal
        return self.like.shares_enough or last or sum(self.like.equal) > 1


def near_entities(asked: Question, kind: Kind, vendor_id: str) -> list[Candidate]:
    """Return the entities that come near a record, first those that are equal in most facts."""
    record = asked.session.scalars(
        select(kind.model).where(
            kind.model.account_id == asked.account_id, kind.model.vendor_id == vendor_id
        )
    ).one()
    if getattr(record, "type", None) == "Parent":
        return []
    sites = _sites(asked, kind, vendor_id)
    near = [one for one in _entries(asked, kind, record, sites) if one.near]
    near.sort(key=lambda one: one.order)
    visible = [one for one in near if asked.sees(one.agencies)]
    shown = visible[: MOST - 1] if len(visible) < len(near) else visible[:MOST]
    found = _candidates(asked, kind, record, sites, shown)
    return [*found, Candidate.elsewhere()] if len(visible) < len(near) else found


def _sites(asked: Question, kind: Kind, vendor_id: str) -> list[tuple[str, str | None]]:
    """Return the names of a record's sites, and the agencies that they are mapped to."""
    if not kind.by_site:
        return []
    mapped = aliased(models.Mapping, name="site_mapping")
    rows = asked.session.execute(
        select(Site.name, mapped.host_id)
        .select_from(Membership)
        .join(
            Site,
            and_(Site.account_id == asked.account_id, Site.vendor_id == Membership.site_id),
        )
        .outerjoin(
            mapped,
            and_(
                mapped.account_id == asked.account_id,
                mapped.kind == SITE.name,
                mapped.vendor_id == Membership.site_id,
            ),
        )
        .where(
            Membership.account_id == asked.account_id,
            Membership.kind == kind.name,
            Membership.vendor_id == vendor_id,
        )
        .order_by(Site.name)
    )
    return [(row.name, row.host_id) for row in rows]


def _entries(
    asked: Question, kind: Kind, record: Any, sites: Sequence[tuple[str, str | None]]
) -> list[_Entry]:
    mine = [text_key(str(getattr(record, name) or "")) for name in kind.compared]
    places = {agency for _, agency in sites if agency}
    rows = read_near(asked, kind, record.vendor_id, mine)
    agencies = _agencies(asked, kind, [row.host_id for row in rows])
    return [
        _Entry(
            host_id=row.host_id,
            like=likeness(mine, row.facts),
            agencies=agencies[row.host_id],
            here=not places.isdisjoint(agencies[row.host_id]),
            active=row.active,
            holder=_holder(kind, row, record.vendor_id),
            rejected=row.rejected,
        )
        for row in rows
    ]


def _agencies(asked: Question, kind: Kind, host_ids: list[str]) -> Mapping[str, frozenset[str]]:
    """Return the agencies of some entities; an agency is its own."""
    if kind is SITE:
        return {one: frozenset({one}) for one in host_ids}
    found = defaultdict(set)
    for row in asked.session.execute(
        select(DirectoryAgency.host_id, DirectoryAgency.agency_id).where(
            DirectoryAgency.account_id == asked.account_id,
            DirectoryAgency.entity == kind.entity,
            DirectoryAgency.host_id.in_(host_ids),
        )
    ):
        found[row.host_id].add(row.agency_id)
    return {one: frozenset(found[one]) for one in host_ids}


def _holder(kind: Kind, row: Any, vendor_id: str) -> Holder | None:
    """Return who holds an entity, unless it is the record itself."""
    if row.held_by in (None, vendor_id):
        return None
    if not row.holder_seen:
        return Holder.elsewhere()
    names = (row.holder_name,) if kind is SITE else (row.holder_first_name, row.holder_last_name)
    return Holder(row.held_by, " ".join(filter(None, names)))


def _candidates(
    asked: Question,
    kind: Kind,
    record: Any,
    sites: Sequence[tuple[str, str | None]],
    entries: Sequence[_Entry],
) -> list[Candidate]:
    """Fill in what people read, in the host's own words as they stand now."""
    rows = _rows(asked, kind, (one.host_id for one in entries))
    agencies = {id for one in entries for id in one.agencies} if kind.by_site else set()
    places = {id: row.name for id, row in _rows(asked, SITE, agencies).items()}
    home = ", ".join(name for name, _ in sites)
    found = []
    for entry in entries:
        if (row := rows.get(entry.host_id)) is None:
            # Gone since the directory was read.
            continue
        facts = [
            Fact(LABELS[name], _said(record, name), _said(row, name), equal)
            for name, equal in zip(kind.compared, entry.like.equal, strict=True)
        ]
        if kind.by_site:
            there = sorted(places[id] for id in entry.agencies if id in places)
            facts.append(Fact("Agency", home, ", ".join(there), entry.here))
        found.append(
            Candidate(
                host_id=entry.host_id,
                name=" ".join(fact.host for fact in facts[: 1 if kind is SITE else 2]),
                facts=tuple(facts),
                taken_by=entry.holder,
                rejected=entry.rejected,
                eligible=entry.active,
            )
        )
    return found


def _rows(asked: Question, kind: Kind, host_ids: Iterable[str]) -> dict[str, Any]:
    entity = host_entity(asked.host, asked.account, kind)
    ids = native_ids(entity.c.id, host_ids)
    if not ids:
        return {}
    found = asked.session.execute(select(entity).where(entity.c.id.in_(ids)))
    return {str(row.id): row for row in found}


def _said(one: Any, name: str) -> str:
    value = getattr(one, name)
    return day_text(value) if name == "date_of_birth" else str(value or "")
