"""The servers that tests start are real, take only the loopback, and leave nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import create_engine, text

from tests.servers import Postgres, fresh_database, postgres, redis_server

ROOT = Path(__file__).parent.parent

HOLD_BOTH = """
import time
from tests.servers import postgres, redis_server
with postgres() as one, redis_server() as two:
    print(one.keeper, one.port, one.folder, two, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def test_postgres_answers_through_sqlalchemy(server: Postgres) -> None:
    engine = create_engine(server.url())
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW server_encoding")) == "UTF8"
        assert connection.scalar(text("SHOW fsync")) == "off"
        assert connection.scalar(text("SHOW listen_addresses")) == "127.0.0.1"
    engine.dispose()


def test_each_fresh_database_is_empty_and_is_dropped(server: Postgres) -> None:
    with fresh_database(server) as first, fresh_database(server) as second:
        assert first != second
        engine = create_engine(first)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE pebble (id int)"))
        other = create_engine(second)
        with other.connect() as connection:
            assert connection.scalar(text("SELECT to_regclass('pebble')")) is None
        other.dispose()
    # The drop is by force, so a pool that still holds a connection does not stand in its way.
    engine.dispose()
    with server.connect() as connection:
        names = connection.execute("SELECT datname FROM pg_database").fetchall()
    assert {name for (name,) in names} == {"postgres", "template0", "template1"}


def test_redis_keeps_what_it_is_given() -> None:
    with redis_server() as url, redis.Redis.from_url(url) as client:
        client.set("pebble", "grey")
        assert client.get("pebble") == b"grey"
        assert client.config_get("save")["save"] == ""
        assert client.config_get("appendonly")["appendonly"] == "no"
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_leaving_removes_folder_and_process() -> None:
    with postgres() as running:
        assert running.folder.exists()
    assert not running.folder.exists()
    assert not _alive(running.keeper)
    with pytest.raises(psycopg.OperationalError):
        running.connect()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing_behind(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_BOTH],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        keeper, port, folder, url = run.stdout.readline().split()
        run.send_signal(how)
    end = time.monotonic() + 20
    while _alive(int(keeper)) or Path(folder).exists() or _answers(url):
        assert time.monotonic() < end, "keeper, folder or Redis outlived the run"
        time.sleep(0.1)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host="127.0.0.1", port=int(port), user="postgres", dbname="postgres")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended but was not waited for yet has no more than its name.
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and re.search(r"^State:\s+Z", status.read_text(), re.MULTILINE))


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
