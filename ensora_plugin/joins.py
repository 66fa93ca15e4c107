"""What a note is joined with, said once: its mapping, its student, its content, its renderings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_

from .kinds import NOTE, Kind
from .models import Content, Mapping, Note, RenderingRow, Student


def mapping_of(kind: Kind, mapping: Any = Mapping) -> ColumnElement[bool]:
    """Return the condition that a mapping is that of a record of `kind`."""
    return and_(
        mapping.account_id == kind.model.account_id,
        mapping.kind == kind.name,
        mapping.vendor_id == kind.model.vendor_id,
    )


def person_of_note(kind: Kind, mapping: Any, vendor_id: Any) -> ColumnElement[bool]:
    """Return the condition that a mapping is that of the site, student or user of a note."""
    return and_(
        mapping.account_id == Note.account_id,
        mapping.kind == kind.name,
        mapping.vendor_id == vendor_id,
    )


def student_of_note() -> ColumnElement[bool]:
    return and_(Student.account_id == Note.account_id, Student.vendor_id == Note.student_id)


def content_of_note(version: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """Return the condition that a content is that of a version of a note."""
    return and_(
        Content.account_id == Note.account_id,
        Content.note_id == Note.vendor_id,
        Content.version == version,
    )


def rendering_of_note(appointment_id: Any, rendering: Any = RenderingRow) -> ColumnElement[bool]:
    """Return the condition that a rendering is one of a note into an appointment."""
    return and_(
        rendering.account_id == Note.account_id,
        rendering.note_id == Note.vendor_id,
        rendering.appointment_id == appointment_id,
    )


def rendering_of_version(appointment_id: Any) -> ColumnElement[bool]:
    """Return the condition that a rendering is one of a note's present version."""
    return and_(rendering_of_note(appointment_id), RenderingRow.version == Note.version)


def rendering_stands(rendering: Any = RenderingRow) -> ColumnElement[bool]:
    """Return the condition that a rendering belongs to a mapping of a note as it stands."""
    return and_(
        Mapping.account_id == rendering.account_id,
        Mapping.kind == NOTE.name,
        Mapping.vendor_id == rendering.note_id,
        Mapping.host_id == rendering.appointment_id,
    )
