"""Automap of session notes: same day, start and end within the grace, through the mappings that
stand already.

Groups (student, user, day) with one candidate are mapped in one statement. What is left open is
read client by client: those that compete are solved exactly in `matching.py`, and the others get
their reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import exists, func, insert, literal, null, select, update

from ..bulk import insert_rows
from ..clock import utcnow
from ..database import AnySession, analyze, analyze_grown, kept_plans, roomy
from ..host.port import HostAdapter
from ..kinds import NOTE
from ..models import Connection, Mapping, Note, Rejected, Student
from .matching import Edge, solve
from .note_candidates import holds, lone_edges, open_clients
from .note_reasons import Pair, pair_of, why_not
from .note_tables import VERDICTS, Pass, Tried, temporary
from .outcome import Mapped, Why, auto_mappings, go_on_with_versions, last_of_run, mappings_of_run
from .picked import look_at_picks, sound_picks
from .recheck import seen_of, touch_changed
from .trying import (
    any_to_try,
    end_generation,
    held_generation,
    is_mapped,
    left_over,
    mark,
    tried_notes,
)
from .zones_apart import mark_apart

#: So many new mappings make what a database believes of the table wrong.
_MANY = 1000
#: So many rows are written at a time.
_AT_ONCE = 5000
#: What PostgreSQL has to know about.
_READ = [table.__table__ for table in (Mapping, Note, Rejected, Student)]


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

    `grace` in whole minutes, inclusive; unmapped notes from the day `since` on are tried again
    where the host's appointments are others than they were. Returns what it did; flushes, never
    commits.
    """
    analyze_grown(session, account_id, *_READ)
    result = Mapped()
    generation = held_generation(session, account_id)
    tried_grace, picks_map = session.execute(
        select(Connection.tried_grace, Connection.map_picked).where(Connection.id == account_id)
    ).one()
    if tried_grace != grace:
        mark(session, account_id, Note.why.is_not(None), generation)
    appointment = host.appointments(account).subquery("appointment")
    if since is not None:
        with roomy(session):
            touch_changed(session, account_id, appointment, since)
    this = Pass(session, account_id, appointment, generation, run_id)
    result.beyond = last_of_run(session, account_id, NOTE, run_id)
    look_at_picks(this, maps=picks_map)
    if any_to_try(session, account_id, generation):
        _try(this, grace, result)
        # What maps by its times may take what another picked, or leave a pick to one alone.
        while look_at_picks(this, maps=picks_map):
            _try(this, grace, result)
        go_on_with_versions(session, account_id, NOTE, run_id, result.beyond)
        result.made = mappings_of_run(session, account_id, NOTE, run_id, result.beyond)
        if result.made > _MANY:
            analyze(session, Mapping.__table__)
    # Also where there was nothing to try: changes of the directory are told apart by it as well.
    end_generation(session, account_id, grace)
    result.ambiguous = _ambiguous(session, account_id)
    return result


def _try(this: Pass, grace: int, result: Mapped) -> None:
    """Map what was touched by its times, and write why the rest does not map."""
    session = this.session
    with roomy(session), tried_notes(this) as tried, temporary(session, VERDICTS):
        any_apart = mark_apart(tried)
        _insert_lone(tried, grace)
        with left_over(tried) as left:
            work = _Work(left, grace, result)
            for notes, rows in open_clients(left, any_apart=any_apart):
                work.settle(notes, rows)
            work.write()
        _write_verdicts(tried)


def _insert_lone(tried: Tried, grace: int) -> None:
    """Map the notes whose group has one candidate, where that is not taken."""
    edge = lone_edges(tried, grace)
    taken = exists().where(holds(tried.account_id, edge.c.appointment))
    chosen = (
        select(
            literal(tried.account_id),
            literal(NOTE.name),
            edge.c.note,
            edge.c.appointment,
            literal("auto"),
            literal(tried.run_id),
            literal(utcnow()),
        )
        .where(~taken)
        # In the order of the index that is filled, neighbours fall on the same page of it.
        .order_by(edge.c.note)
    )
    columns = ["account_id", "kind", "vendor_id", "host_id", "state", "run_id", "at"]
    with kept_plans(tried.session):
        tried.session.execute(insert(Mapping).from_select(columns, chosen))


@dataclass
class _Work:
    """Settles what is left open, and gathers what there is to write."""

    left: Tried
    grace: int
    result: Mapped
    #: Note -> appointment.
    made: dict[str, str] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    #: Notes for which an appointment was picked, with their reason and what was seen.
    picked: list[tuple[Any, Why, str | None]] = field(default_factory=list)

    def settle(self, notes: Sequence[Any], rows: Sequence[Any]) -> None:
        """Map the notes of a client that may map, and say why the others do not."""
        by_id = {note.vendor_id: note for note in notes}
        pairs: dict[str, list[Pair]] = {}
        seen: dict[str, list[Any]] = {}
        for row in rows:
            seen.setdefault(row.note, []).append(row)
            if pair := pair_of(by_id[row.note], row, self.grace):
                pairs.setdefault(row.note, []).append(pair)
        holders = {row.appointment: row.holder for row in rows if row.holder is not None}
        own = {note.vendor_id: note.own for note in notes if note.own is not None}
        made = self._solved(pairs, own, holders)
        for edge in made:
            self.made[edge.note] = edge.appointment
            holders[edge.appointment] = edge.note
        mapped = own.keys() | {edge.note for edge in made}
        for note in notes:
            if note.vendor_id not in mapped:
                why = why_not(note, pairs.get(note.vendor_id, ()), holders, self.grace)
                self._tell(note, why, seen_of(note, seen.get(note.vendor_id, ()), holders))
        if len(self.made) + len(self.verdicts) + len(self.picked) >= _AT_ONCE:
            self.write()

    def _solved(
        self, pairs: dict[str, list[Pair]], own: dict[str, str], holders: dict[str, str]
    ) -> list[Edge]:
        edges = [
            Edge(pair.note, pair.appointment, pair.minutes)
            for several in pairs.values()
            for pair in several
            if pair.eligible and not pair.rejected and pair.within(self.grace)
        ]
        return solve(edges, fixed=own, holders=holders) if edges else []

    def _tell(self, note: Any, why: Why, seen: str | None) -> None:
        self.result.reasons[why.code] = self.result.reasons.get(why.code, 0) + 1
        if note.picked is None:
            self._keep(note, why, seen)
        else:
            self.picked.append((note, why, seen))

    def _keep(self, note: Any, why: Why, seen: str | None) -> None:
        """Keep a reason for writing where another one stands beside the note, or where it was
        found among other appointments.
        """
        stands = Why(note.why, note.why_minutes, note.nearest, note.rival), note.seen
        if (why, seen) != stands:
            self.verdicts.append(
                {
                    "note_id": note.note_id,
                    "why": why.code,
                    "why_minutes": why.minutes,
                    "nearest": why.nearest,
                    "rival": why.rival,
                    "seen": seen,
                }
            )

    def write(self) -> None:
        """Write what was gathered; the reasons into the temporary table."""
        left = self.left
        mappings = auto_mappings(left.account_id, NOTE, left.run_id, self.made)
        insert_rows(left.session, Mapping.__table__, mappings)
        sound = sound_picks(left, (note for note, _, _ in self.picked))
        for note, why, seen in self.picked:
            pick = sound.get(note.vendor_id)
            self._keep(note, replace(why, nearest=pick) if pick else why, seen)
        insert_rows(left.session, VERDICTS, self.verdicts)
        self.made.clear()
        self.verdicts.clear()
        self.picked.clear()


def _write_verdicts(tried: Tried) -> None:
    """Write the reasons beside the notes, and clear those of notes that map now."""
    t, names = tried.table.c, ("why", "why_minutes", "nearest", "rival", "seen")
    mapped = select(t.note_id, *(null() for _ in names)).where(
        t.told, is_mapped(tried, t.vendor_id)
    )
    tried.session.execute(insert(VERDICTS).from_select(["note_id", *names], mapped))
    analyze(tried.session, VERDICTS)
    tried.session.execute(
        update(Note)
        # Said twice, so that SQLite comes in by the few ids.
        .where(Note.id.in_(select(VERDICTS.c.note_id)), Note.id == VERDICTS.c.note_id)
        .values({name: VERDICTS.c[name] for name in names})
        .execution_options(synchronize_session=False)
    )


def _ambiguous(session: AnySession, account_id: int) -> int:
    """Count the notes that are ambiguous, those of other passes as well."""
    return (
        session.scalar(
            select(func.count()).where(Note.account_id == account_id, Note.why == "ambiguous")
        )
        or 0
    )
