"""A deadline over a whole request, from its first byte to the last of its answer.

A client's time-outs count from one piece to the next: headers that drip would hold a run for hours.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Line:
    """The connection of one client, which is hung up where a request takes too long."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of the connection; for the client's `trace` extension."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Hang up after so many seconds, unless the block ended before."""
        timer = threading.Timer(seconds, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # The plain one: that of a TLS socket would let what waits be read in the clear.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
