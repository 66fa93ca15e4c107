"""Fairness: many accounts due at once, some of them slow or failing, and who has to wait for whom.

Waiting is the time from the moment at which an account was due until a worker began with it, beside
the same accounts without the sick ones, in the same number of worker processes. With the sick ones
all are pulled twice: at first nobody knows them, then it is known who failed or dragged last time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

from sqlalchemy import Engine, create_engine, insert, select, update

from demo.host.models import Base as HostBase
from demo.redis_server import free_port, redis_command
from ensora_plugin import configure_engine
from ensora_plugin.clock import utcnow
from ensora_plugin.config import Settings
from ensora_plugin.crypto import Sealer
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Connection, Run, RunCount

from .databases import databases, temporary_folder
from .fairness_world import NOTES, organization_of, vendor
from .measure import Measurement

KEY = "bench:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
ROOT = Path(__file__).parents[1]
#: One in so many accounts is slow, and as many fail.
SICK = 50
#: What a slow account's page takes and a run's first slice, in seconds: the four feeds of a slow
#: account fill its first slice twice. Shorter, a busy machine would make healthy ones look slow.
SLOW_SECONDS, SLICE_SECONDS = 2.5, 5.0
_PATIENCE = 1800


@dataclass
class Round:
    """What came of one pull of all: waiting in seconds by "well", "slow" and "failing", how long it
    took, and whether all is true.
    """

    waits: dict[str, list[float]]
    seconds: float
    correct: bool


def measure(accounts: int, db: str, seed: int, workers: int = 4) -> Iterator[Measurement]:
    """Measure the healthy accounts' waiting with and without sick ones among them."""
    how = {n: _how(n, seed) for n in range(accounts)}
    well = {n: told for n, told in how.items() if told == "well"}
    slow, failing = (
        {organization_of(n) for n, told in how.items() if told == sick}
        for sick in ("slow", "failing")
    )
    with (
        temporary_folder() as folder,
        databases(db, folder) as empty,
        vendor(slow, failing, SLOW_SECONDS) as address,
    ):
        (alone,) = play(empty(), folder, address, well, workers)
        unknown, known = play(empty(), folder, address, how, workers, pulls=2)
    floor = _quantile(alone.waits["well"], 95)
    for name, one in (("alone", alone), ("among-sick", unknown), ("among-known-sick", known)):
        told = [
            f"{len(waits)} {who}: p50 {_quantile(waits, 50):.1f}, p95 {_quantile(waits, 95):.1f}, "
            f"max {max(waits):.1f} s"
            for who, waits in one.waits.items()
        ]
        told.append(f"all begun and done in {one.seconds:.0f} s")
        yield Measurement(
            f"fairness-{name}",
            sum(map(len, one.waits.values())),
            db,
            _quantile(one.waits["well"], 95),
            # The floor is what the healthy ones wait when they are among themselves.
            None if one is alone else floor,
            one.correct,
            None,
            note="; ".join(told),
        )


def _how(number: int, seed: int) -> str:
    """Say how an account is: the first two of each `SICK` are slow and failing."""
    place = (number + seed) % SICK
    return {0: "slow", 1: "failing"}.get(place, "well")


def _quantile(waits: Sequence[float], percent: int) -> float:
    return quantiles(waits, n=100, method="inclusive")[percent - 1]


def play(
    url: str, folder: Path, address: str, how: dict[int, str], workers: int, *, pulls: int = 1
) -> list[Round]:
    """Let all accounts be due at one moment and the workers do them, once or more often; return
    what came of it.
    """
    engine = create_engine(url)
    configure_engine(engine)
    port = free_port()
    with subprocess.Popen(redis_command(port, folder), stdout=subprocess.DEVNULL) as redis:
        try:
            due = fill(engine, list(how))
            env = {
                **os.environ,
                "SECRET_KEY": "bench",
                "ENSORA_KEYS": KEY,
                "ENSORA_VENDOR_URL": address,
                "ENSORA_REDIS_URL": f"redis://127.0.0.1:{port}/0",
                "ENSORA_TRIES": "2",
                "ENSORA_RETRY_PAUSE_SECONDS": "0.2",
                "ENSORA_SLICE_SECONDS": str(SLICE_SECONDS),
                "ENSORA_TICK_SECONDS": "2",
                "ENSORA_POLL_SECONDS": "2",
                "SQLALCHEMY_DATABASE_URI": url,
                "DEMO_DATA": str(folder),
                "DATA_FOLDER": str(folder),
            }
            command = [sys.executable, "worker.py", "-n", str(workers)]
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
            rounds: list[Round] = []
            try:
                for _ in range(pulls):
                    due = _due_again(engine) if rounds else due
                    _until_done(engine, len(how) * (len(rounds) + 1))
                    rounds.append(_told(engine, how, due, first=not rounds))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
            return rounds
        finally:
            redis.kill()
            engine.dispose()


def fill(engine: Engine, numbers: list[int]) -> datetime:
    """Make the tables and the connected accounts, all due now; return that moment."""
    HostBase.metadata.create_all(engine)
    upgrade(engine)
    sealer = Sealer(Settings(keys=KEY).key_ring())
    now = utcnow()
    rows = []
    for number in numbers:
        organization = organization_of(number)
        place = (number + 1, "connection", organization, "token_sealed")
        rows.append(
            {
                "id": number + 1,
                "account": f"account-{number}",
                "state": "connected",
                "organization_id": organization,
                "token_sealed": sealer.seal(b"token", *place),
                "due_at": now,
                "failures": 0,
            }
        )
    with engine.begin() as connection:
        connection.execute(insert(Connection.__table__), rows)
    return now


def _until_done(engine: Engine, count: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    question = select(Run.id).where(Run.ended_at.is_not(None))
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if len(connection.execute(question).all()) >= count:
                return
        time.sleep(0.5)
    raise TimeoutError(f"the accounts were not pulled in {_PATIENCE} s")


def _due_again(engine: Engine) -> datetime:
    """Let every account be due at once, and return when that is."""
    now = utcnow()
    with engine.begin() as connection:
        connection.execute(update(Connection.__table__).values(due_at=now))
    return now


def _told(engine: Engine, how: dict[int, str], due: datetime, *, first: bool) -> Round:
    """Return what came of the runs since all were due."""
    with engine.connect() as connection:
        runs = connection.execute(
            select(Run.__table__).where(Run.__table__.c.started_at >= due).order_by(Run.id)
        ).all()
        counts = select(RunCount.__table__).filter_by(kind="note")
        pulled = {row.run_id: row.fetched for row in connection.execute(counts)}
    waits: dict[str, list[float]] = {}
    for run in runs:
        who = how[run.account_id - 1]
        waits.setdefault(who, []).append((run.started_at - due) / timedelta(seconds=1))
    correct = (
        # Each account once; those that should fail do, and nobody goes without its notes.
        sorted(run.account_id - 1 for run in runs) == sorted(how)
        and all((run.state == "failed") == (how[run.account_id - 1] == "failing") for run in runs)
        and all(pulled[run.id] == (NOTES if first else 0) for run in runs if run.state == "done")
        and _in_order(runs)
    )
    seconds = (max(run.ended_at for run in runs) - due) / timedelta(seconds=1)
    return Round(dict(sorted(waits.items(), reverse=True)), seconds, correct)


def _in_order(runs: Sequence[Any]) -> bool:
    """No two runs of an account stand in each other's time."""
    ended: dict[int, Any] = {}
    for run in runs:
        if run.account_id in ended and run.started_at < ended[run.account_id]:
            return False
        ended[run.account_id] = run.ended_at
    return True
