"""The deployment that faults rain on: both accounts, two machines with two workers each."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from demo.data import World
from ensora_plugin.clock import utcnow
from ensora_plugin.models import Run
from ensora_plugin.runs.schedule import due_connections
from tests.chaos.counting import CountingHost, make_table
from tests.chaos.points import Armoury
from tests.deployment import Deployment, alive, deployed, family
from tests.own_redis import OwnRedis
from tests.practices import ADMINS
from tests.servers import Postgres, fresh_database
from tests.tcp_proxy import Proxy

#: A run that nobody disturbs takes a second or two; whoever died, somebody has gone on by then.
PATIENCE = 60
LEASE_SECONDS = 2
SETTINGS = {
    "ENSORA_LEASE_SECONDS": str(LEASE_SECONDS),
    "ENSORA_STOP_SECONDS": "5",
    "ENSORA_REQUEST_SECONDS": "3",
}


@dataclass
class Scene:
    """What a fault works on. `postgres` is None on SQLite."""

    site: Deployment
    armoury: Armoury
    redis: OwnRedis
    proxy: Proxy
    postgres: Postgres | None
    workers: int = 2
    accounts: dict[str, int] = field(default_factory=dict)
    machines: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)

    def start_machine(self) -> subprocess.Popen[bytes]:
        """Start a machine: one `worker.py` with points in it."""
        program = ("-m", "tests.chaos.worker", str(self.armoury.folder))
        machine = self.site.worker("-n", str(self.workers), program=program)
        self.machines.append(machine)
        return machine

    def replace(self, machine: subprocess.Popen[bytes]) -> None:
        """Start a machine in the place of one that ended."""
        machine.wait(20)
        self.machines.remove(machine)
        self.site.processes.remove(machine)
        self.start_machine()

    def keep_machines(self) -> None:
        """Start those anew that a fault ended."""
        for machine in [m for m in self.machines if m.poll() is not None]:
            self.replace(machine)

    def ask(self, account: str) -> None:
        """Ask for a run; a database that is away just now is no answer."""
        with suppress(DBAPIError), self.site.app.app_context():
            self.site.ask(self.accounts[account])

    def work(self, rng: random.Random) -> str:
        """Let there be a run with many pages: the notes' cursor is gone. Return the account."""
        account = rng.choice(list(self.accounts))
        gone = {
            "match": {"feed": "session-notes", "organization": f"org-{account}", "cursor": True},
            "fault": "status",
            "args": {"code": 410},
            "times": 1,
        }
        self.site.play([gone])
        self.ask(account)
        return account

    def owners(self) -> list[int]:
        """Return the processes that hold a run now."""
        with suppress(DBAPIError):
            runs = self.site.read(
                lambda session: session.scalars(
                    select(Run.owner).where(Run.state == "running")
                ).all()
            )
            pids = [int(owner.rpartition(":")[2]) for owner in runs if owner]
            mine = {pid for machine in self.machines for pid in family(machine.pid)}
            return [pid for pid in pids if pid in mine]
        return []

    def live(self) -> bool:
        """Whether a run is due or under way, or the database cannot say."""
        try:
            return bool(self.site.read(_live))
        except DBAPIError:
            return True

    def wait_for(self, ready: Any, seconds: float) -> Any:
        """Wait for something that need not come; return what came, or None."""
        end = time.monotonic() + seconds
        while not (found := ready()):
            if time.monotonic() > end:
                return None
            time.sleep(0.02)
        return found

    def kill(self, pid: int) -> None:
        """End a process of ours by force."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def calm(self) -> None:
        """End every fault."""
        self.site.play([])
        self.armoury.disarm()
        for pid in self.stopped:
            if alive(pid):
                os.kill(pid, signal.SIGCONT)
        self.stopped.clear()
        self.proxy.open()
        self.redis.up()
        if self.postgres is not None:
            self.postgres.up()
        # Connections from before a restart are of no use any more.
        self.site.state.engine.dispose()
        self.keep_machines()

    def rest(self) -> list[str]:
        """Wait until every account was pulled to its end; tell what never came to rest."""
        began, end = utcnow(), time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.keep_machines()
            if self.site.read(_live) == 0:
                missing = [
                    account
                    for account, id in self.accounts.items()
                    if not self.site.read(lambda session, id=id: _done(session, id, began))
                ]
                if not missing:
                    return []
                for account in missing:
                    self.ask(account)
            time.sleep(0.05)
        told = [(run.id, run.state, run.attempt, run.error_code) for run in self.site.runs()[-4:]]
        return [f"I-13: not at rest after {PATIENCE} s: {told}"]


def _live(session: Any) -> int:
    live = session.scalars(select(Run.id).where(Run.state.in_(("due", "running")))).all()
    return len(live) + len(session.scalars(due_connections(utcnow())).all())


def _done(session: Any, account_id: int, since: Any) -> bool:
    last = session.scalars(
        select(Run).where(Run.account_id == account_id).order_by(Run.id.desc()).limit(1)
    ).first()
    return bool(last and last.state == "done" and last.ended_at >= since)


@contextmanager
def scene(
    folder: Path, world: World, postgres: Postgres | None, *, workers: int = 2
) -> Iterator[Scene]:
    """Set everything up and connect both accounts; no worker is started. `workers`: a machine's."""
    with ExitStack() as stack:
        server = stack.enter_context(OwnRedis(folder))
        proxy = stack.enter_context(Proxy(server.port))
        url = f"sqlite:///{folder / 'host.db'}"
        if postgres is not None:
            url = stack.enter_context(fresh_database(postgres))
        site = stack.enter_context(
            deployed(folder, url, f"redis://127.0.0.1:{proxy.port}/0", world, **SETTINGS)
        )
        with site.app.app_context():
            make_table(site.state.engine)
            site.state.host = CountingHost()
        made = Scene(site, Armoury(folder / "points"), server, proxy, postgres, workers)
        with site.app.app_context():
            made.accounts = {account: site.connect(account) for account in ADMINS}
        yield made
