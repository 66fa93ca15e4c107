"""Sealed columns: AES-GCM, the key's id in front, each value bound to its account, table, row and
column.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import Sealed

_NONCE = 12


class Sealer:
    """Seals with the newest key and opens with any key of the ring.

    A sealed value is: one byte with the length of the key's id, the id, a random 96-bit nonce, the
    ciphertext. The place (account, table, row, version, column) is authenticated, so a value that
    was moved elsewhere does not open.
    """

    def __init__(self, ring: Sequence[tuple[str, bytes]]) -> None:
        self._ciphers = {name: AESGCM(secret) for name, secret in ring}
        self._newest = ring[0][0] if ring else None
        self._front = front_of(self._newest or "")

    @property
    def ready(self) -> bool:
        """Whether there is a key to seal with."""
        return self._newest is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of the keys, the newest first."""
        return tuple(self._ciphers)

    def seal(self, plain: bytes, *place: object) -> bytes:
        """Return `plain` sealed for `place`; raises `Sealed` where no key is set."""
        if self._newest is None:
            raise Sealed(
                "ENSORA_KEYS is not set: tokens and clinical text cannot be stored. "
                "`flask ensora make-key` prints a key to set."
            )
        nonce = os.urandom(_NONCE)
        body = self._ciphers[self._newest].encrypt(nonce, plain, _bind(place))
        return self._front + nonce + body

    def open(self, value: bytes, *place: object) -> bytes:
        """Return what was sealed for `place`; raises `Sealed` where key or place differ."""
        name = key_of(value)
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise Sealed(
                f"ENSORA_KEYS has no key {name!r}; put the old key back behind the new one."
            )
        body = value[len(front_of(name)) :]
        try:
            return cipher.decrypt(body[:_NONCE], body[_NONCE:], _bind(place))
        except (InvalidTag, ValueError):
            # ValueError: cut off within the nonce.
            raise Sealed(
                "A sealed value does not belong to its row, or its key was changed."
            ) from None


def front_of(name: str) -> bytes:
    """Return what stands in front of each value that the key of this id sealed."""
    return bytes([len(name)]) + name.encode()


def key_of(value: bytes) -> str:
    """Return the id of the key that sealed a value."""
    return value[1 : 1 + value[0]].decode("ascii", "replace") if value else ""


def _bind(place: Sequence[object]) -> bytes:
    # A unit separator cannot stand in an id, so no two places give the same bytes.
    return "\x1f".join(map(str, place)).encode()
