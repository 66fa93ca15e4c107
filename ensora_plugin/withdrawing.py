"""Take an applied note out of its appointment again, where the host allows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from .clock import utcnow
from .crypto import Sealer
from .errors import NotAllowed
from .host import HostAdapter, Rendering
from .models import Content, Mapping, Note, RenderingRow, Student
from .rendering import note_view


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

    Return what the host said, None where nothing of the note stands there. Raises `NotAllowed`
    where the
    host fails; then nothing is changed.
    """
    note = _applied(desk, mapping)
    if note is None or appointment_id is None:
        return None
    view = note_view(desk.sealer, desk.account_id, note)
    try:
        with desk.session.begin_nested():
            outcome = desk.host.withdraw(desk.account, appointment_id, view)
    except Exception as error:
        # The host's code may raise anything; its message may quote health data.
        raise NotAllowed(
            f"The host raised {type(error).__name__} while taking the note back; "
            "nothing was changed."
        ) from None
    if outcome.stored:
        desk.session.execute(
            update(RenderingRow)
            .where(
                RenderingRow.account_id == desk.account_id,
                RenderingRow.note_id == mapping.vendor_id,
                RenderingRow.appointment_id == mapping.host_id,
            )
            .values(state="withdrawn", applied=False, by=desk.by, run_id=None, at=utcnow())
        )
    return outcome


def _applied(desk: Desk, mapping: Mapping) -> Any:
    """Return the latest version of the note that stands in the appointment, with its content."""
    return desk.session.execute(
        select(
            Note.vendor_id,
            RenderingRow.version,
            Note.template,
            Note.published_at,
            Student.time_zone,
            Content.sealed,
        )
        .join(
            RenderingRow,
            and_(
                RenderingRow.account_id == Note.account_id,
                RenderingRow.note_id == Note.vendor_id,
                RenderingRow.appointment_id == mapping.host_id,
                RenderingRow.applied,
            ),
        )
        .join(
            Content,
            and_(
                Content.account_id == Note.account_id,
                Content.note_id == Note.vendor_id,
                Content.version == RenderingRow.version,
            ),
        )
        .outerjoin(
            Student,
            and_(Student.account_id == Note.account_id, Student.vendor_id == Note.student_id),
        )
        .where(Note.account_id == desk.account_id, Note.vendor_id == mapping.vendor_id)
        .order_by(RenderingRow.version.desc())
        .limit(1)
    ).first()
