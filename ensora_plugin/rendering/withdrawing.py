"""Take an applied note out of its appointment again, where the host allows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from ..clock import utcnow
from ..crypto import Sealer
from ..errors import NotAllowed, Sealed
from ..history import write_history
from ..host.port import HostAdapter, Refusal, Rendering
from ..host.verbs import VerbFailed, call_verb
from ..joins import content_of_note, rendering_of_note, student_of_note
from ..models import Content, Mapping, Note, RenderingRow, Student
from .note_views import note_view


@dataclass(frozen=True)
class Desk:
    """Where a person works on mappings: in one transaction, which the caller opened and commits."""

    session: Session
    account_id: int
    account: str
    host: HostAdapter
    sealer: Sealer
    #: The person, as the history names them.
    by: str


def withdraw_note(desk: Desk, mapping: Mapping, appointment_id: Any) -> Rendering | None:
    """Ask the host to take the note of `mapping` out of its appointment, whose host id is given.

    Return what the host said, None where nothing of the note stands there. A host that fails has
    not taken it out; what it failed with is among the refusals, and the transaction goes on. Raises
    `NotAllowed` where the host threw the transaction away.
    """
    note = _applied(desk, mapping)
    if note is None:
        return None
    if appointment_id is None:
        # It went with its appointment.
        _write_down(desk, mapping, note.version)
        return None
    outcome = _ask(desk, note, appointment_id)
    if outcome.stored:
        _write_down(desk, mapping, note.version)
    return outcome


def _ask(desk: Desk, note: Any, appointment_id: Any) -> Rendering:
    try:
        view = note_view(desk.sealer, desk.account_id, note)
        return call_verb(
            desk.session,
            "withdraw",
            lambda: desk.host.withdraw(desk.account, appointment_id, view),
        )
    except Sealed as error:
        code, text = error.code, str(error)
    except VerbFailed as error:
        if error.lost:
            raise NotAllowed(f"{error} Nothing was changed.") from None
        code, text = error.code, str(error)
    return Rendering(False, False, [Refusal(code, text, "administrator")])


def _write_down(desk: Desk, mapping: Mapping, version: int) -> None:
    write_history(
        desk.session,
        desk.account_id,
        action="withdraw",
        by=desk.by,
        kind=mapping.kind,
        vendor_id=mapping.vendor_id,
        before={"version": version, "appointment_id": mapping.host_id},
    )
    mapping.unrendered = True
    desk.session.execute(
        update(RenderingRow)
        .where(
            RenderingRow.account_id == desk.account_id,
            RenderingRow.note_id == mapping.vendor_id,
            RenderingRow.appointment_id == mapping.host_id,
            RenderingRow.state != "replaced",
        )
        .values(state="withdrawn", applied=False, by=desk.by, run_id=None, at=utcnow())
        .execution_options(synchronize_session=False)
    )


def _applied(desk: Desk, mapping: Mapping) -> Any:
    """Return the version of the note that stands in the appointment, with its content."""
    return desk.session.execute(
        select(
            Note.vendor_id,
            RenderingRow.version,
            Note.template,
            Note.published_at,
            Student.time_zone,
            Content.sealed,
        )
        .join(RenderingRow, and_(rendering_of_note(mapping.host_id), RenderingRow.applied))
        .join(Content, content_of_note(RenderingRow.version))
        .outerjoin(Student, student_of_note())
        .where(Note.account_id == desk.account_id, Note.vendor_id == mapping.vendor_id)
        .order_by(RenderingRow.version.desc())
        .limit(1)
    ).first()
