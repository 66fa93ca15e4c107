"""The demo host, which counts in a table of its own how often its verbs did something for good.

The count commits with what it counts: what was rolled back was never done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, Select, String, Table, insert

from demo.host.adapter import DemoHost
from demo.host.models import db
from ensora_plugin.host.port import NoteView, Rendering

_METADATA = MetaData()
#: A row each time: the note's version stands in the appointment (1), was rendered there (2), or
#: was taken out again (-1).
VERBS = Table(
    "chaos_verb",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("account", String(40)),
    Column("appointment_id", String(40)),
    Column("note", String(80)),
    Column("version", Integer),
    Column("did", Integer),
)
STORED, RENDERED, WITHDRAWN = 1, 2, -1


def make_table(engine: Engine) -> None:
    """Make the table of counts beside the host's."""
    _METADATA.create_all(engine)


@dataclass
class CountingHost(DemoHost):
    """`after` is called when the host has rendered, before our row is written; `named` with the
    account whose agencies are asked for.
    """

    after: Callable[[], None] = lambda: None
    named: Callable[[str], None] = lambda _account: None

    def agencies(self, account: str) -> Select[Any]:
        self.named(account)
        return super().agencies(account)

    def render(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        outcome = super().render(account, appointment_id, note)
        if outcome.stored:
            did = RENDERED if outcome.rendered else STORED
            self._count(account, appointment_id, note, did)
        self.after()
        return outcome

    def withdraw(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        outcome = super().withdraw(account, appointment_id, note)
        if outcome.stored:
            self._count(account, appointment_id, note, WITHDRAWN)
        return outcome

    def _count(self, account: str, appointment_id: Any, note: NoteView, did: int) -> None:
        key = {"account": account, "appointment_id": str(appointment_id)}
        told = {"note": note.vendor_id, "version": note.version, "did": did}
        db.session.execute(insert(VERBS), [key | told])
