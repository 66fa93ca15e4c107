"""Cursors: a signed place in one feed of one organization, good for 30 days (the contract)."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import struct
import time
from dataclasses import dataclass

#: Seconds that a cursor stays good.
LIFETIME = 30 * 24 * 3600

# organization, feed, seq, issued at (seconds), and four random bytes: no two cursors read alike,
# so nobody can come to rely on their text.
_PLACE = struct.Struct(">IBQI4s")
_SEAL = 16


class CursorGone(Exception):
    """The cursor is unknown, another feed's or organization's, or older than 30 days: 410."""


@dataclass(frozen=True)
class Cursors:
    """Writes and reads cursors under one secret."""

    secret: bytes

    def _seal(self, place: bytes) -> bytes:
        return hmac.digest(self.secret, place, "sha256")[:_SEAL]

    def write(self, organization: int, feed: int, seq: int) -> str:
        """The cursor for what comes after `seq`: opaque text of about 50 characters."""
        place = _PLACE.pack(organization, feed, seq, int(time.time()), secrets.token_bytes(4))
        return base64.urlsafe_b64encode(place + self._seal(place)).decode().rstrip("=")

    def read(self, text: str, organization: int, feed: int) -> int:
        """The `seq` after which to go on. Raises CursorGone."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise CursorGone from error
        place, seal = raw[:-_SEAL], raw[-_SEAL:]
        if len(place) != _PLACE.size or not hmac.compare_digest(seal, self._seal(place)):
            raise CursorGone
        seq: int
        its_organization, its_feed, seq, issued, _ = _PLACE.unpack(place)
        if (its_organization, its_feed) != (organization, feed) or time.time() - issued > LIFETIME:
            raise CursorGone
        return seq
