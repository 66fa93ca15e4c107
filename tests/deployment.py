"""A deployment as a customer has one: database, emulator over HTTP, Redis, and real worker
processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import redis
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.data import World
from demo.emulator import emulator
from demo.host import create_app
from demo.host.adapter import DemoHost
from demo.host.models import db
from demo.host.seed import seed
from demo.redis_server import free_port, redis_command
from demo.vendor.store import Store
from ensora_plugin import Ensora
from ensora_plugin.connecting import activate, connect
from ensora_plugin.kinds import KINDS
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Connection, Mapping, RenderingRow, Run, RunCount
from ensora_plugin.plugin import State, state_of
from ensora_plugin.runs.schedule import open_queue, request_run, ring
from tests.practices import ADMINS, KEY
from tests.watch import Watch

ROOT = Path(__file__).parents[1]
WAIT_SECONDS = 40
SETTINGS = {
    "SECRET_KEY": "test",
    "ENSORA_KEYS": KEY,
    "ENSORA_PAGE_SIZE": "20",
    "ENSORA_RETRY_PAUSE_SECONDS": "0.1",
    "ENSORA_TRIES": "2",
    "ENSORA_LEASE_SECONDS": "2",
    "ENSORA_TICK_SECONDS": "1",
    "ENSORA_POLL_SECONDS": "1",
    "ENSORA_STOP_SECONDS": "10",
}


@dataclass
class Deployment:
    """What processes share, and what a test asks it."""

    app: Flask
    folder: Path
    vendor: str
    redis_url: str
    world: World
    settings: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def state(self) -> State:
        return state_of(self.app)

    def connect(self, account: str) -> int:
        """Connect an account, whose pull is due from then on; return its id."""
        with self.state.vendor() as vendor:
            hands = {"username": ADMINS[account], "password": "admin-demo", "by": "test"}
            made = connect(self.state.session, account, vendor, self.state.sealer, **hands)
        account_id = made.id
        self.state.session.rollback()
        return account_id

    def worker(
        self, *options: str, program: Sequence[str] = ("worker.py",), **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start `worker.py`, or what stands in its place, in a session of its own."""
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-u", *program, *options],
                cwd=ROOT,
                env={**os.environ, **self.settings, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def log(self) -> str:
        """Return what all workers said so far."""
        path = self.folder / "worker.log"
        return path.read_text() if path.exists() else ""

    def until(self, ready: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
        """Wait until `ready` gives something, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            assert time.monotonic() < deadline, f"not in {seconds} s; the log:\n{self.log()}"
            time.sleep(0.05)
        return found

    def read(self, question: Callable[[Session], Any]) -> Any:
        """Ask the database; what is read is let go, since a reader holds up SQLite's writers."""
        with Session(self.state.engine, expire_on_commit=False) as session:
            return question(session)

    def runs(self) -> list[Run]:
        """Return every run as it stands now."""
        return self.read(lambda session: list(session.scalars(select(Run).order_by(Run.id))))

    def ended(self, count: int = 1) -> Callable[[], bool]:
        """Return what tells whether so many runs were made and all of them ended."""

        def all_ended() -> bool:
            runs = self.runs()
            return len(runs) >= count and all(run.state in ("done", "failed") for run in runs)

        return all_ended

    def fetched(self) -> int:
        """Return how many records all runs fetched, committed pages alone."""
        return self.read(lambda session: sum(session.scalars(select(RunCount.fetched))))

    def slow(self, seconds: float, path: str = "/v1/session-notes") -> None:
        """Let each page of a feed take so long."""
        rule = {"match": {"path": path}, "fault": "hang", "args": {"seconds": seconds}}
        self.play([rule])

    def play(self, rules: list[dict[str, Any]]) -> None:
        """Play a scenario at the vendor; none with an empty list."""
        httpx2.put(f"{self.vendor}/_emulator/scenario", json=rules, trust_env=False)

    def ask(self, account_id: int) -> tuple[int, bool]:
        """Ask for a run as "Sync now" does; return its id and whether a bell rang."""
        run_id = request_run(self.state.session, account_id, "ada")
        self.state.session.rollback()
        return run_id, ring(open_queue(self.redis_url), run_id, 0)

    def check(self, account: str) -> None:
        """Assert that the account has all of the world, once, and that every invariant holds."""
        self.read(lambda session: self._check(session, account))
        assert Watch(self.state.engine, self.folder / "vendor.db").at_rest() == []

    def _check(self, session: Session, account: str) -> None:
        account_id = session.scalars(select(Connection.id).filter_by(account=account)).one()
        feeds = dict(zip(("site", "student", "user", "note"), _FEEDS, strict=True))
        side = next(o for o in self.world.organizations if o["id"] == f"org-{account}")
        for kind in KINDS:
            stored = session.scalars(select(kind.model.vendor_id).filter_by(account_id=account_id))
            sent = [record["id"] for record in side[feeds[kind.name]]]
            assert sorted(stored) == sorted(sent)
            truth = getattr(self.world.truth[account], f"{kind.name}s")
            pairs = session.execute(
                select(Mapping.vendor_id, Mapping.host_id).filter_by(
                    account_id=account_id, kind=kind.name
                )
            ).all()
            assert {tuple(pair) for pair in pairs} == {
                (vendor_id, told.host_id) for vendor_id, told in truth.items() if told.host_id
            }
        counted = session.scalars(select(RunCount.fetched).filter_by(account_id=account_id)).all()
        assert sum(counted) == sum(len(side[feed]) for feed in _FEEDS)
        rendered = session.scalars(select(RenderingRow.note_id).filter_by(account_id=account_id))
        notes = self.world.truth[account].notes
        assert sorted(rendered) == sorted(id for id, told in notes.items() if told.host_id)

    def end(self) -> None:
        """End by force whatever a test left running."""
        for process in self.processes:
            for pid in family(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


_FEEDS = ("sites", "students", "users_feed", "notes")


def family(pid: int) -> set[int]:
    """Return the ids of a process and its descendants, as far as they live."""
    parents = {int(name): _parent(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {member for member in found if alive(member)}


def alive(pid: int) -> bool:
    """Return whether a process runs; one that only waits to be taken note of does not."""
    return _stat(pid)[0] not in ("", "Z")


def _parent(pid: int) -> int:
    return int(_stat(pid)[1] or 0)


def _stat(pid: int) -> tuple[str, str]:
    try:
        # The name stands in parentheses and may hold anything.
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return state, parent


@contextmanager
def deployed(
    folder: Path, database_url: str, redis_url: str, world: World, **settings: str
) -> Iterator[Deployment]:
    """Fill both sides with the world, activate both accounts and connect none."""
    store = Store(folder / "vendor.db")
    store.fill(world.organizations)
    store.close()
    with emulator(folder) as vendor:
        keys = {"ENSORA_VENDOR_URL": vendor, "ENSORA_REDIS_URL": redis_url}
        env = {**SETTINGS, **keys, "SQLALCHEMY_DATABASE_URI": database_url, **settings}
        app = create_app({**env, "TESTING": True})
        Ensora(app, DemoHost())
        with app.app_context():
            seed(db.session(), world)
            upgrade(db.engine)
            for account in ADMINS:
                activate(db.session(), account, by="test")
            env |= {"DEMO_DATA": str(folder), "DATA_FOLDER": str(folder)}
            deployment = Deployment(app, folder, vendor, redis_url, world, env)
            try:
                yield deployment
            finally:
                deployment.end()
                db.session.remove()
                db.engine.dispose()


@contextmanager
def own_redis(folder: Path, port: int | None = None) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start a Redis that a test may end; yield its URL and process."""
    port = port or free_port()
    log = subprocess.DEVNULL
    with subprocess.Popen(redis_command(port, folder), stdout=log, stderr=log) as process:
        try:
            with redis.Redis(port=port) as client:
                for _ in range(200):
                    with suppress(redis.ConnectionError):
                        client.ping()
                        break
                    time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0", process
        finally:
            process.kill()
