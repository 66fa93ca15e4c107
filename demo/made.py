"""Make the demo's world in a data folder, once: the vendor's side and the host's."""

from __future__ import annotations

import json
from pathlib import Path

from flask import Flask

from .data import build_world
from .host.models import db
from .host.seed import seed
from .vendor.store import Store


def make_world(folder: Path, app: Flask, *, notes: int) -> str:
    """Fill both sides with a world of `notes` session notes, once; say what was done.

    ValueError with what to do where the folder holds a world of another size.
    """
    path = folder / "world.json"
    if path.exists():
        held = json.loads(path.read_text())
        if held["notes"] != notes:
            raise ValueError(
                f"{folder} holds a world of {held['notes']} session notes, not of {notes}. "
                f"Remove that folder, or name another one with DATA=..."
            )
        return f"The world of {held['notes']} session notes of {held['today']} goes on."
    world = build_world(notes=notes)
    store = Store(folder / "vendor.db")
    if not store.is_filled():
        store.fill(world.organizations)
    store.close()
    with app.app_context():
        rows = seed(db.session(), world)
    path.write_text(json.dumps({"notes": notes, "today": str(world.today), "seed": world.seed}))
    return f"Made a world of {notes} session notes: {rows} rows at the host."
