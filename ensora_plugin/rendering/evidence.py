"""The evidence of an appointment: which versions of which note were written into it, by whom, with
which signatures, and what changed from one to the next.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, literal, select

from ..access import Scope
from ..crypto import Sealer
from ..database import AnySession
from ..errors import Sealed
from ..host.entities import find_entity, host_entity
from ..host.port import HostAdapter, NoteView, Signature
from ..joins import content_of_note, rendering_stands, student_of_note
from ..kinds import NOTE
from ..listing.row_words import moment_text
from ..models import Content, Mapping, Note, RenderingRow, ReplacedContent, Student, User
from .differences import Piece, fact_differences, text_difference
from .note_views import note_view


@dataclass(frozen=True)
class SignatureProof:
    """A signature of a version: its picture, and the checksums of what came and what was stored.

    `as_came`, `as_stored`: the kept version still gives the one and the other. It is encoded anew
    for that, by the encoder of today.
    """

    whose: str
    picture: str
    signed_at: datetime | None
    blank: bool
    source_sha256: str
    stored_sha256: str
    as_came: bool
    as_stored: bool
    refused: str = ""


@dataclass(frozen=True)
class Version:
    """A version of a note that was written into the appointment, of which student and user, and who
    mapped the note to it. `view` is None where it no longer opens; `problem` says why.
    """

    note_id: str
    student: str
    user: str
    mapped: str
    version: int
    stands: bool
    state: str
    applied_at: datetime
    applied_by: str
    signatures: Sequence[SignatureProof]
    view: NoteView | None
    problem: str = ""


@dataclass(frozen=True)
class Change:
    """What a version changed about the one that was written before it."""

    version: Version
    before: Version | None
    text: Sequence[Piece]
    facts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Evidence:
    """All of an appointment: as the host has it (None where it is gone), the version that stands in
    it, and every one that was written into it, the latest first.
    """

    appointment_id: str
    appointment: Any
    standing: Version | None
    versions: Sequence[Version]

    def changes(self) -> list[Change]:
        """Return what each version changed, the latest first."""
        return [
            _change(version, before)
            for version, before in zip(self.versions, [*self.versions[1:], None], strict=True)
        ]


def was_applied(session: AnySession, account_id: int, appointment_id: str) -> bool:
    """Tell whether a note was ever written into an appointment."""
    found = select(RenderingRow.id).where(
        RenderingRow.account_id == account_id,
        RenderingRow.appointment_id == appointment_id,
        RenderingRow.applied_at.is_not(None),
    )
    return session.scalar(found.limit(1)) is not None


def evidence(
    session: AnySession, scope: Scope, host: HostAdapter, sealer: Sealer, appointment_id: str
) -> Evidence | None:
    """Return the evidence of an appointment by our id of it.

    None where nothing was ever written into it, or it is not the actor's to see: it belongs to
    another agency, or it is gone and the actor does not see all agencies.
    """
    entity = host_entity(host, scope.account, NOTE)
    appointment = find_entity(session, entity, appointment_id)
    seen = scope.agencies is None if appointment is None else scope.holds(appointment.agency_id)
    asked = {"account": scope.account_id, "of": appointment_id}
    rows = [*session.execute(_APPLIED, asked), *session.execute(_REPLACED, asked)]
    rows.sort(key=lambda row: (row.applied_at, row.version), reverse=True)
    if not seen or not rows:
        return None
    versions = [_version(sealer, scope.account_id, row) for row in rows]
    standing = next((version for version in versions if version.stands), None)
    return Evidence(appointment_id, appointment, standing, versions)


def _written(told: Any, *columns: Any) -> Any:
    """SELECT what was written into an appointment, as rows of `told` tell, and whose it is."""
    return (
        select(
            told.note_id.label("vendor_id"),
            told.version,
            told.applied_at,
            told.applied_by,
            told.applied_run_id,
            told.signatures,
            *columns,
            Note.template,
            Note.published_at,
            Student.time_zone,
            Student.first_name.label("student_first"),
            Student.last_name.label("student_last"),
            User.first_name.label("user_first"),
            User.last_name.label("user_last"),
            Mapping.state.label("mapped"),
            Mapping.by.label("mapped_by"),
            Mapping.run_id.label("mapped_run_id"),
            Mapping.at.label("mapped_at"),
        )
        .select_from(told)
        .outerjoin(Note, and_(Note.account_id == told.account_id, Note.vendor_id == told.note_id))
        .outerjoin(Student, student_of_note())
        .outerjoin(User, and_(User.account_id == Note.account_id, User.vendor_id == Note.user_id))
        .outerjoin(Mapping, rendering_stands(told))
        .where(
            told.account_id == bindparam("account"),
            told.appointment_id == bindparam("of"),
            told.applied_at.is_not(None),
        )
    )


_APPLIED = (
    _written(
        RenderingRow,
        RenderingRow.state,
        RenderingRow.applied,
        func.coalesce(ReplacedContent.sealed, Content.sealed).label("sealed"),
    )
    .outerjoin(Content, content_of_note(RenderingRow.version))
    .outerjoin(ReplacedContent, ReplacedContent.id == RenderingRow.replaced_id)
)
#: What stood there before other content under the same version was written over it.
_REPLACED = _written(
    ReplacedContent,
    literal("replaced").label("state"),
    literal(False).label("applied"),
    ReplacedContent.sealed,
).where(~exists().where(RenderingRow.replaced_id == ReplacedContent.id))


def _version(sealer: Sealer, account_id: int, row: Any) -> Version:
    view, problem = None, ""
    try:
        if row.sealed is None:
            raise Sealed("The content of this version is not kept here any more.")
        view = note_view(sealer, account_id, row)
    except Sealed as error:
        problem = str(error)
    by = row.applied_by or f"run {row.applied_run_id}"
    return Version(
        note_id=row.vendor_id,
        student=_name(row.student_first, row.student_last),
        user=_name(row.user_first, row.user_last),
        mapped=_mapped(row),
        version=row.version,
        stands=row.applied,
        state=row.state,
        applied_at=row.applied_at,
        applied_by=by,
        signatures=_proofs(view, row.signatures),
        view=view,
        problem=problem,
    )


def _name(*parts: str | None) -> str:
    return " ".join(filter(None, parts))


def _mapped(row: Any) -> str:
    if row.mapped is None:
        return "Not mapped to it any more"
    by = (
        f"User, by {row.mapped_by}" if row.mapped == "user" else f"Auto, by run {row.mapped_run_id}"
    )
    return f"{by}, {moment_text(row.mapped_at)}"


def _proofs(view: NoteView | None, facts: dict[str, dict[str, Any]]) -> list[SignatureProof]:
    """Return the proofs of the signatures that were written down with a version."""
    return [
        _proof(whose, getattr(view, f"{whose}_signature", None), told)
        for whose, told in sorted(facts.items())
    ]


def _proof(whose: str, signature: Signature | None, told: dict[str, Any]) -> SignatureProof:
    source, stored = told.get("source_sha256", ""), told.get("stored_sha256", "")
    picture = base64.b64encode(signature.png).decode() if signature else ""
    return SignatureProof(
        whose=whose,
        picture=f"data:image/png;base64,{picture}" if picture else "",
        signed_at=signature.signed_at if signature else None,
        blank=told.get("blank", False),
        source_sha256=source,
        stored_sha256=stored,
        as_came=signature is not None and signature.source_sha256 == source,
        as_stored=signature is not None and signature.stored_sha256 == stored,
        refused=told.get("refused", ""),
    )


def _change(version: Version, before: Version | None) -> Change:
    if version.view is None or before is None or before.view is None:
        return Change(version, before, (), ())
    return Change(
        version,
        before,
        text_difference(before.view.text, version.view.text),
        fact_differences(before.view, version.view),
    )
