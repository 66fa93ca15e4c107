"""A host with the made world, the plugin mounted, and the emulator in process: what tests of rules
work with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import time_machine
from flask import Flask
from flask.ctx import AppContext
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from demo.data import World
from demo.host import create_app as create_demo
from demo.host.adapter import DemoHost
from demo.host.models import db as demo_db
from demo.host.seed import seed
from demo.vendor.app import create_app as create_emulator
from demo.vendor.store import Store
from ensora_plugin import Ensora, configure_engine
from ensora_plugin.connecting import activate, connect
from ensora_plugin.host.port import HostAdapter
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Connection, Mapping, Record, Run, RunCount
from ensora_plugin.plugin import State, state_of
from ensora_plugin.runs.runs import STEPS, claim, create_run
from ensora_plugin.runs.sync import perform
from tests.other_host import OtherHost, create_other_host, other_id, seed_other
from tests.other_models import other_db
from tests.servers import keep, restore

ADMINS = {
    "bright-steps": "admin@brightsteps.example",
    "harbor-kids": "admin@harborkids.example",
}
KEY = "test:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
CONFIG = {
    "SECRET_KEY": "test",
    "TESTING": True,
    "ENSORA_KEYS": KEY,
    "ENSORA_VENDOR_URL": "http://127.0.0.1:1",
    "ENSORA_RETRY_PAUSE_SECONDS": "0.01",
    "ENSORA_TRIES": "3",
}
#: World's word for an entity of each kind, as `other_id` wants it.
ENTITIES = {"site": "agency", "student": "client", "user": "staff", "note": "appointment"}


@dataclass
class Practice:
    """One host with both accounts, activated and connected."""

    app: Flask
    state: State
    store: Store
    emulator: Flask
    world: World
    #: The application context that the test stands in.
    context: AppContext
    #: The demo's id of an entity of a kind in this host.
    host_id: Callable[[str, str], str] = field(default=lambda _kind, id: id)

    @property
    def session(self) -> Session:
        return self.state.session

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Step out of the application context: requests would share it, and who is signed in."""
        self.session.close()
        self.context.pop()
        try:
            yield
        finally:
            self.context.push()

    def account_id(self, account: str) -> int:
        return self.session.scalars(
            select(Connection.id).where(Connection.account == account)
        ).one()

    def run(self, account: str = "bright-steps", *steps: str) -> Run:
        """Do a run of an account in this process and return its row."""
        account_id = self.account_id(account)
        chosen = steps or STEPS
        run_id = create_run(self.session, account_id, cause="command", by="test", steps=chosen)
        claimed = claim(self.session, run_id, self.state.settings.lease_seconds)
        assert claimed is not None
        perform(self.state.services(), claimed)
        return self.session.get_one(Run, run_id)

    def counts(self, run: Run) -> dict[str, RunCount]:
        rows = self.session.scalars(select(RunCount).where(RunCount.run_id == run.id))
        return {row.kind: row for row in rows}

    def mapped(self, account: str, kind: str) -> dict[str, str | None]:
        """Return vendor id -> host id of every mapping of a kind."""
        rows = self.session.execute(
            select(Mapping.vendor_id, Mapping.host_id).where(
                Mapping.account_id == self.account_id(account), Mapping.kind == kind
            )
        )
        return {row.vendor_id: row.host_id for row in rows}

    def whys(self, account: str, model: type[Record]) -> dict[str, str | None]:
        """Return vendor id -> why it does not map, of every record."""
        rows = self.session.execute(
            select(model.vendor_id, model.why).where(model.account_id == self.account_id(account))
        )
        return {row.vendor_id: row.why for row in rows}

    def changed_rows(self) -> dict[str, list[Any]]:
        """Return the content of every table of the plugin that holds what people work with."""
        tables = [
            table
            for name, table in Connection.metadata.tables.items()
            if not name.startswith(
                ("ensora_run", "ensora_connection", "ensora_feed", "ensora_host_mark")
            )
        ]
        found = {}
        for table in tables:
            # Rendering changes appointments, whose notes are then looked at once more.
            columns = [column for column in table.c if column.name != "touched"]
            found[table.name] = sorted(map(repr, self.session.execute(select(*columns)).all()))
        self.session.rollback()
        return found


@contextmanager
def open_demo(
    url: str,
    world: World,
    *,
    connected: bool = True,
    vendor: str | Path = ":memory:",
    **config: Any,
) -> Iterator[Practice]:
    """Open the demo host over a database; `vendor`: the emulator's file."""
    app = create_demo({**CONFIG, "SQLALCHEMY_DATABASE_URI": url, **config})
    with app.app_context():
        seed(demo_db.session(), world)
    with _opened(app, DemoHost(), world, vendor, connected=connected) as practice:
        yield practice


@contextmanager
def open_pulled(url: str, world: World, *accounts: str) -> Iterator[Practice]:
    """Open the demo host over an empty database, with accounts pulled, mapped and rendered.

    That is done once for a world; whoever wants the same again gets a copy of both sides.
    """
    key = (id(world), make_url(url).drivername, accounts)
    with TemporaryDirectory() as folder:
        vendor = Path(folder) / "vendor.db"
        if key not in _PULLED:
            with open_demo(url, world, vendor=vendor) as practice:
                for account in accounts:
                    practice.run(account)
            # The world is kept, so that no other one gets its id.
            _PULLED[key] = (world, keep(url), vendor.read_bytes())
        else:
            _, kept, stored = _PULLED[key]
            restore(url, kept)
            vendor.write_bytes(stored)
        app = create_demo({**CONFIG, "SQLALCHEMY_DATABASE_URI": url})
        with _opened(app, DemoHost(), world, vendor) as practice:
            yield practice


_PULLED: dict[Any, tuple[World, Any, bytes]] = {}


@contextmanager
def open_other(
    url: str, world: World, *, host: HostAdapter | None = None, **config: Any
) -> Iterator[Practice]:
    """Open the second host over a database, with an adapter of its kind."""
    app = create_other_host(url)
    app.config.update({**CONFIG, **config})
    with app.app_context():
        configure_engine(other_db.engine)
        seed_other(other_db.session(), world)
        other_db.session.commit()
    with _opened(app, host or OtherHost(), world) as practice:
        practice.host_id = lambda kind, id: other_id(ENTITIES[kind], id)
        yield practice


@contextmanager
def _opened(
    app: Flask,
    host: HostAdapter,
    world: World,
    vendor: str | Path = ":memory:",
    *,
    connected: bool = True,
) -> Iterator[Practice]:
    """Mount the plugin; a vendor that holds something already goes with a database that does."""
    store = Store(vendor)
    fresh = not store.is_filled()
    if fresh:
        store.fill(world.organizations)
    emulator = create_emulator(store)
    Ensora().init_app(app, host, transport=httpx2.WSGITransport(app=emulator))
    # The world's sessions are over, and its notes were written, on the evening of its day.
    # What was pulled before was so a little earlier.
    evening = datetime.combine(world.today, time(2, 0 if fresh else 10), UTC)
    with time_machine.travel(evening), app.app_context() as context:
        state = state_of(app)
        if fresh:
            _begin(state, connected=connected)
        yield Practice(app, state, store, emulator, world, context)
        state.session.close()
        state.engine.dispose()
    store.close()


def _begin(state: State, *, connected: bool) -> None:
    """Migrate, and activate both accounts."""
    upgrade(state.engine)
    for account, username in ADMINS.items():
        activate(state.session, account, by="test")
        if connected:
            hands = {"username": username, "password": "admin-demo", "by": "test"}
            with state.vendor() as vendor:
                connect(state.session, account, vendor, state.sealer, **hands)
