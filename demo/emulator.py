"""The vendor's emulator as a process of the demo's and the tests'."""

from __future__ import annotations

import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READY = re.compile(r"Emulator ready: (http://\S+)")


@contextmanager
def emulator(folder: Path, port: int = 0, *, seconds: float = 20) -> Iterator[str]:
    """Run the emulator over `folder`/vendor.db; yield its address. Port 0 takes any free one.

    RuntimeError with the emulator's own words where it does not get ready in time.
    """
    command = [sys.executable, "-m", "demo.vendor", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--data", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=Path(__file__).parents[1],
        text=True,
    )
    try:
        yield _wait_ready(process, seconds)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _wait_ready(process: subprocess.Popen[str], seconds: float) -> str:
    said, deadline = [], time.monotonic() + seconds
    assert process.stdout is not None  # noqa: S101 - it was asked for
    while time.monotonic() < deadline:
        if not select.select([process.stdout], [], [], 0.2)[0]:
            continue
        line = process.stdout.readline()
        said.append(line)
        if found := _READY.search(line):
            return found[1]
        if not line:
            break
    raise RuntimeError(f"The emulator did not start. {''.join(said).strip()}")
