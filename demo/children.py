"""The processes of the demo: each writes to a log of its own, and none outlives the demo."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ensora_plugin.runs.processes import die_with

ROOT = Path(__file__).parents[1]
#: What a worker may take to let go of its run is the longest of them.
_STOP_SECONDS = 40
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Child:
    """A process by the name that people read, and the log where it says what it does."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def ended(self) -> bool:
        """Return whether it runs no more."""
        return self.process.poll() is not None

    def trouble(self) -> str:
        """Return what to tell people of its unexpected end."""
        return f"The {self.name} ended with status {self.process.returncode}; see {self.log}"


class Children:
    """Starts processes, and ends them in the reverse order."""

    def __init__(self, logs: Path) -> None:
        self._logs, self._children = logs, list[Child]()
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], settings: Mapping[str, str]) -> Child:
        """Start a process with further environment variables, in a session of its own.

        Ctrl-C does not reach it; it ends with us, and on Linux when we are killed as well.
        """
        parent, log = os.getpid(), self._logs / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: die_with(parent),
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def wait_for(self, child: Child, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until a child is ready; RuntimeError where it ends before, or is not in time."""
        deadline = time.monotonic() + seconds
        while not ready():
            if child.ended():
                raise RuntimeError(child.trouble())
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The {child.name} is not ready after {seconds:g} s: {child.log}"
                )
            time.sleep(_LOOK_SECONDS)

    def watch(self) -> Child:
        """Wait until one of them ends, and return it."""
        while True:
            for child in self._children:
                if child.ended():
                    return child
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """End all of them, the last one first; by force what takes too long."""
        for child in reversed(self._children):
            if not child.ended():
                child.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    child.process.wait(_STOP_SECONDS)
            # Whatever it left behind in its session.
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
