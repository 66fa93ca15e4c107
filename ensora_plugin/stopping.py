"""The wish of this process to end: SIGTERM and SIGINT ask for it, whoever works looks at it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from types import FrameType

#: This share of the time to stop is given to the page under way; the rest is for letting go of it.
_SHARE = 0.7
_PR_SET_PDEATHSIG = 1


class Stopping:
    """Whether this process was asked to end. Signals belong to a process, so there is one of it."""

    def __init__(self) -> None:
        self.requested = False
        self._seconds = 30.0
        self._reader = self._writer = -1

    def listen(self, seconds: float) -> None:
        """Take SIGTERM and SIGINT from now on; `seconds`: how long the end may take."""
        self.requested, self._seconds = False, seconds
        self._close()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self.take_signals()

    def take_signals(self) -> None:
        """Put our handlers back where others took their place."""
        signal.signal(signal.SIGTERM, self.request)
        signal.signal(signal.SIGINT, self.request)

    def request(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Ask for the end; where an alarm bounds the work under way, it rings sooner."""
        self.requested = True
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        if left:
            signal.setitimer(signal.ITIMER_REAL, min(left, self._seconds * _SHARE))

    def wait(self, seconds: float) -> None:
        """Sleep, until any signal comes at the latest."""
        if self.requested or seconds <= 0:
            return
        if self._reader < 0:
            time.sleep(seconds)
        elif select.select([self._reader], [], [], seconds)[0]:
            os.read(self._reader, 4096)

    def _close(self) -> None:
        """Forget the pipe, which a forked child shares with its parent."""
        if self._reader >= 0:
            signal.set_wakeup_fd(-1)
            os.close(self._reader)
            os.close(self._writer)


stopping = Stopping()


def die_with(parent: int) -> None:
    """End this process when its parent does, however that ends (Linux; elsewhere leases do).

    `parent`: the process id of the parent, which may be gone by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
