"""An entity that a drop-down offers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

#: So many are offered at once.
PAGE = 20


@dataclass(frozen=True)
class Option:
    """An entity that may be chosen; `taken` says by which record it is taken, or is empty, and
    `agrees` what it has in common with the record.
    """

    id: str
    label: str
    sub: str
    taken: str
    agrees: str = ""


def told_apart(found: list[Option]) -> list[Option]:
    """Add the host's number to options that would read the same."""
    times = Counter((option.label, option.sub) for option in found)
    return [
        replace(option, sub=f"{option.sub} · no. {option.id}".removeprefix(" · "))
        if times[option.label, option.sub] > 1
        else option
        for option in found
    ]
