"""Automap of sites, students and users: they map where all compared facts are equal."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exists, literal, select
from sqlalchemy.orm import aliased

from ..clock import utcnow
from ..database import AnySession, analyze_grown, insert_for
from ..kinds import Kind
from ..models import Directory, DirectoryAgency, Mapping, Membership, Rejected
from .outcome import Mapped, mappings_of_run
from .people_pairs import counted_pairs, rejected_pair
from .people_reasons import open_pairs, write_reasons


def automap_named(session: AnySession, account_id: int, kind: Kind, run_id: int) -> Mapped:
    """Map the sites, students or users that equal one entity of the host, and note why the others
    do not.

    Returns what it did; flushes, never commits.
    """
    analyze_grown(session, *_READ, kind.model.__table__)
    result = Mapped()
    pairs = open_pairs(session, account_id, kind)
    if any(_may_map(pair) for pair in pairs):
        _insert(session, account_id, kind, run_id)
        result.made = mappings_of_run(session, account_id, kind, run_id)
        pairs = open_pairs(session, account_id, kind)
    write_reasons(session, account_id, kind, pairs, result)
    return result


def _may_map(pair: Any) -> bool:
    """Tell of a pair that was read whether it may map; its record may be mapped to another."""
    only = pair.stands == pair.entities == pair.records == 1
    return only and pair.holder is None and not pair.rejected


_READ = [table.__table__ for table in (Directory, DirectoryAgency, Mapping, Membership, Rejected)]


def _insert(session: AnySession, account_id: int, kind: Kind, run_id: int) -> None:
    pair = counted_pairs(account_id, kind)
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
        ~rejected_pair(account_id, kind, pair.c.vendor_id, pair.c.host_id),
    )
    columns = ["account_id", "kind", "vendor_id", "host_id", "state", "run_id", "at"]
    statement = insert_for(session, Mapping.__table__).from_select(columns, chosen)
    session.execute(statement.on_conflict_do_nothing())
