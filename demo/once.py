"""The main job once, without a browser: connect, pull, map, render, and say what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from ensora_plugin import Ensora, EnsoraError
from ensora_plugin.cli_text import overview_table
from ensora_plugin.connecting import activate, activated, connect
from ensora_plugin.host.adapter_check import adapter_faults
from ensora_plugin.joins import rendering_stands
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Mapping, RenderingRow, RunCount
from ensora_plugin.plugin import State, state_of
from ensora_plugin.runs.runs import STEPS
from ensora_plugin.runs.sync import perform_now
from ensora_plugin.window.overview import overview

from .emulator import emulator
from .host import create_app
from .host.adapter import DemoHost
from .made import make_world
from .settings import alone, write_settings_file

#: Account -> the vendor's administrator who connects it.
ACCOUNTS = {
    "bright-steps": "admin@brightsteps.example",
    "harbor-kids": "admin@harborkids.example",
}
PASSWORD = "admin-demo"
BY = "make demo"


def run_once(folder: Path, *, notes: int, vendor_port: int = 0) -> int:
    """Run the main job over the world in `folder`; print tables; return the exit status: 1 where
    anything failed, also one appointment that the host raised for.
    """
    try:
        with alone(folder), emulator_of(folder, notes, vendor_port) as address:
            app = create_app(write_settings_file(folder, ENSORA_VENDOR_URL=address))
            Ensora(app, DemoHost())
            with app.app_context():
                failed = _work(app)
    except (EnsoraError, RuntimeError, ValueError) as error:
        print(f"make demo failed: {error}", file=sys.stderr)
        return 1
    for sentence in failed:
        print(f"make demo failed: {sentence}", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def emulator_of(folder: Path, notes: int, vendor_port: int) -> Iterator[str]:
    """Make the world where there is none yet, and run the emulator over it; yield its address."""
    print(make_world(folder, create_app(write_settings_file(folder)), notes=notes))
    with emulator(folder, vendor_port) as address:
        yield address


def _work(app: Flask) -> list[str]:
    """Do the job of every account; return in sentences which renderings failed."""
    state, failed = state_of(app), list[str]()
    upgrade(state.engine)
    for account, username in ACCOUNTS.items():
        faults = adapter_faults(state.host, state.session, account)
        if faults:
            raise RuntimeError("The host adapter is wrong:\n- " + "\n- ".join(faults))
        activate(state.session, account, by=BY)
        if activated(state.session, account).state != "connected":
            with state.vendor() as vendor:
                connect(
                    state.session,
                    account,
                    vendor,
                    state.sealer,
                    username=username,
                    password=PASSWORD,
                    by=BY,
                )
        _run(state, account)
        failed += _failed(state.session, account)
    return failed


def _failed(session: Session, account: str) -> list[str]:
    rows = session.scalars(
        select(RenderingRow)
        .join(Mapping, rendering_stands())
        .where(
            RenderingRow.account_id == activated(session, account).id,
            RenderingRow.state == "failed",
        )
        .order_by(RenderingRow.id)
    )
    return [
        f"{account}, appointment {row.appointment_id}: {refusal['text']}"
        for row in rows
        for refusal in row.refusals
    ]


def _run(state: State, account: str) -> None:
    """Do each step as a run of its own, so that its seconds can be told."""
    session = state.session
    account_id = activated(session, account).id
    seconds, changes = [], 0
    for step in STEPS:
        start = time.perf_counter()
        done = perform_now(state.services(), account_id, step, by=BY)
        if not done:
            raise RuntimeError(f"Another worker took the run of {account}.")
        seconds.append(f"{step} {time.perf_counter() - start:.1f} s")
        changes += _changes(session, done)
    print(f"\n{account}: {', '.join(seconds)}")
    print("\n".join(overview_table(overview(session, account_id))))
    print("Nothing changed." if changes == 0 else f"{changes} changes.")


def _changes(session: Session, run_ids: list[int]) -> int:
    rows = session.query(RunCount).filter(RunCount.run_id.in_(run_ids))
    return sum(
        getattr(row, name)
        for row in rows
        for name in ("new", "changed", "set_aside", "mapped", "rendered", "refused")
    )
