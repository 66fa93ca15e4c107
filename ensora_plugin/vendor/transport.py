"""Requests to the vendor: under a deadline, bounded, tried again where that may help."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2

from ..config import Settings
from ..errors import (
    AnswerTooLarge,
    AnswerUnreadable,
    CursorGone,
    Retryable,
    TokenRefused,
    VendorBroke,
    VendorBusy,
    VendorUnreachable,
)
from .deadline import Deadline, DeadlineTransport

#: The vendor demands a User-Agent that names the application.
USER_AGENT = "EnsoraSync/0.1"
#: A body that inflates past this is refused.
LONGEST_BODY = 64 * 1024 * 1024

S = TypeVar("S")


class Transport:
    """One kept-alive connection to the vendor; errors come out of the tree in `errors.py`.

    `transport` is for tests with an application in process.
    """

    def __init__(
        self,
        settings: Settings,
        auth: httpx2.Auth | None,
        transport: httpx2.BaseTransport | None,
        sleep: Callable[[float], None],
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._auth = auth
        self._deadline = Deadline()
        self._client = httpx2.Client(
            base_url=settings.vendor_url,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            timeout=httpx2.Timeout(settings.request_seconds, connect=10.0),
            follow_redirects=False,
            trust_env=False,
            transport=transport or DeadlineTransport(self._deadline),
        )

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        decode: Callable[[bytes], S],
        *,
        again_unreadable: bool = True,
        **kwargs: Any,
    ) -> S:
        """Send a request that may be repeated, and decode its answer.

        What may pass is tried again with growing, jittered pauses; where `again_unreadable` is
        False, an answer that arrived but cannot be read is not.
        """
        tries, pause = self._settings.tries, self._settings.retry_pause_seconds
        for attempt in range(1, tries + 1):
            try:
                return decode(good(*self.once(method, path, auth=self._auth, **kwargs)))
            except Retryable as error:
                told = error.retry_after if isinstance(error, VendorBusy) else None
                wait = pause if told is None else told
                unreadable = isinstance(error, AnswerUnreadable) and not again_unreadable
                if unreadable or attempt == tries or wait > self._settings.longest_wait_seconds:
                    raise
            self._sleep(wait + random.uniform(0, pause / 2))  # noqa: S311 - jitter, no secret
            pause = min(pause * 2, self._settings.longest_wait_seconds)
        raise AssertionError("tries is at least 1")

    def once(self, method: str, path: str, **kwargs: Any) -> tuple[int, bytes]:
        """Send one request under one deadline, body included; return status and bounded body."""
        self._deadline.start(self._settings.request_seconds)
        try:
            with self._client.stream(method, path, **kwargs) as response:
                content = _body(response)
        except httpx2.TimeoutException:
            raise VendorUnreachable(
                "Ensora Data Collection did not answer in time; "
                "the next pull tries again by itself."
            ) from None
        except (httpx2.HTTPError, httpx2.StreamError):
            raise VendorUnreachable(
                "Ensora Data Collection cannot be reached. Look at the network and at "
                "ENSORA_VENDOR_URL; the next pull tries again by itself."
            ) from None
        _raise_for_transient(response)
        if response.status_code in (200, 201) and not _is_json(response):
            raise VendorUnreachable(
                "Ensora Data Collection answered with something else than JSON."
            )
        return response.status_code, content


def _body(response: httpx2.Response) -> bytes:
    """Read and unpack a body; one that swells is cut at its bound.

    Unpacked here, since httpx would inflate a whole chunk of a bomb before anyone could look.
    """
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip"):
        raise VendorBroke("Ensora Data Collection sent an encoding that nobody asked for.")
    inflate = zlib.decompressobj(wbits=31) if packing == "gzip" else None
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += inflate.decompress(chunk, LONGEST_BODY + 1 - len(body)) if inflate else chunk
            if len(body) > LONGEST_BODY:
                raise AnswerTooLarge("Ensora Data Collection sent a body of over 64 MiB.")
    except zlib.error:
        raise VendorUnreachable(
            "Ensora Data Collection sent an answer that cannot be unpacked; "
            "the next pull tries again by itself."
        ) from None
    return bytes(body)


def _is_json(response: httpx2.Response) -> bool:
    return "json" in response.headers.get("content-type", "").lower()


def _raise_for_transient(response: httpx2.Response) -> None:
    if response.status_code in (429, 503):
        raise VendorBusy(
            "Ensora Data Collection asks to wait; the next pull tries again by itself.",
            retry_after=_retry_after(response.headers.get("retry-after")),
        )
    if response.status_code >= 500:
        raise VendorUnreachable(
            f"Ensora Data Collection has trouble of its own (HTTP {response.status_code}); "
            "the next pull tries again by itself."
        )


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After, seconds or an HTTP date; None where it is missing, negative or neither."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        # OverflowError: of an offset that no number of days holds.
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = (at - datetime.now(UTC)).total_seconds()
    return seconds if seconds >= 0 else None


def good(status: int, content: bytes) -> bytes:
    """Return the content of an answer whose status says that it is one; else raise what it says."""
    if status in (401, 403):
        raise TokenRefused(
            "Ensora Data Collection refuses the token: the account needs to be connected again."
        )
    if status == 410:
        raise CursorGone("Ensora Data Collection no longer knows the cursor.")
    if not 200 <= status < 300:
        raise VendorBroke(
            f"Ensora Data Collection answered with HTTP {status}, against its contract."
        )
    return content
