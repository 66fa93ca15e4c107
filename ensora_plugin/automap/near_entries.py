"""The entries of the directory that come near some records, and the nearest of them.

They are found by an equal name, birth date or email, each of which has an index.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from ..database import AnySession
from ..kinds import SITE, USER, Kind
from ..models import Directory, DirectoryAgency, Membership
from ..models import Mapping as MappingRow
from ..text import joint_key, list_keys, text_key
from .likeness import likeness

#: A birth date or email that more entities have tells nothing.
MOST_OF_ONE_FACT = 200
_CHUNK = 500


@dataclass(frozen=True)
class _Entry:
    host_id: str
    facts: Sequence[str]
    active: bool
    agencies: Collection[str]


@dataclass
class Search:
    """Looks for the nearest entities of some records, a chunk at a time."""

    session: AnySession
    account_id: int
    kind: Kind
    rejected: Mapping[str, set[str]]

    def nearest(self, rows: Sequence[Any]) -> dict[str, str]:
        """Return vendor id -> the nearest entity, of the records that have one."""
        found = {}
        for at in range(0, len(rows), _CHUNK):
            chunk = {row.vendor_id: facts_of(self.kind, row) for row in rows[at : at + _CHUNK]}
            entries = self._entries(chunk.values())
            places = self._places(list(chunk)) if self.kind.by_site else defaultdict(set)
            for vendor_id, facts in chunk.items():
                near = self._nearest(vendor_id, facts, entries(facts), places[vendor_id])
                if near:
                    found[vendor_id] = near
        return found

    def _nearest(
        self, vendor_id: str, facts: Sequence[str], entries: Iterable[_Entry], places: set[str]
    ) -> str | None:
        best = None
        for one in entries:
            like = likeness(facts, one.facts)
            # An email is a person's own, whatever they are called.
            enough = like.shares_enough or (self.kind is USER and like.equal[-1])
            if not enough or one.host_id in self.rejected.get(vendor_id, ()):
                continue
            here = not places.isdisjoint(one.agencies)
            equal, names = like.order
            order = (equal - here, names, not one.active, one.host_id)
            best = min(best or (order, one.host_id), (order, one.host_id))
        return best[1] if best else None

    def _entries(self, facts: Collection[Sequence[str]]) -> Any:
        """Read the entries near some records; return a function from facts to those near them."""
        if self.kind is SITE:
            # Of sites and agencies there are few.
            every = self._read(Directory.host_id.is_not(None))
            return lambda _facts: every
        by_name: dict[str, list[_Entry]] = defaultdict(list)
        by_last: dict[str, list[_Entry]] = defaultdict(list)
        names = {_name_key(one) for one in facts}
        few = self._of_few({one[-1] for one in facts} - {""})
        for entry in self._read(Directory.name_key.in_(names), Directory.last_fact.in_(few)):
            by_name[_name_key(entry.facts)].append(entry)
            if joint_key(entry.facts[-1]) in few:
                by_last[entry.facts[-1]].append(entry)

        def near(one: Sequence[str]) -> Iterable[_Entry]:
            return {e.host_id: e for e in (*by_name[_name_key(one)], *by_last[one[-1]])}.values()

        return near

    def _of_few(self, lasts: Iterable[str]) -> set[str | None]:
        """Return which keys of birth dates or emails are those of few entries."""
        keys = [joint_key(last) for last in lasts]
        of_few = (
            select(Directory.last_fact)
            .where(*self._own, Directory.last_fact.in_(keys))
            .group_by(Directory.last_fact)
            .having(func.count() <= MOST_OF_ONE_FACT)
        )
        return set(self.session.scalars(of_few))

    @property
    def _own(self) -> tuple[ColumnElement[bool], ...]:
        return Directory.account_id == self.account_id, Directory.entity == self.kind.entity

    def _read(self, *ways: ColumnElement[bool]) -> list[_Entry]:
        rows = {}
        # Each way by its own index, where an OR of both might have none.
        for way in ways:
            columns = (Directory.host_id, Directory.facts, Directory.active)
            for row in self.session.execute(select(*columns).where(*self._own, way)):
                rows[row.host_id] = row
        agencies = self._agencies(list(rows)) if self.kind.by_site else defaultdict(set)
        return [_Entry(id, row.facts, row.active, agencies[id]) for id, row in rows.items()]

    def _agencies(self, host_ids: list[str]) -> Mapping[str, set[str]]:
        found: Mapping[str, set[str]] = defaultdict(set)
        for at in range(0, len(host_ids), _CHUNK):
            for row in self.session.execute(
                select(DirectoryAgency.host_id, DirectoryAgency.agency_id).where(
                    DirectoryAgency.account_id == self.account_id,
                    DirectoryAgency.entity == self.kind.entity,
                    DirectoryAgency.host_id.in_(host_ids[at : at + _CHUNK]),
                )
            ):
                found[row.host_id].add(row.agency_id)
        return found

    def _places(self, vendor_ids: list[str]) -> Mapping[str, set[str]]:
        """Return the agencies that the records' sites are mapped to."""
        found: Mapping[str, set[str]] = defaultdict(set)
        for row in self.session.execute(
            select(Membership.vendor_id, MappingRow.host_id)
            .join(
                MappingRow,
                (MappingRow.account_id == Membership.account_id)
                & (MappingRow.kind == SITE.name)
                & (MappingRow.vendor_id == Membership.site_id),
            )
            .where(
                Membership.account_id == self.account_id,
                Membership.kind == self.kind.name,
                Membership.vendor_id.in_(vendor_ids),
                MappingRow.host_id.is_not(None),
            )
        ):
            found[row.vendor_id].add(row.host_id)
        return found


def _name_key(facts: Sequence[str]) -> str:
    return list_keys(*facts[:-1])["name_key"]


def facts_of(kind: Kind, row: Any) -> list[str]:
    """Return the compared facts of a record, normalised."""
    return [text_key(str(getattr(row, name) or "")) for name in kind.compared]
