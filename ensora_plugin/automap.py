"""Automap: records that equal a host's entity get a mapping, and what does not map says why.

One set-based pass a kind, whose cost goes with what is not mapped yet. Sites, students and users
map where all
compared facts are equal; session notes in `automap_notes.py`, by day and time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.orm import aliased

from .clock import utcnow
from .database import AnySelect, AnySession, analyze_grown, insert_for
from .kinds import SITE, Kind
from .models import Directory, DirectoryAgency, Mapping, Membership, Record, Rejected


@dataclass(frozen=True)
class Why:
    """Why a record does not map: a code of `reasons.py`, and what belongs to it."""

    code: str
    minutes: int | None = None
    nearest: str | None = None
    rival: str | None = None


@dataclass
class Mapped:
    """What a pass did: mappings made, and how many records stayed ambiguous."""

    made: int = 0
    ambiguous: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def unmapped(kind: Kind, account_id: int) -> ColumnElement[bool]:
    """Return the condition that a record of the kind has no mapping, not even an ignored one."""
    # A name of its own, since the statement around it may look at mappings as well.
    any_mapping = aliased(Mapping, name="any_mapping")
    return ~exists().where(
        any_mapping.account_id == account_id,
        any_mapping.kind == kind.name,
        any_mapping.vendor_id == kind.model.vendor_id,
    )


def automap_named(session: AnySession, account_id: int, kind: Kind, run_id: int) -> Mapped:
    """Map the sites, students or users that equal one entity of the host, and note why the others
    do not.

    Returns what it did; flushes, never commits.
    """
    analyze_grown(session, *_READ, kind.model.__table__)
    _insert(session, account_id, kind, run_id)
    result = Mapped(made=mappings_of_run(session, account_id, kind, run_id))
    write_reasons(session, account_id, kind, _reasons(session, account_id, kind), result)
    return result


_READ = [table.__table__ for table in (Directory, DirectoryAgency, Mapping, Membership, Rejected)]


def mapped_by_run(account_id: int, kind: Kind, run_id: int) -> AnySelect:
    """SELECT the vendor ids of the records of a kind that a run mapped."""
    return select(Mapping.vendor_id).where(
        Mapping.account_id == account_id,
        Mapping.kind == kind.name,
        Mapping.run_id == run_id,
        Mapping.state == "auto",
    )


def mappings_of_run(session: AnySession, account_id: int, kind: Kind, run_id: int) -> int:
    """Count the mappings that a run made; drivers do not tell for INSERT .. SELECT."""
    made = mapped_by_run(account_id, kind, run_id).subquery()
    return session.scalar(select(func.count()).select_from(made)) or 0


def _equal(account_id: int, kind: Kind) -> AnySelect:
    """SELECT every pair of equal facts among keys that an unmapped record has; taken ones count as
    well.
    """
    record = kind.model
    twin = aliased(kind.model, name="unmapped_record")
    open_keys = select(twin.match_key).where(  # type: ignore[attr-defined]
        twin.account_id == account_id,
        ~exists().where(
            Mapping.account_id == account_id,
            Mapping.kind == kind.name,
            Mapping.vendor_id == twin.vendor_id,
        ),
    )
    pairs = (
        select(
            record.vendor_id.label("vendor_id"),
            _one(record.active).label("record_active"),  # type: ignore[attr-defined]
            Directory.host_id.label("host_id"),
            _one(Directory.active).label("entity_active"),
        )
        .join(
            Directory,
            and_(
                Directory.account_id == record.account_id,
                Directory.entity == kind.entity,
                Directory.match_key == record.match_key,  # type: ignore[attr-defined]
            ),
        )
        .where(
            record.account_id == account_id,
            record.match_key.in_(open_keys),  # type: ignore[attr-defined]
        )
    )
    return pairs.where(_shares_agency(account_id, kind)) if kind.by_site else pairs


def _one(flag: Any) -> ColumnElement[int]:
    return case((flag, 1), else_=0)


def _shares_agency(account_id: int, kind: Kind) -> ColumnElement[bool]:
    """The condition that a site of the record is mapped to an agency of the directory's entry."""
    site = aliased(Mapping, name="site_mapping")
    return (
        exists()
        .where(
            Membership.account_id == account_id,
            Membership.kind == kind.name,
            Membership.vendor_id == kind.model.vendor_id,
            site.account_id == account_id,
            site.kind == SITE.name,
            site.vendor_id == Membership.site_id,
            DirectoryAgency.account_id == account_id,
            DirectoryAgency.entity == kind.entity,
            DirectoryAgency.host_id == Directory.host_id,
            DirectoryAgency.agency_id == site.host_id,
        )
        .correlate(kind.model, Directory)
    )


def _counted(account_id: int, kind: Kind) -> Any:
    """The equal pairs with what decides about them: whether an active rival stands before, and how
    many are left.
    """
    pair = _equal(account_id, kind).cte("equal_pair")
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


def _insert(session: AnySession, account_id: int, kind: Kind, run_id: int) -> None:
    pair = _counted(account_id, kind)
    held = aliased(Mapping, name="held_mapping")
    chosen = select(
        literal(account_id),
        literal(kind.name),
        pair.c.vendor_id,
        pair.c.host_id,
        literal("auto"),
        literal(run_id),
        literal(utcnow()),
    ).where(
        pair.c.stands == 1,
        pair.c.entities == 1,
        pair.c.records == 1,
        ~exists().where(
            held.account_id == account_id,
            held.kind == kind.name,
            (held.vendor_id == pair.c.vendor_id) | (held.host_id == pair.c.host_id),
        ),
        ~_rejected(account_id, kind, pair.c.vendor_id, pair.c.host_id),
    )
    columns = ["account_id", "kind", "vendor_id", "host_id", "state", "run_id", "at"]
    statement = insert_for(session, Mapping.__table__).from_select(columns, chosen)
    session.execute(statement.on_conflict_do_nothing())


def _rejected(account_id: int, kind: Kind, vendor_id: Any, host_id: Any) -> ColumnElement[bool]:
    return exists().where(
        Rejected.account_id == account_id,
        Rejected.kind == kind.name,
        Rejected.vendor_id == vendor_id,
        Rejected.host_id == host_id,
    )


def _reasons(session: AnySession, account_id: int, kind: Kind) -> dict[str, Why]:
    """Return why each record of the kind that is still unmapped does not map."""
    pairs = _pairs_left(session, account_id, kind)
    return {
        row.vendor_id: _why(kind, row, pairs.get(row.vendor_id, []))
        for row in session.execute(_facts(account_id, kind))
    }


def _facts(account_id: int, kind: Kind) -> AnySelect:
    """SELECT of each unmapped record what a reason needs besides its equal pairs."""
    record = kind.model
    member = and_(
        Membership.account_id == account_id,
        Membership.kind == kind.name,
        Membership.vendor_id == record.vendor_id,
    )
    mapped_site = and_(
        member,
        Mapping.account_id == account_id,
        Mapping.kind == SITE.name,
        Mapping.vendor_id == Membership.site_id,
        Mapping.host_id.is_not(None),
    )
    same_names = and_(
        Directory.account_id == account_id,
        Directory.entity == kind.entity,
        Directory.match_key == record.match_key,  # type: ignore[attr-defined]
    )
    return select(
        record.vendor_id,
        record.match_key,  # type: ignore[attr-defined]
        exists().where(member).label("has_site"),
        exists().where(mapped_site).label("has_mapped_site"),
        exists().where(same_names).label("elsewhere"),
    ).where(record.account_id == account_id, unmapped(kind, account_id), ~kind.outside)


def _pairs_left(session: AnySession, account_id: int, kind: Kind) -> dict[str, list[Any]]:
    pair = _counted(account_id, kind)
    holder = aliased(Mapping, name="holder_mapping")
    statement = select(
        pair,
        holder.vendor_id.label("holder"),
        _rejected(account_id, kind, pair.c.vendor_id, pair.c.host_id).label("rejected"),
    ).outerjoin(
        holder,
        and_(
            holder.account_id == account_id,
            holder.kind == kind.name,
            holder.host_id == pair.c.host_id,
        ),
    )
    found = defaultdict(list)
    for row in session.execute(statement):
        found[row.vendor_id].append(row)
    return found


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
    if kind.by_site and not record.has_mapped_site:
        return "no_site_mapping"
    if record.match_key is None:
        return kind.blank
    return "other_agency" if kind.by_site and record.elsewhere else kind.none_equal


def write_reasons(
    session: AnySession, account_id: int, kind: Kind, reasons: dict[str, Why], result: Mapped
) -> None:
    """Write down why records do not map, where that changed, and clear it where they map now."""
    model: type[Record] = kind.model
    stored = {
        row.vendor_id: Why(row.why, row.why_minutes, row.nearest, row.rival)
        for row in session.execute(
            select(model.vendor_id, model.why, model.why_minutes, model.nearest, model.rival).where(
                model.account_id == account_id, model.why.is_not(None)
            )
        )
    }
    for vendor_id in stored.keys() | reasons.keys():
        why = reasons.get(vendor_id)
        if why != stored.get(vendor_id):
            _write_why(session, account_id, model, vendor_id, why)
        if why:
            result.reasons[why.code] = result.reasons.get(why.code, 0) + 1
    result.ambiguous = result.reasons.get("ambiguous", 0)


def _write_why(
    session: AnySession, account_id: int, model: type[Record], vendor_id: str, why: Why | None
) -> None:
    told = why or Why("")
    session.execute(
        update(model)
        .where(model.account_id == account_id, model.vendor_id == vendor_id)
        .values(
            why=told.code or None,
            why_minutes=told.minutes,
            nearest=told.nearest,
            rival=told.rival,
        )
    )
