"""How much alike two people's facts are, for suggestions. Nothing of this ever maps by itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import JaroWinkler

#: Names that are so much alike, of 1, may be two spellings of one.
ALIKE = 0.8
_NOT_ALIKE = 0.5


@dataclass(frozen=True)
class Likeness:
    """What two lists of facts (names first, then birth date or email) have in common."""

    #: Which facts are equal, one by one; a blank one equals nothing.
    equal: tuple[bool, ...]
    #: How much alike the names are, of 1: the least alike of them counts.
    names: float

    @property
    def order(self) -> tuple[int, float]:
        """By which the nearest comes first."""
        return -sum(self.equal), -self.names

    @property
    def shares_enough(self) -> bool:
        """Whether the two may be the same person or place, so that a person should look at it.

        Names are equal; or the last fact is, and the names are alike, or the first name is equal
        (people marry). Facts that nobody else has, such as an email, are looked at by the caller.
        """
        *names, last = self.equal
        if not names:
            return self.names >= ALIKE
        return all(names) or (last and (names[0] or self.names >= ALIKE))


def likeness(one: Sequence[str], other: Sequence[str]) -> Likeness:
    """Compare normalised facts; of a site and an agency that is the name alone."""
    equal = tuple(a == b != "" for a, b in zip(one, other, strict=True))
    if len(one) == 1:
        return Likeness(equal, _alike(one[0], other[0]))
    mine, theirs = one[:-1], other[:-1]
    names = _all_alike(mine, theirs)
    if names < ALIKE:
        # First and last name may stand in each other's place.
        names = max(names, _all_alike(mine, theirs[::-1]))
    return Likeness(equal, names)


def _all_alike(names: Sequence[str], others: Sequence[str]) -> float:
    """Return how much alike the least alike are; what is less than half does not matter."""
    least = 1.0
    for a, b in zip(names, others, strict=True):
        least = min(least, _alike(a, b))
        if least < _NOT_ALIKE:
            return 0.0
    return least


def _alike(name: str, other: str) -> float:
    return round(JaroWinkler.similarity(_bare(name), _bare(other)), 3) if name and other else 0.0


def _bare(name: str) -> str:
    """Leave letters, digits and spaces of a name, without their accents."""
    if name.isascii() and name.isalnum():
        return name
    parts = unicodedata.normalize("NFKD", name)
    return "".join(one for one in parts if one.isalnum() or one == " ")
