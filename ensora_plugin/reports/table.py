"""A report as it is shown and written into a file: heads and rows, or groups and counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .cells import Value
from .choice import Choice
from .grouping import groups_of
from .sides import Source, all_rows


@dataclass(frozen=True)
class Head:
    """The head of a column: its words, the form of its values, its width in characters."""

    name: str
    words: str
    form: str
    characters: int


def heads_of(choice: Choice) -> list[Head]:
    """Return the heads of the table that a person chose."""
    if choice.group:
        counts = ("Records", "Auto", "User", "Ignored", "To map")
        first = Head("group", choice.groups[choice.group], "text", 36)
        return [first, *(Head(words, words, "number", 10) for words in counts)]
    return [
        Head(column.name, column.words, column.form, column.characters) for column in choice.columns
    ]


def lines_of(source: Source, choice: Choice) -> Iterator[list[Value]]:
    """Yield all lines of the table, as many as there are."""
    if choice.group:
        for group in groups_of(source, choice):
            yield group.line
        return
    cells = [column.cell for column in choice.columns]
    for row in all_rows(source, choice.filters):
        yield [cell(row) for cell in cells]
