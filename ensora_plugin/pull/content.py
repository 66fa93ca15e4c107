"""What notes say, sealed: each version's fields, apart from what automap and lists read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, exists, insert, select, update

from ..clock import utcnow
from ..crypto import Sealer
from ..database import AnySession
from ..errors import Sealed
from ..models import Content, RenderingRow, ReplacedContent
from ..rendering.soap import content_bytes
from ..vendor.records import NoteIn


def content_place(account_id: int, note_id: str, version: int) -> tuple[object, ...]:
    """Return what the sealed content of a version of a note is bound to."""
    return (account_id, "content", note_id, version, "sealed")


def content_row(account_id: int, sealer: Sealer, note: NoteIn) -> dict[str, Any]:
    """Return a note's row of `Content`, its fields sealed."""
    bound = content_place(account_id, note.id, note.version)
    sealed = sealer.seal(content_bytes(note.fields), *bound)
    key = {"account_id": account_id, "note_id": note.id, "version": note.version}
    return key | {"sealed": sealed}


def forget_content(
    session: AnySession, account_id: int, sealer: Sealer, notes: Sequence[NoteIn]
) -> None:
    """Make room for the new content of notes; what was applied is kept for good.

    Where other content comes under a version that was applied, that version is to be applied again.
    """
    own = {"account": account_id, "ids": [note.id for note in notes]}
    said = {note.id: note for note in notes}
    for row in session.connection().execute(_APPLIED, own).all():
        note = said[row.note_id]
        if row.version == note.version and not _says(sealer, account_id, row, note):
            _replace(session, account_id, row)
    session.connection().execute(_NOT_APPLIED, own)


def _says(sealer: Sealer, account_id: int, row: Any, note: NoteIn) -> bool:
    """Tell whether sealed content is that of a note; what does not open says something else."""
    try:
        stored = sealer.open(row.sealed, *content_place(account_id, row.note_id, row.version))
    except Sealed:
        return False
    return stored == content_bytes(note.fields)


def _replace(session: AnySession, account_id: int, row: Any) -> None:
    """Put applied content aside, and let its renderings be tried again."""
    key = {"account_id": account_id, "note_id": row.note_id, "version": row.version}
    written = (
        select(RenderingRow.id, *(getattr(RenderingRow, name) for name in _WRITTEN))
        .filter_by(**key, replaced_id=None)
        .where(RenderingRow.applied_at.is_not(None))
    )
    for one in session.execute(written).all():
        kept = {name: getattr(one, name) for name in _WRITTEN} | {"sealed": row.sealed}
        put = insert(ReplacedContent).values(**key, **kept, at=utcnow())
        replaced = session.scalar(put.returning(ReplacedContent.id))
        session.execute(
            update(RenderingRow)
            .where(RenderingRow.id == one.id)
            .values(replaced_id=replaced)
            .execution_options(synchronize_session=False)
        )
    session.execute(delete(Content).filter_by(**key))
    session.execute(
        update(RenderingRow)
        .filter_by(**key, applied=True)
        .values(state="refused", refusals=[_OTHERWISE])
        .execution_options(synchronize_session=False)
    )


#: What a rendering tells of the content that was written.
_WRITTEN = ("appointment_id", "applied_at", "applied_run_id", "applied_by", "signatures")


_OTHERWISE = {
    "code": "changed_under_its_version",
    "text": "Ensora Data Collection sent other content under the same version of the note; it is "
    "applied again.",
}

_OF_NOTES = (
    Content.account_id == bindparam("account"),
    Content.note_id.in_(bindparam("ids", expanding=True)),
)
_IS_APPLIED = exists().where(
    RenderingRow.account_id == Content.account_id,
    RenderingRow.note_id == Content.note_id,
    RenderingRow.version == Content.version,
    RenderingRow.applied_at.is_not(None),
)
#: Held, since what is put aside must not be what somebody just sealed with another key.
_APPLIED = (
    select(Content.note_id, Content.version, Content.sealed)
    .where(*_OF_NOTES, _IS_APPLIED)
    .with_for_update(of=Content)
)
_NOT_APPLIED = delete(Content.__table__).where(*_OF_NOTES, ~_IS_APPLIED)
