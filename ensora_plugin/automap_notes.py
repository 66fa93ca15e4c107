"""Automap of session notes: same day, start and end within the grace, through the mappings that
stand already.

Groups (student, user, day) with one candidate are inserted in one statement; the few that compete
are
solved exactly in `matching.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Table, and_, insert, literal, select
from sqlalchemy.orm import aliased

from .automap import Mapped, mappings_of_run
from .clock import utcnow
from .database import AnySession, analyze, insert_for
from .host import HostAdapter
from .kinds import NOTE
from .matching import Edge, solve
from .models import Mapping
from .note_candidates import Pair, edges, mark_apart, pairs_apart
from .note_reasons import write_note_reasons
from .trying import Tried, tried_notes

#: So many new mappings make what a database believes of the table wrong.
_MANY = 1000


def automap_notes(
    session: AnySession,
    account_id: int,
    account: str,
    host: HostAdapter,
    *,
    grace: int,
    run_id: int,
    since: date | None = None,
) -> Mapped:
    """Map the account's notes that may map now to appointments, and note why the others do not.

    `grace` in whole minutes, inclusive; unmapped notes from the day `since` on are tried again in
    any
    case. Returns what it did; flushes, never commits.
    """
    appointment = host.appointments(account).subquery("appointment")
    with tried_notes(session, account_id, appointment, since=since) as tried:
        apart = pairs_apart(tried, grace) if mark_apart(tried) else []
        with edges(tried, grace) as edge:
            _insert_uncontended(tried, edge, run_id)
            _insert_pairs(tried, run_id, _solve_contended(tried, edge, apart, grace))
        result = Mapped(made=mappings_of_run(session, account_id, NOTE, run_id))
        if result.made > _MANY:
            analyze(session, Mapping.__table__)
        write_note_reasons(tried, grace, result)
    return result


def _insert_uncontended(tried: Tried, edge: Table, run_id: int) -> None:
    """Map the notes whose group has one candidate; one that is taken conflicts, and nothing is
    made.
    """
    chosen = select(
        literal(tried.account_id),
        literal(NOTE.name),
        edge.c.note,
        edge.c.appointment,
        literal("auto"),
        literal(run_id),
        literal(utcnow()),
    ).where(edge.c.of_group == 1, edge.c.own.is_(None))
    # In the order of the index that is filled, neighbours fall on the same page of it.
    chosen = chosen.order_by(edge.c.note)
    columns = ["account_id", "kind", "vendor_id", "host_id", "state", "run_id", "at"]
    statement = insert_for(tried.session, Mapping.__table__).from_select(columns, chosen)
    tried.session.execute(statement.on_conflict_do_nothing())


def _solve_contended(tried: Tried, edge: Table, apart: Sequence[Pair], grace: int) -> list[Edge]:
    """Solve the groups that compete, and the pairs that were read one by one."""
    holder = aliased(Mapping, name="holder_mapping")
    rows: list[Any] = list(
        tried.session.execute(
            select(edge, holder.vendor_id.label("holder"))
            .outerjoin(
                holder,
                and_(
                    holder.account_id == tried.account_id,
                    holder.kind == NOTE.name,
                    holder.host_id == edge.c.appointment,
                ),
            )
            .where(edge.c.of_group > 1)
        )
    )
    rows += [pair for pair in apart if pair.eligible and not pair.rejected and pair.within(grace)]
    found = [Edge(row.note, row.appointment, row.minutes) for row in rows]
    fixed = {row.note: row.own for row in rows if row.own is not None}
    holders = {row.appointment: row.holder for row in rows if row.holder is not None}
    return solve(found, fixed=fixed, holders=holders)


def _insert_pairs(tried: Tried, run_id: int, pairs: Sequence[Edge]) -> None:
    rows = [
        {
            "account_id": tried.account_id,
            "kind": NOTE.name,
            "vendor_id": pair.note,
            "host_id": pair.appointment,
            "state": "auto",
            "run_id": run_id,
            "at": utcnow(),
        }
        for pair in pairs
    ]
    if rows:
        tried.session.execute(insert(Mapping), rows)
