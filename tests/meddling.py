"""The demo host with something happening inside its verb, and what came of the notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from demo.host.adapter import DemoHost
from demo.host.models import Appointment
from ensora_plugin.access import Scope
from ensora_plugin.database import begin_write
from ensora_plugin.history import lock_account
from ensora_plugin.host.port import ALL, PERMISSIONS, Actor, NoteView, Rendering
from ensora_plugin.kinds import NOTE
from ensora_plugin.listing.listing import list_row
from ensora_plugin.listing.rows import RowView, row_view
from ensora_plugin.models import Note, RenderingRow
from ensora_plugin.rendering.withdrawing import Desk
from tests.practices import Practice
from tests.small import ACCOUNT, Small

Meanwhile = Callable[[int], None]


@dataclass
class Meddled(DemoHost):
    """The demo host, which notes every call of its verb; `before` and `after` happen in the verb,
    and are told the appointment. `taking` happens at the end of its other verb.
    """

    before: Meanwhile = lambda _: None
    after: Meanwhile = lambda _: None
    taking: Meanwhile = lambda _: None
    calls: list[tuple[int, int]] = field(default_factory=list)

    def render(self, account: str, appointment_id: int, note: NoteView) -> Rendering:
        self.calls.append((appointment_id, note.version))
        self.before(appointment_id)
        outcome = super().render(account, appointment_id, note)
        self.after(appointment_id)
        return outcome

    def withdraw(self, account: str, appointment_id: int, note: NoteView) -> Rendering:
        outcome = super().withdraw(account, appointment_id, note)
        self.taking(appointment_id)
        return outcome


def hours(count: int = 3) -> Small:
    """So many notes with their appointments, one after the other."""
    small = Small()
    small.trio()
    for hour in range(9, 9 + count):
        small.note(f"{hour:02}:00", f"{hour:02}:50", text=f"Hour {hour}")
        small.appointment(f"{hour:02}:00", f"{hour:02}:50")
    return small


def rows(practice: Practice) -> dict[tuple[str, int], tuple[str, bool, list[str]]]:
    """(note, version) -> state, applied, codes of the refusals."""
    practice.session.rollback()
    return {
        (row.note_id, row.version): (row.state, row.applied, [r["code"] for r in row.refusals])
        for row in practice.session.scalars(select(RenderingRow).order_by(RenderingRow.id))
    }


def appointment(practice: Practice, id: int = 1) -> Appointment:
    practice.session.rollback()
    return practice.session.get_one(Appointment, id)


RENDERED = ("rendered", True, [])


def row_of(practice: Practice, note_id: str = "note-1", *permissions: str) -> RowView:
    """What the Appointments tab says of a note to somebody of all agencies."""
    practice.session.rollback()
    actor = Actor("1", "ada", ALL, frozenset(permissions or PERMISSIONS))
    scope = Scope.of(practice.account_id(ACCOUNT), ACCOUNT, actor)
    record = practice.session.scalars(select(Note.id).where(Note.vendor_id == note_id)).one()
    host = practice.state.host
    with practice.app.test_request_context():
        row = list_row(practice.session, scope, host, NOTE, record)
        said = row_view(row, scope, NOTE, at="", pages=())
    practice.session.rollback()
    return said


def chip_of(practice: Practice, note_id: str = "note-1") -> tuple[str, str]:
    """The word of a row's rendering, and what stands below it."""
    said = row_of(practice, note_id)
    assert said.rendering is not None
    return said.rendering.text, said.rendering_sub


def person(practice: Practice, note_id: str = "note-1") -> tuple[Desk, Note]:
    """A person's desk with a note on it, in a transaction of its own."""
    session, account_id = practice.session, practice.account_id(ACCOUNT)
    begin_write(session)
    lock_account(session, account_id)
    state = practice.state
    at = Desk(session, account_id, ACCOUNT, state.host, state.sealer, "ada")
    return at, session.scalars(select(Note).where(Note.vendor_id == note_id)).one()


def change(practice: Practice, statement: Any) -> None:
    practice.session.execute(statement)
    practice.session.commit()
