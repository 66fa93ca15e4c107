"""Processes that end well: asked by SIGTERM or SIGINT, with their parent, or within a time."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType

from ..log import log

#: This share of the time to stop is given to the page under way; the rest is for letting go of it.
_SHARE = 0.7
_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.05


class Stopping:
    """Whether this process was asked to end. Signals belong to a process, so there is one of it."""

    def __init__(self) -> None:
        self.requested = False
        self._seconds = 30.0
        self._reader = self._writer = -1

    def listen(self, seconds: float) -> None:
        """Take SIGTERM and SIGINT from now on; `seconds`: how long the end may take."""
        self._seconds = seconds
        if self._reader >= 0:
            # Shared with the parent that we were forked from.
            signal.set_wakeup_fd(-1)
            os.close(self._reader)
            os.close(self._writer)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
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
        """Sleep, until a signal that is handled comes at the latest; needs `listen`."""
        if not self.requested and select.select([self._reader], [], [], max(seconds, 0))[0]:
            os.read(self._reader, 4096)


stopping = Stopping()


def die_with(parent: int) -> None:
    """End this process when its parent does, however that ends (Linux; elsewhere leases serve).

    `parent`: the process id of the parent, which may be gone by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def start(work: Callable[[], int]) -> int:
    """Fork a child that does `work`, whose result is its exit status; return its process id.

    It is out of reach of the terminal's Ctrl-C, which its parent hands on.
    """
    parent = os.getpid()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setpgrp()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with(parent)
        status = work()
    except BaseException as error:
        log.error("process_failed", pid=os.getpid(), code=type(error).__name__)
    finally:
        os._exit(status)


def ended(pid: int) -> int | None:
    """Return the exit status of a child that ended (negative: the signal), None while it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def stop_all(pids: Iterable[int], seconds: float) -> None:
    """Ask children to end, wait for so long, and end by force those that are left."""
    left = set(pids)
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if ended(pid) is None}
        time.sleep(_LOOK_SECONDS if left else 0)
    for pid in left:
        log.warning("killed", pid=pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
