"""Looks at a deployment for what has to hold: at every moment, and when everything came to rest.

`Watch` remembers what it saw, since some things may only grow. Each answer is a list of sentences
that name the invariant which is broken; none where all is well.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import Connection as Db
from sqlalchemy.orm import Session

from ensora_plugin.clock import utcnow
from ensora_plugin.history import verify_history
from tests.chaos.counting import VERBS
from tests.invariants import ALWAYS, AT_REST
from tests.vendor_truth import ahead, connected, incomplete, opened


@dataclass
class Watch:
    """Looks at a deployment again and again. `vendor`: the emulator's file, the world's truth."""

    engine: Engine
    vendor: Path
    #: Seconds after which what is live has to have moved.
    patience: float = 300
    fences: dict[int, int] = field(default_factory=dict)
    versions: dict[tuple[int, str], int] = field(default_factory=dict)
    history: dict[int, str] = field(default_factory=dict)

    def always(self) -> list[str]:
        """Look at what holds at every moment."""
        with self.engine.connect() as db:
            if db.dialect.name == "postgresql":
                db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            found = _wrong(db, self._asked())
            found += self._grows(db) + self._appended(db) + self._cursors(db) + self._stuck(db)
        return found

    def at_rest(self) -> list[str]:
        """Look at what holds when nothing is under way and no fault goes on, the rest as well."""
        found = self.always()
        with self.engine.connect() as db:
            found += _wrong(db, AT_REST) + self._digests(db) + _chains(db)
            with opened(self.vendor) as vendor:
                for account_id, organization in connected(db):
                    found += incomplete(db, vendor, account_id, organization)
        return found + self._held()

    def _asked(self) -> tuple[tuple[str, str, str], ...]:
        """Return the questions that can be asked here: only some hosts count what they do."""
        if inspect(self.engine).has_table(VERBS.name):
            return ALWAYS
        return tuple(one for one in ALWAYS if VERBS.name not in one[2])

    def _grows(self, db: Db) -> list[str]:
        """Fences and versions of notes never go back (I-07, I-11)."""
        found = []
        for run_id, fence in db.execute(text("SELECT id, fence FROM ensora_run")):
            if fence < self.fences.get(run_id, 0):
                found.append(f"I-11: the fence of run {run_id} fell to {fence}")
            self.fences[run_id] = fence
        for account_id, note, version in db.execute(
            text("SELECT account_id, vendor_id, version FROM ensora_note")
        ):
            if version < self.versions.get((account_id, note), 0):
                found.append(f"I-07: {note} went back to version {version}")
            self.versions[account_id, note] = version
        return found

    def _appended(self, db: Db) -> list[str]:
        """What history said once it says for ever (I-22)."""
        rows = {
            row.id: repr(row)
            for row in db.execute(text("SELECT * FROM ensora_history ORDER BY id"))
        }
        lost = [id for id, said in self.history.items() if rows.get(id) != said]
        self.history = rows
        return [f"I-22: row {id} of the history changed or is gone" for id in lost]

    def _cursors(self, db: Db) -> list[str]:
        """No cursor stands ahead of the records behind it (I-12)."""
        with opened(self.vendor) as vendor:
            return [
                wrong
                for account_id, organization in connected(db)
                for wrong in ahead(db, vendor, account_id, organization)
            ]

    def _stuck(self, db: Db) -> list[str]:
        """Nothing live stands where nobody will ever look (I-13)."""
        late = utcnow() - timedelta(seconds=self.patience)
        rows = db.execute(
            text(
                "SELECT id FROM ensora_run WHERE (state = 'running' AND lease_until < :late) "
                "OR (state = 'due' AND due_at < :late AND fence = 0)"
            ),
            {"late": late if db.dialect.name == "postgresql" else str(late)},
        )
        return [f"I-13: run {row.id} is stuck" for row in rows]

    def _digests(self, db: Db) -> list[str]:
        """A run's row of history covers its mappings, where all of them stand yet (I-04)."""
        found = []
        said = {
            (row.run_id, row.kind): _json(row.after)
            for row in db.execute(
                text(
                    "SELECT run_id, kind, after FROM ensora_history WHERE action = 'automap' "
                    "ORDER BY id"
                )
            )
        }
        for (run_id, kind), told in said.items():
            pairs = db.execute(
                text(
                    "SELECT vendor_id, host_id FROM ensora_mapping WHERE run_id = :run "
                    "AND kind = :kind AND state = 'auto' ORDER BY id"
                ),
                {"run": run_id, "kind": kind},
            ).all()
            digest = hashlib.sha256()
            for pair in pairs:
                digest.update(f"{pair.vendor_id}\x1f{pair.host_id}\x1e".encode())
            if len(pairs) > told["count"]:
                found.append(f"I-04: run {run_id} made {len(pairs)} {kind}s and says {told}")
            elif len(pairs) == told["count"] and digest.hexdigest() != told["sha256"]:
                found.append(f"I-04: the digest of run {run_id} of {kind} is of other pairs")
        return found

    def _held(self) -> list[str]:
        """No transaction stands open, no lock is held (I-30); the file is whole (I-28)."""
        if self.engine.dialect.name == "postgresql":
            with self.engine.connect() as db:
                rows = db.execute(text(_OPEN)).all()
            return [f"I-30: a session is {row.state} since {row.since}" for row in rows]
        path = str(self.engine.url.database)
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                return [f"I-30: nobody can write: {error}"]
            (sound,) = other.execute("PRAGMA quick_check").fetchone()
        return [] if sound == "ok" else [f"I-28: the file is broken: {sound}"]


_OPEN = """
SELECT state, now() - xact_start AS since FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
AND xact_start < now() - interval '10 seconds'"""


def _chains(db: Db) -> list[str]:
    """Each account's history is a chain without a fork or a gap (I-22)."""
    with Session(db) as session:
        chains = verify_history(session)
    return [
        f"I-22: {chain}" for chain in chains if chain.broken or chain.unchained or not chain.rows
    ]


def _wrong(db: Db, questions: tuple[tuple[str, str, str], ...]) -> list[str]:
    found = []
    for number, what, question in questions:
        found += [f"{number}: {what}: {tuple(row)}" for row in db.execute(text(question))]
    return found


def _json(value: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return told
