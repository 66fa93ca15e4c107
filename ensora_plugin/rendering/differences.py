"""What changed from one version of a note to the next: its text word by word, its other facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from ..host.port import NoteView

#: Longer texts are compared line by line; words would take seconds.
_MOST_WORDS = 6000


@dataclass(frozen=True)
class Piece:
    """A stretch of text that stayed, went, or came."""

    kind: Literal["same", "gone", "new"]
    text: str


def text_difference(old: str, new: str) -> list[Piece]:
    """Return `new` and what went of `old`, in pieces in the order of reading."""
    before, after = _parts(old), _parts(new)
    if max(len(before), len(after)) > _MOST_WORDS:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for same, start, end, new_start, new_end in matcher.get_opcodes():
        gone, came = "".join(before[start:end]), "".join(after[new_start:new_end])
        if same == "equal":
            pieces.append(Piece("same", came))
            continue
        pieces += [Piece("gone", gone)] if gone else []
        pieces += [Piece("new", came)] if came else []
    return pieces


def _parts(text: str) -> list[str]:
    return re.findall(r"\s+|[^\s]+", text)


def fact_differences(old: NoteView, new: NoteView) -> list[tuple[str, str, str]]:
    """Return name, old and new value of every fact beside the text that changed."""
    before, after = _facts(old), _facts(new)
    return [(name, before[name], after[name]) for name in before if before[name] != after[name]]


def _facts(view: NoteView) -> dict[str, str]:
    return {
        "Session date": f"{view.session_date}",
        "Session time": f"{view.start:%H:%M}–{view.end:%H:%M}",
        "Guardian name": view.guardian_name,
        "Relationship": view.relationship,
        "Location": view.location,
        "Guardian signature": _signature(view, "guardian"),
        "Therapist signature": _signature(view, "therapist"),
    }


def _signature(view: NoteView, whose: str) -> str:
    signature = view.guardian_signature if whose == "guardian" else view.therapist_signature
    if signature is None:
        return "refused" if whose in view.refused_signatures else "none"
    return f"picture {signature.source_sha256[:12]}"
