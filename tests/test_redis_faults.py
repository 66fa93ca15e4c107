"""A Redis that is full, silent, gone or remembers wrongly: bells may fail, runs do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.data import World, build_world
from ensora_plugin.runs.schedule import open_queue, ring
from tests.chaos.people import sync_now
from tests.deployment import Deployment, deployed
from tests.own_redis import OwnRedis
from tests.tcp_proxy import Proxy

ACCOUNT = "harbor-kids"
#: Workers that only a bell wakes, or their look into the database.
SLOW_TICK = {"ENSORA_TICK_SECONDS": "600"}


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(notes=100)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnRedis]:
    with OwnRedis(tmp_path) as server:
        yield server


@pytest.fixture
def proxy(server: OwnRedis) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def site(tmp_path: Path, sqlite_url: str, proxy: Proxy, world: World) -> Iterator[Deployment]:
    with deployed(tmp_path, sqlite_url, f"redis://127.0.0.1:{proxy.port}/0", world) as site:
        yield site


def test_a_full_redis_refuses_bells_and_holds_up_no_run(site: Deployment, server: OwnRedis) -> None:
    server.fill()
    run_id, rang = site.ask(site.connect(ACCOUNT))
    assert not rang
    site.worker("-n", "1", **SLOW_TICK)
    site.until(site.ended())
    assert [run.id for run in site.runs()] == [run_id]
    site.check(ACCOUNT)


def test_a_silent_redis_holds_up_neither_a_page_nor_a_run(site: Deployment, proxy: Proxy) -> None:
    site.connect(ACCOUNT)
    site.worker("-n", "1", **SLOW_TICK)
    site.until(lambda: "event=worker_started" in site.log())
    proxy.hold()
    began = time.monotonic()
    status, page = sync_now(site.app, ACCOUNT)
    # The bell is waited for shortly; the page says that the run waits.
    assert time.monotonic() - began < 6
    assert status == 200
    assert "ensora-progress" in page
    site.until(site.ended(), 75)
    site.check(ACCOUNT)


def test_while_redis_is_gone_pages_work_and_a_click_makes_its_run(
    site: Deployment, server: OwnRedis
) -> None:
    site.connect(ACCOUNT)
    server.kill()
    status, _ = sync_now(site.app, ACCOUNT)
    assert status == 200
    assert [(run.state, run.cause) for run in site.runs()] == [("due", "person")]
    site.worker("-n", "1", **SLOW_TICK)
    site.until(site.ended())
    site.check(ACCOUNT)


def test_what_is_left_of_an_old_bell_jams_no_new_one(server: OwnRedis) -> None:
    queue = open_queue(server.url)
    assert queue is not None
    with server.client() as client:
        # A worker died between taking the job and starting it: its hash stays for ever.
        assert ring(queue, 7, 0)
        client.delete(queue.key)
        assert queue.count == 0
        assert ring(queue, 7, 0)
        assert queue.job_ids == ["run-7-0"]
        assert ring(queue, 7, 1)
        assert queue.count == 2
