"""Mapped notes -> verbs of the host: each version of a note is applied to its appointment exactly
once.

The host's writes and our row commit together, one commit an appointment. The host validates;
nothing is decided
here. A refusal is kept with its reasons and tried again at each run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import time
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .clock import utcnow
from .content import content_place
from .crypto import Sealer
from .database import as_host_id, begin_write, sqlstate, upsert
from .errors import Sealed
from .host import HostAdapter, NoteView, Refusal, Rendering, Signature
from .kinds import NOTE
from .models import Content, Mapping, Note, RenderingRow, Student
from .records import digest
from .signals import appointment_rendered, notify
from .signature import SignatureRefused, read_signature
from .soap import Signed, content_fields, read_soap

_BATCH = 500


@dataclass
class Rendered:
    """What a pass did; `unchanged` are refusals that stay as they were."""

    rendered: int = 0
    refused: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class Work:
    """Where renderings happen. `still_ours` is called first in each transaction; it raises when it
    is not.
    """

    session: Session
    account_id: int
    account: str
    host: HostAdapter
    sealer: Sealer
    run_id: int
    still_ours: Callable[[], None]


def render_due(work: Work) -> Rendered:
    """Render every mapped note whose version was not rendered yet, in the order of their sessions;
    commits each.
    """
    result = Rendered()
    for due in _due(work):
        state = render_one(work, due)
        if state is None:
            result.unchanged += 1
        elif state == "rendered":
            result.rendered += 1
        else:
            result.refused += 1
    return result


def _due(work: Work) -> Iterator[Any]:
    """Yield note id, version, appointment id (ours and the host's) of what is to be rendered."""
    appointment = work.host.appointments(work.account).subquery("appointment")
    done = and_(
        RenderingRow.account_id == work.account_id,
        RenderingRow.note_id == Note.vendor_id,
        RenderingRow.version == Note.version,
        RenderingRow.appointment_id == Mapping.host_id,
    )
    statement = (
        select(
            Note.sort_key,
            Note.id,
            Note.vendor_id,
            Mapping.host_id,
            appointment.c.id.label("appointment_id"),
        )
        .join(
            Mapping,
            and_(
                Mapping.account_id == Note.account_id,
                Mapping.kind == NOTE.name,
                Mapping.vendor_id == Note.vendor_id,
            ),
        )
        .join(appointment, appointment.c.id == as_host_id(Mapping.host_id, appointment.c.id))
        .outerjoin(RenderingRow, done)
        .where(
            Note.account_id == work.account_id,
            Note.status == "published",
            Note.date.is_not(None),
            _to_render(),
        )
        # Day and start, by the index that lists use: a page costs the same wherever it lies.
        .order_by(Note.sort_key, Note.id)
        .limit(_BATCH)
    )
    after: tuple[Any, ...] | None = None
    while True:
        page = statement
        if after is not None:
            page = page.where(tuple_(Note.sort_key, Note.id) > tuple_(*after))
        rows = work.session.execute(page).all()
        work.session.rollback()
        yield from rows
        if len(rows) < _BATCH:
            return
        after = tuple(rows[-1][:2])


def render_one(work: Work, due: Any) -> str | None:
    """Render one note into its appointment in one transaction.

    Return the new state, or None where nothing changed.
    """
    session = work.session
    begin_write(session)
    work.still_ours()
    # Read once more under the lock: mapping, note and version may have changed since the list.
    place = {"account": work.account_id, "note": due.vendor_id, "appointment": due.host_id}
    now = session.execute(_CURRENT, place).first()
    if now is None:
        session.rollback()
        return None
    try:
        view = note_view(work.sealer, work.account_id, now)
    except Sealed as error:
        # One note that does not open must not hold up the others.
        state, outcome = "failed", _failure(error.code, str(error))
    else:
        state, outcome = _ask(work, due.appointment_id, view)
    refusals = [{"code": refusal.code, "text": refusal.text} for refusal in outcome.refusals]
    # What stands there stays there until it is withdrawn, also where the host now refuses or fails.
    applied = outcome.stored or bool(now.applied)
    if (now.state, now.applied, now.refusals) == (state, applied, refusals):
        session.rollback()
        return None
    key = {
        "account_id": work.account_id,
        "note_id": due.vendor_id,
        "version": now.version,
        "appointment_id": due.host_id,
    }
    said = {"state": state, "applied": applied, "refusals": refusals}
    by = {"run_id": work.run_id, "by": None, "at": utcnow()}
    upsert(session, RenderingRow.__table__, [key | said | by], list(key))
    session.commit()
    told = {"note_id": due.vendor_id, "version": now.version, "state": state}
    notify(appointment_rendered, work.account, appointment_id=due.host_id, **told)
    return state


def _to_render() -> ColumnElement[bool]:
    # A note that was taken back and is mapped there again goes in again.
    again = RenderingRow.state.in_(("refused", "failed", "withdrawn"))
    return or_(RenderingRow.id.is_(None), again)


#: A note that is still mapped, published and to be rendered: its content, and what was said last.
_CURRENT = (
    select(
        Note.vendor_id,
        Note.version,
        Note.template,
        Note.published_at,
        Student.time_zone,
        Content.sealed,
        RenderingRow.state,
        RenderingRow.applied,
        RenderingRow.refusals,
    )
    .join(
        Mapping,
        and_(
            Mapping.account_id == Note.account_id,
            Mapping.kind == NOTE.name,
            Mapping.vendor_id == Note.vendor_id,
            Mapping.host_id == bindparam("appointment"),
        ),
    )
    .outerjoin(
        Student,
        and_(Student.account_id == Note.account_id, Student.vendor_id == Note.student_id),
    )
    .join(
        Content,
        and_(
            Content.account_id == Note.account_id,
            Content.note_id == Note.vendor_id,
            Content.version == Note.version,
        ),
    )
    .outerjoin(
        RenderingRow,
        and_(
            RenderingRow.account_id == Note.account_id,
            RenderingRow.note_id == Note.vendor_id,
            RenderingRow.version == Note.version,
            RenderingRow.appointment_id == Mapping.host_id,
        ),
    )
    .where(
        Note.account_id == bindparam("account"),
        Note.vendor_id == bindparam("note"),
        Note.status == "published",
        _to_render(),
    )
    # Whoever takes the mapping away waits until its note stands in the appointment, or not.
    .with_for_update(of=Mapping)
)


def note_view(sealer: Sealer, account_id: int, note: Any) -> NoteView:
    """Open a note's content and return it as a host reads it, its signatures encoded anew.

    `note` has vendor_id, version, template, published_at, time_zone and sealed.
    """
    place = content_place(account_id, note.vendor_id, note.version)
    content = sealer.open(note.sealed, *place)
    soap = read_soap(content_fields(content))
    refused: dict[str, str] = {}
    if soap.date is None or soap.start is None or soap.end is None:
        raise Sealed("The sealed content of a note has no date or times, unlike its record.")
    return NoteView(
        vendor_id=note.vendor_id,
        version=note.version,
        template=note.template,
        published_at=note.published_at,
        session_date=soap.date,
        start=time(*divmod(soap.start, 60)),
        end=time(*divmod(soap.end, 60)),
        time_zone=note.time_zone or "",
        text=soap.notes,
        guardian_name=soap.guardian_name,
        relationship=soap.relationship,
        location=soap.location,
        therapist_signature=_signature(soap.therapist_signature, "therapist", refused),
        guardian_signature=_signature(soap.guardian_signature, "guardian", refused),
        refused_signatures=refused,
        checksum=digest(content).hex(),
    )


def _signature(signed: Signed | None, whose: str, refused: dict[str, str]) -> Signature | None:
    if signed is None:
        return None
    try:
        return read_signature(signed)
    except SignatureRefused as refusal:
        refused[whose] = str(refusal)
        return None


def _ask(work: Work, appointment_id: Any, view: NoteView) -> tuple[str, Rendering]:
    """Call the host's verb inside a savepoint; what it raises is a failed rendering, and the batch
    goes on.
    """
    session = work.session
    outer = session.get_transaction()
    savepoint = session.begin_nested()
    try:
        outcome = work.host.render(work.account, appointment_id, view)
        whole = session.get_transaction() is outer and savepoint.is_active
        if whole:
            savepoint.commit()
    except Exception as error:
        # The host's code may raise anything; its message may quote health data, so only its class
        # is kept.
        if session.get_transaction() is outer and savepoint.is_active:
            savepoint.rollback()
        else:
            _start_over(work)
        name = sqlstate(error) if isinstance(error, DBAPIError) else type(error).__name__
        return "failed", _failure("host_error", f"The host raised {name} while rendering.")
    if not whole:
        _start_over(work)
        text = "The host's render verb ended the transaction; commits are the plugin's."
        return "failed", _failure("host_committed", text)
    # Rendered from before, but not with this version: the host locked the appointment meanwhile.
    if outcome.stored and outcome.rendered:
        return "rendered", Rendering(stored=True, rendered=True)
    refusals = [*outcome.refusals, *_refused_signatures(view)]
    return "refused", Rendering(outcome.stored, outcome.rendered, refusals)


def _start_over(work: Work) -> None:
    # The host may have left changes that it never flushed.
    work.session.rollback()
    begin_write(work.session)
    work.still_ours()


def _failure(code: str, text: str) -> Rendering:
    return Rendering(stored=False, rendered=False, refusals=[Refusal(code, text)])


def _refused_signatures(view: NoteView) -> list[Refusal]:
    return [
        Refusal(f"{whose}_signature_refused", text)
        for whose, text in view.refused_signatures.items()
    ]
