"""The client over real HTTP: deadlines, broken connections, nobody there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.emulator import emulator
from demo.vendor.store import Store
from ensora_plugin.config import Settings
from ensora_plugin.errors import (
    VendorUnreachable,
)
from ensora_plugin.vendor.client import DataCollection
from tests.connected_vendor import error_of
from tests.emulator_world import ADMIN, ORGANIZATION, organization

# Over real HTTP.


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("vendor")
    store = Store(Path(folder) / "vendor.db")
    store.fill([organization(25)])
    store.close()
    with emulator(folder) as address:
        yield address


def remote(address: str, token: str = "", **settings: Any) -> DataCollection:
    given = {"tries": 1, "request_seconds": 0.6, "retry_pause_seconds": 0.0, **settings}
    return DataCollection(
        Settings(vendor_url=address, **given),
        organization_id=ORGANIZATION if token else "",
        token=token,
    )


@pytest.fixture(scope="module")
def token(address: str) -> str:
    with remote(address, request_seconds=10.0) as stranger:
        return stranger.handshake(ADMIN["username"], ADMIN["password"]).token


def play(address: str, fault: str, times: int | None = None, **args: Any) -> None:
    rules = [{"fault": fault, "args": args, "times": times}]
    answer = httpx2.put(f"{address}/_emulator/scenario", json=rules, trust_env=False)
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("fault", "args"),
    [
        ("drip", {"pause": 0.05, "chunk": 1}),
        ("drip", {"pause": 0.2, "chunk": 20}),
        ("hang", {"seconds": 20}),
    ],
)
def test_an_answer_that_drips_or_hangs_is_cut_at_the_deadline(
    address: str, token: str, fault: str, args: dict[str, Any]
) -> None:
    play(address, fault, **args)
    began = time.monotonic()
    with remote(address, token) as client:
        raised = error_of(lambda: client.page("note", None, 100))
    assert 0.5 <= time.monotonic() - began < 2
    assert type(raised) is VendorUnreachable
    assert "in time" in str(raised)


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that answers at once, and sends its headers one byte at a time without an end."""
    listener, leave = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not leave.wait(0.05):
                connection.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    with closing(listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    leave.set()
    thread.join()


def test_headers_that_drip_are_cut_at_the_deadline(dripping: str) -> None:
    began = time.monotonic()
    with remote(dripping, "token") as client:
        raised = error_of(lambda: client.page("note", None, 100))
    assert 0.5 <= time.monotonic() - began < 1.5
    assert type(raised) is VendorUnreachable
    assert "in time" in str(raised)


@pytest.mark.parametrize("fault", ["short_body", "reset"])
def test_a_connection_that_breaks_is_tried_again(address: str, token: str, fault: str) -> None:
    play(address, fault, times=2)
    with remote(address, token, tries=3, request_seconds=10.0) as client:
        assert len(client.page("note", None, 100).items) == 25
    play(address, fault)
    with remote(address, token, tries=2, request_seconds=10.0) as client:
        assert type(error_of(lambda: client.page("note", None, 100))) is VendorUnreachable


def test_where_nobody_listens_the_words_say_what_to_look_at() -> None:
    with remote("http://127.0.0.1:1", "token", tries=2) as client:
        raised = error_of(lambda: client.page("note", None, 100))
    assert type(raised) is VendorUnreachable
    assert "ENSORA_VENDOR_URL" in str(raised)
