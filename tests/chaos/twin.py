"""The twin that nothing ever happens to: the same vendor, the same people, one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from demo.data import World
from demo.host import create_app
from demo.host.models import db
from demo.host.seed import seed
from ensora_plugin import Ensora
from ensora_plugin.connecting import activate, connect
from ensora_plugin.migrating import upgrade
from ensora_plugin.plugin import state_of
from ensora_plugin.runs.jobs import work_run
from ensora_plugin.runs.schedule import request_run
from tests.canonical import Told, canonical
from tests.chaos.counting import CountingHost, make_table
from tests.practices import ADMINS, KEY


class Twin:
    """A host of its own on SQLite, connected to the same organizations."""

    def __init__(self, app: Flask, accounts: dict[str, int]) -> None:
        self.app, self.accounts = app, accounts

    def run(self) -> None:
        """Pull, map and render both accounts, here and now."""
        for account_id in self.accounts.values():
            with self.app.app_context():
                work_run(request_run(state_of(self.app).session, account_id, "test"))

    def told(self) -> Told:
        """Return what it holds."""
        with self.app.app_context():
            state = state_of(self.app)
            return canonical(state.engine, state.sealer)


@contextmanager
def twin(folder: Path, world: World, vendor: str) -> Iterator[Twin]:
    """Open a twin with both accounts connected."""
    config = {"SECRET_KEY": "test", "TESTING": True, "ENSORA_KEYS": KEY}
    url = f"sqlite:///{folder / 'twin.db'}"
    app = create_app({**config, "ENSORA_VENDOR_URL": vendor, "SQLALCHEMY_DATABASE_URI": url})
    Ensora(app, CountingHost())
    accounts = {}
    with app.app_context():
        state = state_of(app)
        seed(db.session(), world)
        upgrade(state.engine)
        make_table(state.engine)
        for account, username in ADMINS.items():
            activate(state.session, account, by="test")
            hands = {"username": username, "password": "admin-demo", "by": "test"}
            with state.vendor() as handshake:
                made = connect(state.session, account, handshake, state.sealer, **hands)
            accounts[account] = made.id
        db.session.remove()
    yield Twin(app, accounts)
    with app.app_context():
        db.engine.dispose()
