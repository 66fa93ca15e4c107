"""First and last names of the world's people, and small slips of the pen in them."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from random import Random


def _words(name: str) -> list[str]:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").split()


FIRST = _words("first_names.txt")

LAST = _words("last_names.txt")

#: Names with accents, which people leave out.
ACCENTED = [name for name in FIRST if not name.isascii()]


def typo(rng: Random, name: str) -> str:
    """Return the name with two neighbouring letters swapped or one doubled; never equal to what it
    was.
    """
    at = rng.randrange(1, len(name) - 1) if len(name) > 2 else 0
    swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return swapped if swapped.casefold() != name.casefold() else name[: at + 1] + name[at:]


def without_accents(name: str) -> str:
    """Return the name as a keyboard without accents has it: Renée becomes Renee."""
    parts = unicodedata.normalize("NFD", name)
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def dressed(rng: Random, name: str) -> str:
    """Return the name written in another way that still counts as equal."""
    ways = (
        name.upper(),
        name.lower(),
        unicodedata.normalize("NFD", name),
        f"\u00a0{name} ",
        f"{name}\u2003",
        unicodedata.normalize("NFC", name).swapcase(),
    )
    return rng.choice(ways)


def ascii_address(name: str) -> str:
    """Return the letters of a name that an email address takes."""
    return "".join(letter for letter in without_accents(name).casefold() if letter.isalnum())
