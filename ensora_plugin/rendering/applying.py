"""One version of a note into its appointment, exactly once: one transaction of the host's and ours.

The host validates; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, aliased

from ..clock import utcnow
from ..crypto import Sealer
from ..database import AnySelect, begin_write, lock_refused, upsert
from ..errors import Busy, Sealed
from ..history import lock_account, write_history
from ..host.port import HostAdapter, NoteView, Refusal, Rendering
from ..host.verbs import VerbFailed, call_verb
from ..joins import (
    content_of_note,
    mapping_of,
    person_of_note,
    rendering_of_version,
    student_of_note,
)
from ..kinds import NOTE, SITE, STUDENT, USER
from ..models import Content, Mapping, Note, RenderingRow, Student
from ..signals import appointment_rendered, notify
from .drifting import why_not_written
from .note_views import note_view, signature_facts


@dataclass(frozen=True)
class Work:
    """Where renderings happen, and for whom: a run, or a person who asked for one.

    `still_ours` is called first in each transaction; it raises when it is not.
    """

    session: Session
    account_id: int
    account: str
    host: HostAdapter
    sealer: Sealer
    run_id: int | None
    still_ours: Callable[[], None]
    by: str | None = None

    @cached_property
    def current(self) -> AnySelect:
        return _current(self.host, self.account)

    def begin(self) -> None:
        """Start a transaction that writes."""
        # Every note is asked for in the same words, by its keys: planning costs more than asking.
        begin_write(self.session, plans="auto")
        if self.by:
            # A person's rendering stands in the history.
            lock_account(self.session, self.account_id)
        self.still_ours()


@dataclass(frozen=True)
class Said:
    """What came of a rendering, as it is written down."""

    state: str
    applied: bool
    refusals: list[dict[str, str]]
    signatures: dict[str, dict[str, Any]]
    #: Whether the host took the version as it is now.
    stored: bool = False

    def differs(self, now: Any) -> bool:
        """Tell whether it says something else than what was written down before."""
        before = (now.state, now.applied, now.refusals, now.signatures)
        # Rendered by hand of somebody who took it back, and now once more.
        again = self.state == "rendered" and not now.entity_rendered
        anew = self.stored and now.replaced_id is not None
        return again or anew or before != (self.state, self.applied, self.refusals, self.signatures)


def apply_note(work: Work, note_id: str, appointment_id: str, native: Any) -> str | None:
    """Apply a note to its appointment (our id of it, and the host's) and commit.

    Return the new state, or None where there was nothing to do or nothing changed. Raises `Busy`
    where somebody holds the mapping.
    """
    work.begin()
    place = {"account": work.account_id, "note": note_id, "appointment": appointment_id}
    place["native"] = native
    now = _read(work, place)
    if now is None or not (due(now) or (work.by and not now.entity_rendered)):
        work.session.rollback()
        return None
    said: Said | None
    try:
        said = _attempt(work, place, now)
    except VerbFailed as error:
        if error.lost:
            # The lock went with the transaction, so what was read may be true no more.
            work.begin()
            now = _read(work, place)
        said = _failed(now, error.code, str(error)) if now is not None else None
    if said is None or not said.differs(now):
        work.session.rollback()
        return None
    _write_down(work, now, appointment_id, said)
    work.session.commit()
    told = {"note_id": note_id, "version": now.version, "state": said.state}
    notify(appointment_rendered, work.account, appointment_id=appointment_id, **told)
    return said.state


def _locked(work: Work, place: dict[str, Any]) -> Any:
    """Lock a note's mapping and read how both stand; None where there is nothing to render."""
    connection = work.session.connection()
    connection.execute(_LOCK, place)
    return connection.execute(work.current, place).first()


def to_render() -> ColumnElement[bool]:
    """Return the condition that a version is to be rendered by a run."""
    return or_(RenderingRow.id.is_(None), RenderingRow.state.in_(_AGAIN))


#: A note that was taken back and is mapped there again goes in again.
_AGAIN = ("refused", "failed", "withdrawn")


def due(now: Any) -> bool:
    """Tell of a row that was read what `to_render` asks."""
    return now.state is None or now.state in _AGAIN


def _read(work: Work, place: dict[str, Any]) -> Any:
    """Lock a note's mapping and read what it says: mapping, note and version may have changed since
    it was listed. Return None where there is nothing to render any more. Raises `Busy`.
    """
    connection = work.session.connection()
    try:
        connection.execute(_LOCK, place)
    except OperationalError as error:
        if not lock_refused(error):
            raise
        work.session.rollback()
        raise Busy("Somebody is changing this mapping just now; try again in a moment.") from None
    return connection.execute(work.current, place).first()


class _Drifted(Exception):
    """Raised where an appointment was given to others while its note was written."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__()
        self.refusals = refusals


def _attempt(work: Work, place: dict[str, Any], now: Any) -> Said:
    """Ask the host; what goes wrong is said, and holds up no other note. Raises `VerbFailed`."""

    def check() -> None:
        # The host has written by now, so nobody else changes the appointment.
        written = work.session.connection().execute(work.current, place).first()
        if written is not None and (refusals := why_not_written(written)):
            raise _Drifted(refusals)

    if not (refusals := why_not_written(now)):
        try:
            view = note_view(work.sealer, work.account_id, now)
            outcome = call_verb(
                work.session,
                "render",
                lambda: work.host.render(work.account, place["native"], view),
                check,
            )
            return _answered(now, outcome, view)
        except Sealed as error:
            return _failed(now, error.code, str(error))
        except _Drifted as drifted:
            refusals = drifted.refusals
    return Said("refused", bool(now.applied), _told(refusals), now.signatures or {})


def _failed(now: Any, code: str, text: str) -> Said:
    refusal = Refusal(code, text, "administrator")
    return Said("failed", bool(now.applied), _told([refusal]), now.signatures or {})


def _answered(now: Any, outcome: Rendering, view: NoteView) -> Said:
    # What stands there stays there until it is withdrawn, also where the host now refuses.
    applied = outcome.stored or bool(now.applied)
    # Those of what stands there, where that came under the same version.
    keeps = now.applied and not outcome.stored
    signatures = now.signatures if keeps else signature_facts(view)
    # Rendered from before, but not with this version: the host locked the appointment meanwhile.
    if outcome.stored and outcome.rendered:
        return Said("rendered", applied, [], signatures, stored=True)
    refusals = _told([*outcome.refusals, *_not_taken(view)])
    return Said("refused", applied, refusals, signatures, outcome.stored)


def _told(refusals: list[Refusal]) -> list[dict[str, str]]:
    return [
        {name: value for name, value in asdict(refusal).items() if value is not None}
        for refusal in refusals
    ]


def _not_taken(view: NoteView) -> list[Refusal]:
    return [
        Refusal(f"{whose}_signature_refused", text, "therapist")
        for whose, text in view.refused_signatures.items()
    ]


def _write_down(work: Work, now: Any, appointment_id: str, said: Said) -> None:
    key = {
        "account_id": work.account_id,
        "note_id": now.vendor_id,
        "version": now.version,
        "appointment_id": appointment_id,
    }
    at = utcnow()
    facts = asdict(said)
    stored = facts.pop("stored")
    row = {**key, **facts, "run_id": work.run_id, "by": work.by, "at": at}
    newly = said.applied and (not now.applied or (stored and now.replaced_id is not None))
    row["replaced_id"] = None if stored else now.replaced_id
    row["applied_at"] = at if newly else now.applied_at
    row["applied_run_id"] = work.run_id if newly else now.applied_run_id
    row["applied_by"] = work.by if newly else now.applied_by
    upsert(work.session, RenderingRow.__table__, [row], list(key))
    if "rendered" in (said.state, now.state):
        # What was rendered, and is refused now that a person asked again, is tried by runs again.
        again = said.state != "rendered"
        work.session.execute(_LOOK_AGAIN, {"mapping": now.mapping_id, "again": again})
    if newly and now.standing is not None:
        _replace_older(work.session, key)
    if work.by:
        after = {"version": now.version, "appointment_id": appointment_id, "state": said.state}
        told = {"kind": NOTE.name, "vendor_id": now.vendor_id, "after": after}
        write_history(work.session, work.account_id, action="render", by=work.by, **told)


def _replace_older(session: Session, key: dict[str, Any]) -> None:
    """Write down that the versions before stand in the appointment no more."""
    session.execute(
        update(RenderingRow)
        .where(
            RenderingRow.account_id == key["account_id"],
            RenderingRow.note_id == key["note_id"],
            RenderingRow.appointment_id == key["appointment_id"],
            RenderingRow.version != key["version"],
            RenderingRow.applied,
        )
        .values(state="replaced", applied=False)
        .execution_options(synchronize_session=False)
    )


def standing_version(account_id: Any, note_id: Any, appointment_id: Any) -> Any:
    """SELECT the version of a note that stands in an appointment, None where none does."""
    stands = aliased(RenderingRow, name="standing")
    return (
        select(func.max(stands.version))
        .where(
            stands.account_id == account_id,
            stands.note_id == note_id,
            stands.appointment_id == appointment_id,
            stands.applied,
        )
        .scalar_subquery()
    )


def _current(host: HostAdapter, account: str) -> AnySelect:
    """SELECT a note that is mapped and published: its content, its appointment as it is now, whom
    its people stand for, and what was said last.
    """
    entity = host.appointments(account).subquery("appointment")
    client, staff, site = (aliased(Mapping, name=f"{of}_is") for of in ("client", "staff", "site"))
    ours: Any = bindparam("appointment")
    return (
        select(
            Note.vendor_id,
            Note.version,
            Note.template,
            Note.published_at,
            Note.date,
            Note.start,
            Note.end,
            Student.time_zone,
            Student.time_zone.label("student_zone"),
            Content.sealed,
            Mapping.id.label("mapping_id"),
            Mapping.state.label("mapping_state"),
            client.host_id.label("client_is"),
            staff.host_id.label("staff_is"),
            site.host_id.label("agency_is"),
            *(entity.c[name].label(f"entity_{name}") for name in _COMPARED),
            *(getattr(RenderingRow, name) for name in _KEPT),
            standing_version(Note.account_id, Note.vendor_id, ours).label("standing"),
        )
        .join(Mapping, and_(mapping_of(NOTE), Mapping.host_id == ours))
        .join(entity, entity.c.id == bindparam("native", type_=entity.c.id.type))
        .join(Content, content_of_note(Note.version))
        .outerjoin(Student, student_of_note())
        .outerjoin(client, person_of_note(STUDENT, client, Note.student_id))
        .outerjoin(staff, person_of_note(USER, staff, Note.user_id))
        .outerjoin(site, person_of_note(SITE, site, Note.site_id))
        .outerjoin(RenderingRow, rendering_of_version(ours))
        .where(
            Note.account_id == bindparam("account"),
            Note.vendor_id == bindparam("note"),
            Note.status == "published",
        )
    )


#: Whoever else renders the note, or takes its mapping away, waits until this is done. A statement
#: of its own: one that waits for a lock still reads all else as it was before it waited.
_LOCK = (
    select(Mapping.id)
    .where(
        Mapping.account_id == bindparam("account"),
        Mapping.kind == NOTE.name,
        Mapping.vendor_id == bindparam("note"),
        Mapping.host_id == bindparam("appointment"),
    )
    .with_for_update()
)


#: The row is locked; a note that changes meanwhile waits, and is then to be rendered again.
_LOOK_AGAIN = (
    update(Mapping.__table__)
    .where(Mapping.id == bindparam("mapping"))
    .values(unrendered=bindparam("again"))
)

_COMPARED = ("client_id", "staff_id", "agency_id", "date", "start", "end", "time_zone", "rendered")
_KEPT = (
    "state",
    "applied",
    "refusals",
    "signatures",
    "applied_at",
    "applied_run_id",
    "applied_by",
    "replaced_id",
)
