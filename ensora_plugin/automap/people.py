"""Automap of sites, students and users: they map where all compared facts are equal."""

from __future__ import annotations

from typing import Any

from ..bulk import insert_rows
from ..database import AnySession, analyze_grown
from ..kinds import Kind
from ..models import Directory, DirectoryAgency, Mapping, Membership, Rejected
from .outcome import Mapped, auto_mappings, go_on_with_versions, last_of_run, mappings_of_run
from .people_open import Open, read_open
from .people_reasons import write_reasons


def automap_named(session: AnySession, account_id: int, kind: Kind, run_id: int) -> Mapped:
    """Map the sites, students or users that equal one entity of the host, and note why the others
    do not.

    Returns what it did; flushes, never commits.
    """
    analyze_grown(session, account_id, *_READ, kind.model.__table__)
    result = Mapped()
    left = read_open(session, account_id, kind)
    pairs = [pair for pair in left.pairs if _may_map(pair, left)]
    if pairs:
        alone = {pair.vendor_id: pair.host_id for pair in pairs}
        made = auto_mappings(account_id, kind, run_id, alone)
        result.beyond = last_of_run(session, account_id, kind, run_id)
        insert_rows(session, Mapping.__table__, made, doubles=True)
        go_on_with_versions(session, account_id, kind, run_id, result.beyond)
        result.made = mappings_of_run(session, account_id, kind, run_id, result.beyond)
        left = read_open(session, account_id, kind)
    write_reasons(session, account_id, kind, left, result)
    return result


_READ = [table.__table__ for table in (Directory, DirectoryAgency, Mapping, Membership, Rejected)]


def _may_map(pair: Any, left: Open) -> bool:
    only = pair.stands == pair.entities == pair.records == 1
    return only and pair.holder is None and not pair.rejected and pair.vendor_id in left.records
