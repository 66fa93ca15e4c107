"""Fairness: many accounts due at once, some of them slow or failing, and who has to wait for whom.

Waiting is the time from the moment at which an account was due until a worker began with it, beside
the same accounts without the sick ones, in the same number of worker processes. The sick ones cost
their own time, and nobody else's order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

from sqlalchemy import Engine, create_engine, insert, select

from demo.host.models import Base as HostBase
from demo.redis_server import free_port, redis_command
from ensora_plugin import configure_sqlite
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
#: What a slow account's page takes, in seconds.
SLOW_SECONDS = 1.0
_PATIENCE = 1800


@dataclass
class Round:
    """What came of one round: the healthy accounts' waiting in seconds, and whether all is true."""

    waits: list[float]
    seconds: float
    correct: bool


def measure(accounts: int, db: str, seed: int, workers: int = 4) -> Iterator[Measurement]:
    """Measure the healthy accounts' waiting with and without sick ones among them."""
    sick = [n for n in range(accounts) if n % SICK < 2]
    slow = {organization_of(n) for n in sick if n % SICK == seed % 2}
    failing = {organization_of(n) for n in sick} - slow
    alone = [n for n in range(accounts) if n not in set(sick)]
    with (
        temporary_folder() as folder,
        databases(db, folder) as empty,
        vendor(slow, failing, SLOW_SECONDS) as address,
    ):
        without = play(empty(), folder, address, alone, set(), workers)
        among = play(empty(), folder, address, list(range(accounts)), {*sick}, workers)
    for name, one in (("fairness-healthy-alone", without), ("fairness-among-sick", among)):
        p50, p95 = _quantile(one.waits, 50), _quantile(one.waits, 95)
        told = f"waiting p50 {p50:.1f} s, p95 {p95:.1f} s, max {max(one.waits):.1f} s"
        if one is among:
            told += f"; {len(slow)} slow, {len(failing)} failing"
        # The floor is what the healthy ones wait when they are among themselves.
        floor = None if one is without else _quantile(without.waits, 95)
        size = len(alone) if one is without else accounts
        yield Measurement(name, size, db, p95, floor, one.correct, None, note=told)


def _quantile(waits: Sequence[float], percent: int) -> float:
    return quantiles(waits, n=100, method="inclusive")[percent - 1]


def play(
    url: str, folder: Path, address: str, numbers: list[int], sick: set[int], workers: int
) -> Round:
    """Let all accounts be due at one moment and the workers do them; return what came of it."""
    engine = create_engine(url)
    configure_sqlite(engine)
    port = free_port()
    with subprocess.Popen(redis_command(port, folder), stdout=subprocess.DEVNULL) as redis:
        try:
            began = fill(engine, numbers)
            env = {
                **os.environ,
                "SECRET_KEY": "bench",
                "ENSORA_KEYS": KEY,
                "ENSORA_VENDOR_URL": address,
                "ENSORA_REDIS_URL": f"redis://127.0.0.1:{port}/0",
                "ENSORA_TRIES": "2",
                "ENSORA_RETRY_PAUSE_SECONDS": "0.2",
                "SQLALCHEMY_DATABASE_URI": url,
                "DEMO_DATA": str(folder),
                "DATA_FOLDER": str(folder),
            }
            command = [sys.executable, "worker.py", "-n", str(workers)]
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
            try:
                _until_done(engine, len(numbers))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
            return _told(engine, numbers, sick, began)
        finally:
            redis.kill()
            engine.dispose()


def fill(engine: Engine, numbers: list[int]) -> Any:
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


def _told(engine: Engine, numbers: list[int], sick: set[int], due: Any) -> Round:
    with engine.connect() as connection:
        runs = connection.execute(select(Run.__table__).order_by(Run.id)).all()
        pulled = {
            row.run_id: row.fetched
            for row in connection.execute(select(RunCount.__table__).filter_by(kind="note"))
        }
    failing = {run.account_id for run in runs if run.state == "failed"}
    waits = [
        (run.started_at - due) / timedelta(seconds=1)
        for run in runs
        if run.account_id - 1 not in sick
    ]
    last = max(run.ended_at for run in runs)
    correct = (
        # Each account once, and nobody who is healthy failed or went without its notes.
        sorted(run.account_id - 1 for run in runs) == sorted(numbers)
        and {id - 1 for id in failing} <= sick
        and all(pulled.get(r.id) == NOTES for r in runs if r.state == "done")
        and _in_order(runs)
    )
    return Round(waits, (last - due) / timedelta(seconds=1), correct)


def _in_order(runs: Sequence[Any]) -> bool:
    """No two runs of an account stand in each other's time."""
    ended: dict[int, Any] = {}
    for run in runs:
        if run.account_id in ended and run.started_at < ended[run.account_id]:
            return False
        ended[run.account_id] = run.ended_at
    return True
