"""`make demo` as a person starts it: a process that gets ready, and leaves none behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.redis_server import free_port
from tests.deployment import ROOT, alive, family
from tests.own_redis import OwnRedis

pytestmark = pytest.mark.timeout(120)


class Demo:
    """A running `python -m demo` over a folder."""

    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        self.folder, self.address = folder, f"http://127.0.0.1:{port}"
        given = {key: value for key, value in os.environ.items() if not key.startswith("ENSORA_")}
        given |= settings
        command = [sys.executable, "-m", "demo", "--notes", "100", "--port", str(port)]
        command += ["--data", str(folder), "--workers", "1"]
        self._said = folder.with_name(f"said-{port}.txt")
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=given,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """Return what it said so far."""
        return self._said.read_text()

    def ready(self) -> None:
        """Wait for the line Ready."""
        deadline = time.monotonic() + 60
        while f"Ready: {self.address}\n" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def family(self) -> set[int]:
        return family(self.process.pid)

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ask for the end; return the exit status."""
        self.process.send_signal(how)
        return self.process.wait(40)

    def status(self, account: str) -> dict[str, Any]:
        """Return what `flask ensora status` says of an account."""
        told = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "ensora", "status", account, "--json"],
            cwd=ROOT,
            env={**os.environ, "DEMO_DATA": str(self.folder), "DATA_FOLDER": str(self.folder)},
            capture_output=True,
            check=True,
            timeout=30,
        )
        (account_told,) = json.loads(told.stdout)["accounts"]
        return account_told


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(port: int, **settings: str) -> Demo:
        started.append(Demo(tmp_path / "data", port, **settings))
        return started[-1]

    yield start
    for one in started:
        for pid in one.family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        one.process.wait(10)


def gone(pids: set[int]) -> None:
    deadline = time.monotonic() + 20
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)


def test_it_gets_ready_pulls_ends_goes_on_and_ends_when_a_part_does(
    demo: Callable[..., Demo],
) -> None:
    port = free_port()
    first = demo(port)
    first.ready()
    assert httpx2.get(first.address, follow_redirects=True, trust_env=False).status_code == 200
    assert first.status("bright-steps")["state"] == "activated"
    deadline = time.monotonic() + 60
    while (told := first.status("harbor-kids"))["kinds"][3]["rendered"] == 0:
        assert time.monotonic() < deadline, told
    assert told["state"] == "connected"
    processes = first.family()
    # The demo, emulator, Redis, a worker with its parent, and the site with two workers.
    assert len(processes) >= 8
    assert first.end() == 0
    gone(processes)
    assert "admin@brightsteps.example / admin-demo" in first.said()
    second = demo(port)
    second.ready()
    assert "The world of 100 session notes" in second.said()
    assert second.status("harbor-kids")["kinds"][3]["rendered"] >= told["kinds"][3]["rendered"]
    processes = second.family()
    (redis,) = (pid for pid in processes if "redis-server" in _command(pid))
    os.kill(redis, signal.SIGKILL)
    assert second.process.wait(40) == 1
    assert "The redis ended with status -9; see " in second.said()
    gone(processes)


def test_a_killed_demo_leaves_no_process(demo: Callable[..., Demo]) -> None:
    one = demo(free_port())
    one.ready()
    processes = one.family()
    one.process.kill()
    one.process.wait(10)
    gone(processes)


def test_a_redis_that_is_named_is_taken_and_left_alone(
    demo: Callable[..., Demo], tmp_path: Path
) -> None:
    with OwnRedis(tmp_path) as named, named.client() as client:
        one = demo(free_port(), ENSORA_REDIS_URL=named.url)
        one.ready()
        assert not [pid for pid in one.family() if "redis-server" in _command(pid)]
        assert "ENSORA_REDIS_URL" not in (one.folder / "settings.json").read_text()
        # Its workers have told of themselves there.
        deadline = time.monotonic() + 60
        while not client.keys("rq:worker*"):
            assert time.monotonic() < deadline, one.said()
            time.sleep(0.1)
        assert one.end() == 0
        assert client.ping()


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_a_port_in_use_is_said_before_anything_starts(
    demo: Callable[..., Demo], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one = demo(port)
        assert one.process.wait(20) == 2
    assert one.said() == (
        f"Port {port} of 127.0.0.1 is in use. Choose another one: `make demo PORT=5001`.\n"
    )
    assert not (tmp_path / "data").exists()
    assert demo(70000).process.wait(20) == 2
