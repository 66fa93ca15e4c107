"""Which SOAP fields the templates of an account have, as its notes came with them.

Fields are sealed, so what is to know of a template is written down when a note of it is pulled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ..database import AnySession
from ..models import TemplateField
from ..rendering.soap import NAMES, meaning_of
from ..vendor.records import NoteIn


@dataclass(frozen=True)
class Field:
    """A SOAP field by the names that a template may give it."""

    words: str
    has: bool
    #: What is missed where it is missing.
    lack: str


@dataclass(frozen=True)
class Template:
    """A template that notes came with, and the fields of each meaning."""

    name: str
    fields: tuple[Field, ...]

    @property
    def missing(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if not field.has)


def template_fields(account_id: int, notes: Iterable[NoteIn]) -> list[dict[str, Any]]:
    """Return the rows of the fields that some notes tell of their templates."""
    # Notes of a template name the same fields; each form is looked at once.
    forms = {(note.template, *(field.name for field in note.fields)) for note in notes}
    told = {
        (template, meaning_of(name) or "") for template, *names in forms if names for name in names
    }
    return [
        {"account_id": account_id, "template": template, "meaning": meaning}
        for template, meaning in sorted(told)
    ]


def templates_seen(session: AnySession, account_id: int) -> list[Template]:
    """Return the account's templates by name, those that miss something first."""
    rows = session.execute(
        select(TemplateField.template, TemplateField.meaning).where(
            TemplateField.account_id == account_id
        )
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.template, set()).add(row.meaning)
    templates = [Template(name, _fields(meanings)) for name, meanings in found.items()]
    return sorted(templates, key=lambda one: (not one.missing, one.name.casefold(), one.name))


def _fields(meanings: set[str]) -> tuple[Field, ...]:
    return tuple(
        Field(" or ".join(name.title() for name in names), meaning in meanings, _LACKS[meaning])
        for meaning, names in NAMES.items()
    )


_LACKS = {
    **dict.fromkeys(
        ("date", "start", "end"), "no note of this template can be matched to an appointment"
    ),
    "notes": "the Results Notes of its appointments stay empty",
    "therapist_signature": "its appointments carry no signature of the therapist",
    "guardian_name": "nobody can tell who signed as the guardian",
    "guardian_signature": "its appointments carry no signature of a guardian",
    "relationship": "the guardian's relationship stays empty",
    "location": "the locations of signatures and rendering stay empty",
}
