"""A host with the made world, the plugin mounted, and the emulator in process: what tests of rules
work with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

import httpx2
import time_machine
from flask import Flask
from flask.ctx import AppContext
from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.data import World
from demo.host import create_app as create_demo
from demo.host.adapter import DemoHost
from demo.host.models import db as demo_db
from demo.host.seed import seed
from demo.vendor.app import create_app as create_emulator
from demo.vendor.store import Store
from ensora_plugin import Ensora, configure_sqlite
from ensora_plugin.connecting import activate, connect
from ensora_plugin.host import HostAdapter
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Connection, Mapping, Record, Run, RunCount
from ensora_plugin.plugin import State, state_of
from ensora_plugin.runs import STEPS, claim, create_run
from ensora_plugin.sync import perform
from tests.other_host import OtherHost, create_other_host, other_id, seed_other
from tests.other_models import other_db

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
    url: str, world: World, *, connected: bool = True, **config: Any
) -> Iterator[Practice]:
    """Open the demo host over a database."""
    app = create_demo({**CONFIG, "SQLALCHEMY_DATABASE_URI": url, **config})
    with app.app_context():
        seed(demo_db.session(), world)
    with _opened(app, DemoHost(), world, connected=connected) as practice:
        yield practice


@contextmanager
def open_other(
    url: str, world: World, *, host: HostAdapter | None = None, **config: Any
) -> Iterator[Practice]:
    """Open the second host over a database, with an adapter of its kind."""
    app = create_other_host(url)
    app.config.update({**CONFIG, **config})
    with app.app_context():
        configure_sqlite(other_db.engine)
        seed_other(other_db.session(), world)
        other_db.session.commit()
    with _opened(app, host or OtherHost(), world) as practice:
        practice.host_id = lambda kind, id: other_id(ENTITIES[kind], id)
        yield practice


@contextmanager
def _opened(
    app: Flask, host: HostAdapter, world: World, *, connected: bool = True
) -> Iterator[Practice]:
    store = Store(":memory:")
    store.fill(world.organizations)
    emulator = create_emulator(store)
    Ensora().init_app(app, host, transport=httpx2.WSGITransport(app=emulator))
    # The world's sessions are over, and its notes were written, on the evening of its day.
    evening = datetime.combine(world.today, time(2), UTC)
    with time_machine.travel(evening), app.app_context() as context:
        state = state_of(app)
        upgrade(state.engine)
        for account, username in ADMINS.items():
            activate(state.session, account, by="test")
            if not connected:
                continue
            with state.vendor() as vendor:
                connect(
                    state.session,
                    account,
                    vendor,
                    state.sealer,
                    username=username,
                    password="admin-demo",
                    by="test",
                )
        yield Practice(app, state, store, emulator, world, context)
        state.session.close()
        state.engine.dispose()
    store.close()
