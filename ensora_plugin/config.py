"""The settings of a deployment, read once from ENSORA_* keys of the host's configuration."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from .errors import WrongSettings

#: Minutes; more would pair one session's note with the next one's appointment.
LONGEST_GRACE = 120

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_REDIS_SCHEMES = {"redis", "rediss", "unix"}


@dataclass(frozen=True)
class Settings:
    """What a deployment may set; every field is the ENSORA_ key of the same name in capitals.

    Times ending in `_seconds`, `_minutes` and `_days` are in these units.
    """

    #: Address of Ensora Data Collection; https, or http on this machine.
    vendor_url: str = "https://api.data-collection.example"
    #: Keys that seal tokens and clinical text: "id:base64 of 32 bytes", newest first, separated by
    #: commas.
    keys: str = ""
    #: How often an account pulls, unless it has its own interval.
    interval_minutes: int = 30
    #: How far start and end of a note may be from the appointment's, unless the account has its own
    #: grace.
    grace_minutes: int = 5
    #: How many records a page of a feed asks for; the vendor allows 1 to 100.
    page_size: int = 100
    #: Deadline over one whole request to the vendor, body included.
    request_seconds: float = 60.0
    #: How often one request is tried, and the pause before the second try; it doubles, with jitter.
    tries: int = 5
    retry_pause_seconds: float = 1.0
    #: The longest pause that a Retry-After of the vendor may cause inside a run.
    longest_wait_seconds: float = 30.0
    #: How long a run belongs to a worker that shows no sign of life.
    lease_seconds: float = 60.0
    #: How often a worker makes the runs that are due.
    tick_seconds: float = 60.0
    #: After so long without being rung a worker looks into the database for runs by itself.
    poll_seconds: float = 15.0
    #: After so long a run lets others go first; when it comes again it may take four times as long,
    #: and then sixteen times.
    slice_seconds: float = 20.0
    #: How long a worker that is told to stop may take; what is not done then goes on elsewhere.
    stop_seconds: float = 30.0
    #: The Redis that wakes workers: redis://, rediss:// or unix://. Without one they look into the
    #: database every `poll_seconds`.
    redis_url: str = ""
    #: Unmapped notes of so many last days are tried again at each run.
    recheck_days: int = 90
    #: Where one run takes more than this share of an account's records of a kind out of use, and
    #: at least so many, automap and rendering wait until a person agrees.
    guard_percent: int = 20
    guard_least: int = 20
    #: How the host is called in the names of the reports.
    host_name: str = "CodeMetro by Ensora Health"
    #: A file of a report with more rows than this is made by a worker, and its link ends after so
    #: many hours.
    export_rows: int = 20_000
    export_hours: float = 24.0

    def key_ring(self) -> list[tuple[str, bytes]]:
        """Return (id, 32 bytes) for each key, newest first; raises ValueError with words."""
        ring = []
        for entry in filter(None, (part.strip() for part in self.keys.split(","))):
            name, _, value = entry.partition(":")
            try:
                secret = base64.b64decode(value, validate=True)
            except ValueError:
                # binascii.Error, or letters beyond ASCII.
                secret = b""
            named = name.isascii() and name.isalnum() and len(name) <= 16
            if not named or len(secret) != 32:
                raise ValueError(
                    "ENSORA_KEYS must be entries like k1:<base64 of 32 random bytes>, with commas "
                    "between them; "
                    "`flask ensora make-key` prints one"
                )
            ring.append((name, secret))
        if len(dict(ring)) < len(ring):
            raise ValueError("ENSORA_KEYS names two keys alike; what one sealed no longer opens")
        return ring


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Read the ENSORA_* keys of `config`; raises `WrongSettings` that lists everything wrong."""
    wrong: list[str] = []
    values: dict[str, Any] = {}
    for field in fields(Settings):
        key = f"ENSORA_{field.name.upper()}"
        raw = config.get(key)
        if raw is None or raw == "":
            continue
        cast: Any = type(field.default)
        try:
            values[field.name] = cast(raw)
        except (TypeError, ValueError):
            wrong.append(f"{key} must be {_noun(cast)}, not {raw!r}")
    settings = Settings(**values)
    wrong += _check(settings)
    if wrong:
        raise WrongSettings("The settings of Ensora Sync are wrong:\n- " + "\n- ".join(wrong))
    return settings


def _noun(cast: type) -> str:
    return {int: "a whole number", float: "a number"}.get(cast, "text")


_POSITIVE = (
    *("interval_minutes", "request_seconds", "tries", "lease_seconds", "recheck_days"),
    *("guard_least", "export_rows", "export_hours"),
    *("tick_seconds", "poll_seconds", "slice_seconds", "stop_seconds"),
)


def _check(s: Settings) -> list[str]:
    wrong = _check_url(s.vendor_url)
    try:
        s.key_ring()
    except ValueError as error:
        wrong.append(str(error))
    if not 1 <= s.page_size <= 100:
        wrong.append("ENSORA_PAGE_SIZE must be between 1 and 100, the bounds of the vendor")
    if not 0 <= s.grace_minutes <= LONGEST_GRACE:
        wrong.append(f"ENSORA_GRACE_MINUTES must be between 0 and {LONGEST_GRACE}")
    if s.redis_url and s.redis_url.partition("://")[0] not in _REDIS_SCHEMES:
        # Not quoted: the address may hold a password.
        wrong.append("ENSORA_REDIS_URL must start with redis://, rediss:// or unix://")
    if not 0 <= s.guard_percent <= 100:
        wrong.append("ENSORA_GUARD_PERCENT must be between 0 and 100; 100 never holds anything")
    for name in _POSITIVE:
        if not 0 < getattr(s, name) < math.inf:
            wrong.append(f"ENSORA_{name.upper()} must be more than 0")
    for name in ("retry_pause_seconds", "longest_wait_seconds"):
        if not 0 <= getattr(s, name) < math.inf:
            wrong.append(f"ENSORA_{name.upper()} must not be negative")
    return wrong


def _check_url(address: str) -> list[str]:
    try:
        url = urlsplit(address)
        _ = url.port  # raises ValueError where it is none
    except ValueError:
        return ["ENSORA_VENDOR_URL must be an address like https://host or https://host:port"]
    wrong = []
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        wrong.append("ENSORA_VENDOR_URL must be an https address (http only on this machine)")
    if url.username or url.password or url.query or url.fragment or not url.hostname:
        wrong.append("ENSORA_VENDOR_URL must be a plain address without user, query or fragment")
    return wrong
