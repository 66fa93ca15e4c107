"""The pull, over real HTTP: a run of the step, the same with nothing to do, its floor and peers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec
from flask import Flask
from sqlalchemy import delete, func, select

from demo.host import create_app
from demo.host.adapter import DemoHost
from ensora_plugin import Ensora
from ensora_plugin.connecting import activate, connect
from ensora_plugin.kinds import KINDS
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Base, Connection, Content, Feed, RunCount
from ensora_plugin.plugin import state_of
from ensora_plugin.pull.content import content_place
from ensora_plugin.runs.runs import claim, create_run
from ensora_plugin.runs.sync import perform

from .databases import databases, engine_for, temporary_folder
from .measure import Measurement, Watch, in_child
from .pull_floor import floor_seconds
from .pull_peers import peers
from .vendor import PAGE, vendor
from .vendor_world import ACCOUNT, ADMIN, PASSWORD, all_notes

_KEY = "bench:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
#: Fetched, and new or changed, by kind.
Counts = dict[str, tuple[int, int]]


def measure(notes: int, db: str, seed: int) -> Iterator[Measurement]:
    """Measure a whole pull, one with nothing new, and one of everything again."""
    with (
        temporary_folder() as folder,
        databases(db, folder) as empty,
        vendor(folder, notes, seed) as address,
    ):
        url, floor_url = empty(), empty()
        for each in (url, floor_url):
            in_child(prepare, each, address)
        (seconds, counts), peak = in_child(run, url, address)
        correct = counts["note"] == (notes, notes) and in_child(check, url, notes, seed)[0]
        floor, _ = in_child(floor_seconds, url, floor_url, PAGE)
        others = peers(address, empty, notes)
        yield Measurement("pull", notes, db, seconds, floor, correct, peak, others)
        yield _nothing_new(notes, db, url, address)
        yield _all_again(notes, db, url, address)


def _nothing_new(notes: int, db: str, url: str, address: str) -> Measurement:
    """Pull once more: one request a feed, and no row is written."""
    httpx2.get(f"{address}/journal", trust_env=False)
    before, _ = in_child(stored, url)
    (seconds, counts), peak = in_child(run, url, address)
    asked = httpx2.get(f"{address}/journal", trust_env=False).json()["asked"]
    same = set(counts.values()) == {(0, 0)} and in_child(stored, url)[0] == before
    correct = same and len(asked) == len(set(asked)) == len(KINDS)
    told = f"{len(asked)} requests"
    return Measurement("pull-nothing-new", notes, db, seconds, None, correct, peak, note=told)


def _all_again(notes: int, db: str, url: str, address: str) -> Measurement:
    """Read every feed from its beginning, as after a cursor that is gone; nothing has changed."""
    before, _ = in_child(stored, url)
    in_child(start_over, url)
    (seconds, counts), peak = in_child(run, url, address)
    correct = counts["note"] == (notes, 0) and in_child(stored, url)[0] == before
    told = f"{notes / seconds:,.0f} notes a second"
    return Measurement("pull-all-again", notes, db, seconds, None, correct, peak, note=told)


def open_app(url: str, address: str) -> Flask:
    """Return the demo host with the plugin, over a database and a vendor."""
    app = create_app(
        {
            "SECRET_KEY": "bench",
            "SQLALCHEMY_DATABASE_URI": url,
            "ENSORA_KEYS": _KEY,
            "ENSORA_VENDOR_URL": address,
            "ENSORA_PAGE_SIZE": PAGE,
        }
    )
    Ensora().init_app(app, DemoHost())
    return app


def prepare(url: str, address: str) -> None:
    """Make the plugin's tables, and an account that is connected."""
    app = open_app(url, address)
    with app.app_context():
        state = state_of(app)
        upgrade(state.engine)
        activate(state.session, ACCOUNT, by="bench")
        who = {"username": ADMIN, "password": PASSWORD, "by": "bench"}
        with state.vendor() as stranger:
            connect(state.session, ACCOUNT, stranger, state.sealer, **who)


def run(url: str, address: str) -> tuple[float, Counts]:
    """Do a run with the step pull; return its seconds, and fetched and written by kind."""
    app, watch = open_app(url, address), Watch()
    with app.app_context():
        state = state_of(app)
        session = state.session
        account_id = session.scalars(select(Connection.id)).one()
        run_id = create_run(session, account_id, cause="command", by="bench", steps=("pull",))
        claimed = claim(session, run_id, state.settings.lease_seconds)
        assert claimed
        with watch.running():
            perform(state.services(), claimed)
        rows = session.scalars(select(RunCount).where(RunCount.run_id == run_id))
        return watch.seconds, {row.kind: (row.fetched, row.new + row.changed) for row in rows}


def check(url: str, notes: int, seed: int) -> bool:
    """Tell whether every note's sealed fields are those that the vendor has."""
    app = open_app(url, "http://127.0.0.1:1")
    with app.app_context():
        state = state_of(app)
        account_id = state.session.scalars(select(Connection.id)).one()
        for note in all_notes(notes, seed):
            row = state.session.execute(
                select(Content.sealed).where(
                    Content.account_id == account_id, Content.note_id == note["id"]
                )
            ).one()
            place = content_place(account_id, note["id"], note["version"])
            if msgspec.json.decode(state.sealer.open(row.sealed, *place)) != note["fields"]:
                return False
    return True


def start_over(url: str) -> None:
    """Forget where the feeds stand."""
    with engine_for(url).begin() as connection:
        connection.execute(delete(Feed))


def stored(url: str) -> dict[str, Any]:
    """Count the rows of every table that a pull writes, and name its highest id."""
    found = {}
    with engine_for(url).connect() as connection:
        for name in ("site", "student", "user", "membership", "note", "content", "set_aside"):
            table = Base.metadata.tables[f"ensora_{name}"]
            highest = func.max(table.c.id if "id" in table.c else table.c.account_id)
            found[name] = tuple(
                connection.execute(select(func.count(), highest).select_from(table)).one()
            )
    return found
