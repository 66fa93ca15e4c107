"""What notes say, sealed: each version's fields, apart from what automap and lists read."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, exists

from .crypto import Sealer
from .database import AnySession, insert_rows
from .models import Content, RenderingRow
from .records import NoteIn
from .soap import content_bytes


def content_place(account_id: int, note_id: str, version: int) -> tuple[object, ...]:
    """Return what the sealed content of a version of a note is bound to."""
    return (account_id, "content", note_id, version, "sealed")


def write_content(
    session: AnySession, account_id: int, sealer: Sealer, notes: Sequence[NoteIn]
) -> None:
    """Seal the fields of notes; a version that was applied stays as it was applied."""
    rows = []
    for note in notes:
        bound = content_place(account_id, note.id, note.version)
        sealed = sealer.seal(content_bytes(note.fields), *bound)
        key = {"account_id": account_id, "note_id": note.id, "version": note.version}
        rows.append(key | {"sealed": sealed})
    insert_rows(session, Content.__table__, rows, doubles=True)


def forget_content(session: AnySession, account_id: int, note_ids: Sequence[str]) -> None:
    """Delete what is sealed of notes; versions that were applied are kept for good."""
    own = {"account": account_id, "ids": note_ids}
    session.connection().execute(_NOT_APPLIED, own)


_NOT_APPLIED = delete(Content.__table__).where(
    Content.account_id == bindparam("account"),
    Content.note_id.in_(bindparam("ids", expanding=True)),
    ~exists().where(
        RenderingRow.account_id == Content.account_id,
        RenderingRow.note_id == Content.note_id,
        RenderingRow.version == Content.version,
        RenderingRow.applied,
    ),
)
