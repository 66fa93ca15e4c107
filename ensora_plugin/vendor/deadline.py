"""A deadline over a whole HTTP request: connecting, sending, headers and body together.

httpx bounds the wait for each piece alone, so a server that sends one byte a second would never be
too slow for it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpcore2
import httpx2


class Deadline:
    """The moment by which the request under way has to have ended. One request at a time."""

    def __init__(self) -> None:
        self._at = float("inf")

    def start(self, seconds: float) -> None:
        """Give the next request so many seconds."""
        self._at = time.monotonic() + seconds

    def within(self, timeout: float | None) -> float:
        """Return a step's timeout, cut to what is left; raises a timeout where nothing is."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the deadline of the request is over")
        return left if timeout is None else min(timeout, left)


@cache
def trusted() -> ssl.SSLContext:
    """Return whom this process trusts: read once, since that costs more than a quiet pull."""
    return httpx2.create_ssl_context(trust_env=False)


class DeadlineTransport(httpx2.HTTPTransport):
    """httpx's own transport, each of whose waits ends at the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(verify=trusted(), trust_env=False)
        self._pool.close()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=trusted(),
            network_backend=_Backend(deadline),
        )


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline, self._inner = deadline, httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        bounded = self._deadline.within(timeout)
        stream = self._inner.connect_tcp(host, port, bounded, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        bounded = self._deadline.within(timeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, bounded), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
