"""The emulator as a process of its own: real HTTP, broken connections, ports, a clean end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from demo.vendor import Store
from tests.emulator_world import ADMIN, ORGANIZATION, organization

ROOT = Path(__file__).parent.parent


def start(data: Path, port: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo.vendor", "--port", str(port), "--data", str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Emulator ready: http://127.0.0.1:"), line
    return line.removeprefix("Emulator ready: ").strip()


def connected(base: str) -> httpx2.Client:
    client = httpx2.Client(base_url=base, timeout=5, trust_env=False)
    token = client.post("/v1/tokens", json=ADMIN).json()["token"]
    client.auth = httpx2.BasicAuth(ORGANIZATION, token)
    return client


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vendor")
    store = Store(folder / "vendor.db")
    store.fill([organization()])
    store.close()
    return folder


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx2.Client]:
    with start(data) as process:
        try:
            with closing(connected(address(process))) as made:
                yield made
        finally:
            process.terminate()
            out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.fixture
def play(client: httpx2.Client) -> Iterator[object]:
    def rule(fault: str, path: str = "/v1/session-notes", **args: object) -> None:
        given = {"match": {"path": path}, "fault": fault, "args": args}
        assert client.put("/_emulator/scenario", json=[given]).status_code == 204

    yield rule
    assert client.delete("/_emulator/scenario").status_code == 204


def test_a_feed_over_real_http(client: httpx2.Client) -> None:
    page = client.get("/v1/session-notes", params={"size": 100})
    assert page.headers["Content-Encoding"] == "gzip"
    assert len(page.json()["items"]) == 25


def test_a_connection_is_really_reset(client: httpx2.Client, play) -> None:
    play("reset")
    with pytest.raises(httpx2.ReadError):
        client.get("/v1/session-notes")


def test_a_short_body_is_short_against_its_length(client: httpx2.Client, play) -> None:
    play("short_body")
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/v1/session-notes")


def test_a_hanging_answer_sends_not_even_headers(client: httpx2.Client, play) -> None:
    play("hang", seconds=30)
    with pytest.raises(httpx2.ReadTimeout):
        client.get("/v1/session-notes", timeout=0.3)


def test_a_dripping_body_outlives_the_read_timeout(client: httpx2.Client, play) -> None:
    play("drip", path="/v1/tokens/current", pause=0.1, chunk=20)
    began = time.monotonic()
    assert client.get("/v1/tokens/current", timeout=0.5).json()["createdAt"]
    assert time.monotonic() - began > 0.5


def test_a_port_in_use_is_said_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start(tmp_path / "new", port) as process:
            out, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert out == ""
    assert err == f"Port {port} of 127.0.0.1 is in use. Choose another one with --port.\n"


def test_ctrl_c_stops_it_also_while_an_answer_hangs(data: Path) -> None:
    with start(data) as process:
        client = connected(address(process))
        client.put("/_emulator/scenario", json=[{"fault": "hang", "args": {"seconds": 60}}])
        with pytest.raises(httpx2.ReadTimeout):
            client.get("/v1/sites", timeout=0.3)
        client.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
