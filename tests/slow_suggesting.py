"""Which entity comes nearest to a record that equals none, plain and slow: everybody is looked at.

`docs/rules.md` says what is near enough.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from rapidfuzz.distance import JaroWinkler

from tests.slow_reading import same
from tests.slow_world import Entity, Person

SUGGESTED = {
    *("no_agency_of_that_name", "no_such_client", "no_such_staff", "other_agency", "no_site"),
    *("empty_name_or_birth_date", "empty_name_or_email"),
}


def suggested(
    kind: str,
    person: Person,
    entities: Iterable[Entity],
    here: set[str | None],
    rejected: set[tuple[str, str, str]],
) -> str | None:
    """Return the entity that comes nearest, if one is near enough. `here`: the agencies that the
    record's sites are mapped to.
    """
    mine = [same(fact) for fact in person.facts]
    found = []
    for entity in entities:
        theirs = [same(fact) for fact in entity.facts]
        equal = [a == b != "" for a, b in zip(mine, theirs, strict=True)]
        if (kind, person.id, entity.id) in rejected or not _enough(kind, mine, theirs, equal):
            continue
        place = bool(here & entity.agencies)
        names = _names(mine, theirs)
        found.append((-sum(equal) - place, -names, not entity.active, entity.id))
    return min(found)[-1] if found else None


def _enough(kind: str, mine: list[str], theirs: list[str], equal: list[bool]) -> bool:
    if kind == "site":
        return _alike(mine[0], theirs[0]) >= 0.8
    first, last, third = equal
    if first and last:
        return True
    return third and (kind == "user" or first or _names(mine, theirs) >= 0.8)


def _names(mine: list[str], theirs: list[str]) -> float:
    if len(mine) == 1:
        return _alike(mine[0], theirs[0])
    straight = min(_alike(mine[0], theirs[0]), _alike(mine[1], theirs[1]))
    crossed = min(_alike(mine[0], theirs[1]), _alike(mine[1], theirs[0]))
    best = straight if straight >= 0.8 else max(straight, crossed)
    return best if best >= 0.5 else 0.0


def _alike(one: str, other: str) -> float:
    if not one or not other:
        return 0.0
    return round(JaroWinkler.similarity(_bare(one), _bare(other)), 3)


def _bare(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name) if c.isalnum() or c == " ")
