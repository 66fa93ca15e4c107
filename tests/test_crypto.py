"""Sealed columns: each value opens at its own place, with a key of the ring, and nowhere else."""

from __future__ import annotations

import pytest

from ensora_plugin.crypto import Sealer
from ensora_plugin.errors import Sealed

OLD, NEW = ("k1", b"1" * 32), ("k2", b"2" * 32)
PLACE = (1, "content", "note-1", 2, "sealed")


def test_a_value_opens_at_its_own_place() -> None:
    sealer = Sealer([OLD])
    assert sealer.open(sealer.seal(b"text", *PLACE), *PLACE) == b"text"


def test_a_sealed_value_shows_nothing_and_is_never_the_same_twice() -> None:
    sealer = Sealer([OLD])
    first, second = sealer.seal(b"Amir Haddad", *PLACE), sealer.seal(b"Amir Haddad", *PLACE)
    assert first != second
    assert b"Amir" not in first


@pytest.mark.parametrize("part", range(len(PLACE)))
def test_a_moved_value_does_not_open(part: int) -> None:
    sealer = Sealer([OLD])
    value = sealer.seal(b"text", *PLACE)
    other = [*PLACE]
    other[part] = "elsewhere"
    with pytest.raises(Sealed, match="does not belong to its row"):
        sealer.open(value, *other)


def test_a_second_key_in_front_seals_and_the_old_one_still_opens() -> None:
    before = Sealer([OLD]).seal(b"text", *PLACE)
    rotated = Sealer([NEW, OLD])
    after = rotated.seal(b"text", *PLACE)
    assert rotated.open(before, *PLACE) == rotated.open(after, *PLACE) == b"text"
    assert Sealer([NEW]).open(after, *PLACE) == b"text"
    with pytest.raises(Sealed, match="has no key 'k1'"):
        Sealer([NEW]).open(before, *PLACE)
    with pytest.raises(Sealed, match="has no key 'k2'"):
        Sealer([OLD]).open(after, *PLACE)


def test_another_key_under_the_same_name_does_not_open() -> None:
    value = Sealer([OLD]).seal(b"text", *PLACE)
    with pytest.raises(Sealed, match="key was changed"):
        Sealer([("k1", b"3" * 32)]).open(value, *PLACE)


def test_without_a_key_nothing_is_sealed_and_the_words_say_what_to_do() -> None:
    sealer = Sealer([])
    assert not sealer.ready
    with pytest.raises(Sealed, match="make-key"):
        sealer.seal(b"text", *PLACE)


def test_a_value_that_was_cut_or_changed_anywhere_does_not_open() -> None:
    sealer = Sealer([OLD])
    value = sealer.seal(b"text", *PLACE)
    for length in range(len(value)):
        with pytest.raises(Sealed):
            sealer.open(value[:length], *PLACE)
        changed = value[:length] + bytes([value[length] ^ 1]) + value[length + 1 :]
        with pytest.raises(Sealed):
            sealer.open(changed, *PLACE)
