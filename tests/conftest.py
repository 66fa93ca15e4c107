"""What every test gets: no network beyond this machine, real databases, and the made world in both
hosts.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlalchemy.engine import make_url

from demo.data import World, build_world
from tests.browsing import browser
from tests.practices import Practice, open_demo, open_other
from tests.servers import Postgres, fresh_database, postgres

_MEMORY, _ROOM = Path("/dev/shm"), 4 << 30  # noqa: S108 - pytest makes folders of its own in it
# SQLite waits for the disk at each commit, which is most of what the tests would take.
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# A full collection goes through all the modules and maps that the suite holds; by default they come
# so often that they are a sixth of what the tests take.
gc.set_threshold(20_000, 50, 100)

# A shell's background jobs ignore Ctrl-C, and so would every process that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: The world's day; the clock of a test that renders stands there.
TODAY = date(2026, 11, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what has a time limit of its own: it takes long, and nobody waits for it alone at
    the end.
    """
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached out to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Not for the whole session: where Playwright waits, an event loop runs in this thread.
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'host.db'}"
        return
    yield request.getfixturevalue("postgres_url")


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    with fresh_database(postgres_server) as url:
        yield str(make_url(url).render_as_string(hide_password=False))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'host.db'}"


@pytest.fixture(scope="session")
def world() -> World:
    """A world of both accounts, small enough to be pulled in each test that wants it."""
    return build_world(notes=300, today=TODAY)


@pytest.fixture(scope="session")
def small_world() -> World:
    return build_world(notes=120, today=TODAY)


@pytest.fixture(params=["demo", "other"])
def practice(request: pytest.FixtureRequest, database_url: str, world: World) -> Iterator[Practice]:
    """The world in a host, the plugin mounted and migrated; once each host and database."""
    opened = {"demo": open_demo, "other": open_other}[request.param]
    with opened(database_url, world) as practice:
        yield practice


@pytest.fixture
def demo_practice(sqlite_url: str, world: World) -> Iterator[Practice]:
    """The world in the demo host on SQLite, for rules that no database changes."""
    with open_demo(sqlite_url, world) as practice:
        yield practice
