"""Text equality of the domain: NFKC, trim, runs of white space to one space, casefold. Nothing
looser ever maps.
"""

from __future__ import annotations

import hashlib
import unicodedata

#: Stands between the parts of a key; text from outside cannot hold it, since `text_key` splits on
#: it.
SEPARATOR = "\x1f"
#: A longer key stands as its digest: normalising may make a text 18 times as long, and databases
#: bound columns and index rows.
LONGEST_KEY = 1000
#: Lists are sorted and searched by so many characters of a name.
LONGEST_NAME = 300


def text_key(text: str) -> str:
    """Return what texts have in common that the domain calls equal; empty for blank text."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def list_keys(*names: str) -> dict[str, str]:
    """Return the keys by which names are searched and sorted: "first last" and "last first"."""
    forward, backward = " ".join(names), " ".join(reversed(names))
    return {
        "name_key": text_key(forward)[:LONGEST_NAME],
        "sort_key": text_key(backward)[:LONGEST_NAME],
    }


def joint_key(*parts: str) -> str | None:
    """Return one key for several texts, or None where one of them is blank: an empty value equals
    nothing.
    """
    keys = [text_key(part) for part in parts]
    if not all(keys):
        return None
    key = SEPARATOR.join(keys)
    whole = key.encode()
    return key if len(whole) <= LONGEST_KEY else hashlib.blake2b(whole).hexdigest()
