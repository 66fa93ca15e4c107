"""Workers killed again and again, at random and at named points: nothing is lost, nothing doubled.

`make chaos` does the same for as long as one likes, with every other fault among the kills.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.data import World, build_world
from tests.chaos.engine import chaos, rain
from tests.servers import Postgres, postgres

pytestmark = pytest.mark.timeout(300)
KILLS = 10
SEED = 2026


@pytest.fixture(scope="module")
def world() -> World:
    """Of the present day, since workers have the real clock."""
    return build_world(notes=100)


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Postgres | None]:
    if request.param == "sqlite":
        yield None
        return
    with postgres(again=True) as server:
        yield server


def test_workers_killed_over_and_over_leave_what_their_twin_has(
    tmp_path: Path, world: World, server: Postgres | None
) -> None:
    said: list[str] = []
    with chaos(tmp_path, world, server, seed=SEED, say=said.append, kills_only=True) as storm:
        tally = rain(storm, KILLS)
    assert tally.violations == [], "\n".join(said)
    assert tally.kills >= KILLS
    assert tally.takeovers >= KILLS / 4
