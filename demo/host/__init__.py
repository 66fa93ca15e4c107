"""Practice Admin: a small practice-management site on Flask-Admin, a host for the plugin."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from jinja2 import StrictUndefined

from ensora_plugin import configure_engine

from . import display, pages, security, signin
from .models import db

ROOT = Path(__file__).parents[2]


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """Return the site; `config` overrides what the environment says.

    Environment: DATA_FOLDER (else `var` in the project), DATABASE_URL (else SQLite in that folder),
    SECRET_KEY (else one that is made once and kept there). Others add cards to the pages Settings
    and Reports, and links to an appointment's, see `menu.MenuEntry`.
    """
    app = Flask(__name__, template_folder="templates", static_folder="static")
    app.config.from_mapping(
        DATA_FOLDER=os.environ.get("DATA_FOLDER", ROOT / "var"),
        SQLALCHEMY_DATABASE_URI=os.environ.get("DATABASE_URL"),
        SQLALCHEMY_ENGINE_OPTIONS={"hide_parameters": True},
        SECRET_KEY=os.environ.get("SECRET_KEY"),
        SESSION_COOKIE_NAME="practice_admin",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        MAX_CONTENT_LENGTH=2 * 1024 * 1024,
    )
    app.config.update(config or {})
    if not app.config["SQLALCHEMY_DATABASE_URI"]:
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{_data(app) / 'host.db'}"
    if not app.config["SECRET_KEY"]:
        app.config["SECRET_KEY"] = _kept_secret(_data(app) / "host.secret")
    app.jinja_env.undefined = StrictUndefined
    db.init_app(app)
    with app.app_context():
        configure_engine(db.engine)
    security.init_app(app)
    signin.init_app(app)
    display.init_app(app)
    pages.init_app(app)
    return app


def _data(app: Flask) -> Path:
    """Return the data folder, which is made if it is not there."""
    folder = Path(app.config["DATA_FOLDER"]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _kept_secret(path: Path) -> str:
    """Return the key that signs sessions, made by whichever process comes first."""
    if not path.exists():
        # Written whole under another name, then linked: a second process never reads half a key.
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text()
