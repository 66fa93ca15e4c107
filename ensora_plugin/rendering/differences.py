"""What changed from one version of a note to the next: its text word by word, its other facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from ..host.port import NoteView

#: So many words between what both texts begin and end with are compared, else so many lines; the
#: time grows with the square.
_MOST = 1500
_WORDS, _LINES = re.compile(r"\s+|\S+"), re.compile(r".*\n|.+")


@dataclass(frozen=True)
class Piece:
    """A stretch of text that stayed, went, or came."""

    kind: Literal["same", "gone", "new"]
    text: str


def text_difference(old: str, new: str) -> list[Piece]:
    """Return `new` and what went of `old`, in pieces in the order of reading."""
    head, before, after, tail = _apart(old, new)
    pieces = [Piece("same", head)]
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for same, start, end, new_start, new_end in matcher.get_opcodes():
        gone, came = "".join(before[start:end]), "".join(after[new_start:new_end])
        if same == "equal":
            pieces.append(Piece("same", came))
        else:
            pieces += [Piece("gone", gone), Piece("new", came)]
    pieces.append(Piece("same", tail))
    return [piece for piece in pieces if piece.text]


def _apart(old: str, new: str) -> tuple[str, list[str], list[str], str]:
    """Cut two texts into what both begin with, what each has in between, and what both end with."""
    for cut in (_WORDS, _LINES):
        before, after = cut.findall(old), cut.findall(new)
        head = _alike(before, after)
        tail = _alike(before[head:][::-1], after[head:][::-1])
        ends, new_ends = len(before) - tail, len(after) - tail
        if max(ends, new_ends) - head <= _MOST:
            same, end = "".join(before[:head]), "".join(before[ends:])
            return same, before[head:ends], after[head:new_ends], end
    return "", [old], [new], ""


def _alike(ones: list[str], others: list[str]) -> int:
    """Return how many of the first are alike."""
    pairs = enumerate(zip(ones, others, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(ones), len(others)))


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
