"""The demo host with something happening inside its verb, and what came of the notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select

from demo.host.adapter import DemoHost
from demo.host.models import Appointment
from ensora_plugin.host import NoteView, Rendering
from ensora_plugin.models import RenderingRow
from tests.practices import Practice
from tests.small import Small

Meanwhile = Callable[[int], None]


@dataclass
class Meddled(DemoHost):
    """The demo host, which notes every call of its verb; `before` and `after` happen in the verb,
    and are told the appointment.
    """

    before: Meanwhile = lambda _: None
    after: Meanwhile = lambda _: None
    calls: list[tuple[int, int]] = field(default_factory=list)

    def render(self, account: str, appointment_id: int, note: NoteView) -> Rendering:
        self.calls.append((appointment_id, note.version))
        self.before(appointment_id)
        outcome = super().render(account, appointment_id, note)
        self.after(appointment_id)
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
