"""What the demo writes down in its data folder, so that every process of it agrees."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where the demo keeps its data, unless DEMO_DATA names another folder.
DEFAULT_FOLDER = Path(__file__).parents[1] / "var" / "demo"


def data_folder() -> Path:
    """Return the demo's data folder."""
    return Path(os.environ.get("DEMO_DATA") or DEFAULT_FOLDER)


def read_settings_file(folder: Path | None = None) -> dict[str, str]:
    """Return the settings that were written down, none where the demo never ran."""
    path = (folder or data_folder()) / "settings.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_settings_file(folder: Path, **changes: str) -> dict[str, str]:
    """Write down settings beside those that are there; make keys and secrets the first time."""
    settings = {
        "ENSORA_KEYS": f"demo:{base64.b64encode(os.urandom(32)).decode()}",
        "SECRET_KEY": secrets.token_hex(32),
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'host.db'}",
        **read_settings_file(folder),
        **changes,
    }
    if named := os.environ.get("DATABASE_URL"):
        settings["SQLALCHEMY_DATABASE_URI"] = named
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"settings.{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        json.dump(settings, file, indent=1)
    draft.replace(folder / "settings.json")
    return settings


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the data folder; RuntimeError where another demo does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "demo.lock").open("w")
    except OSError as error:
        raise RuntimeError(
            f"{folder} cannot hold the demo's data ({error.strerror}). Name another DATA=..."
        ) from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(
                f"another demo runs over {folder}. End it, or name another folder with DATA=..."
            ) from None
        yield
