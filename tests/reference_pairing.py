"""Who belongs to whom, one to one, by the rules alone; one half of the plain matcher of
`reference.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from demo.data import Expected

Row = dict[str, Any]


def people(
    left: list[Row],
    right: list[Row],
    equal: Callable[[Row, Row], bool],
    why: Callable[[Row], str],
) -> dict[str, Expected]:
    """Pair what is equal and alone so on both sides; inactive ones yield to an active one."""
    of_left = {one["id"]: [other for other in right if equal(one, other)] for one in left}
    of_right = {
        other["id"]: [one for one in left if any(other is him for him in of_left[one["id"]])]
        for other in right
    }
    pairs = {}
    for one in left:
        mine = standing(of_left[one["id"]])
        theirs = standing(of_right[mine[0]["id"]]) if len(mine) == 1 else []
        if [him["id"] for him in theirs] == [one["id"]]:
            pairs[one["id"]] = mine[0]["id"]
    found = {}
    for one in left:
        mine = {other["id"] for other in of_left[one["id"]]}
        if one["id"] in pairs:
            found[one["id"]] = Expected(str(pairs[one["id"]]))
        elif not mine:
            found[one["id"]] = Expected(reason=why(one))
        else:
            taken = mine <= set(pairs.values())
            found[one["id"]] = Expected(reason="taken" if taken else "ambiguous")
    return found


def standing(rows: list[Row]) -> list[Row]:
    """Return those that do not yield: the active ones, or all where none is active."""
    return [row for row in rows if row["active"]] or rows


def nearest(near: dict[tuple[str, int], int]) -> dict[str, int]:
    """Pair what is strictly the nearest for both sides, then go on among what is left, until
    nothing more pairs.
    """
    left, pairs = dict(near), {}
    while True:
        new = {
            note: row
            for (note, row), apart in left.items()
            if all(
                apart < other
                for (n, r), other in left.items()
                if (n, r) != (note, row) and (n == note or r == row)
            )
        }
        if not new:
            return pairs
        pairs |= new
        gone = set(new.values())
        left = {(n, r): apart for (n, r), apart in left.items() if n not in new and r not in gone}
