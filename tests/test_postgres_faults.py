"""PostgreSQL that is restarted at once, or that ends a session in its transaction."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.data import build_world
from tests.chaos.engine import Chaos, chaos
from tests.deployment import family
from tests.servers import postgres

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    """A deployment on a server of its own, which comes back whenever it ends."""
    folder: Path = tmp_path_factory.mktemp("postgres")
    with (
        postgres(again=True) as server,
        chaos(folder, build_world(notes=100), server, seed=1, say=print, kills_only=True) as storm,
    ):
        yield storm


def stopped(storm: Chaos, point: str) -> list[int]:
    """Let a run stand still at a point; return the processes of the machines."""
    account = storm.scene.work(random.Random(1))
    storm.scene.armoury.arm(point, action="stop")
    storm.scene.ask(account)
    assert storm.scene.wait_for(lambda: not storm.scene.armoury.armed(), 30)
    return [pid for machine in storm.scene.machines for pid in family(machine.pid)]


def go_on(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def settled(storm: Chaos) -> None:
    storm._settle("")
    assert storm.tally.violations == []


def test_a_restart_in_mid_pull_costs_at_most_a_page(storm: Chaos) -> None:
    server = storm.scene.postgres
    assert server is not None
    pids = stopped(storm, "in_page")
    server.crash(stay_down=True)
    go_on(pids)
    # Workers look for it meanwhile, and say so by a code.
    assert storm.scene.wait_for(lambda: "code=OperationalError" in storm.scene.site.log(), 30)
    server.up()
    settled(storm)


def test_a_session_that_is_ended_in_its_transaction_leaves_nothing_half(storm: Chaos) -> None:
    server = storm.scene.postgres
    assert server is not None
    pids = stopped(storm, "in_page")
    with server.connect() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname LIKE 'test_%' AND state = 'idle in transaction'"
        ).fetchall()
    assert ended
    go_on(pids)
    settled(storm)
