"""Mounting the plugin in a host: `Ensora(app, host)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import httpx2
from flask import Flask, current_app
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from .cli import ensora_cli
from .config import Settings, read_settings
from .connecting import token_of
from .crypto import Sealer
from .host import HostAdapter
from .models import Connection
from .sync import Services
from .vendor import DataCollection

EXTENSION = "ensora"


@dataclass
class State:
    """What the plugin keeps in `app.extensions["ensora"]`."""

    host: HostAdapter
    settings: Settings
    sealer: Sealer
    #: For tests: an HTTP transport to a vendor in the same process.
    transport: httpx2.BaseTransport | None = None

    @property
    def session(self) -> Session:
        """The host's Flask-SQLAlchemy session of the current application context."""
        return cast(Session, current_app.extensions["sqlalchemy"].session())

    @property
    def engine(self) -> Engine:
        """The host's default engine."""
        return cast(Engine, current_app.extensions["sqlalchemy"].engine)

    def vendor(self, connection: Connection | None = None) -> DataCollection:
        """Open the vendor's API with a connection's token, or without one for the handshake."""
        organization = connection.organization_id if connection else None
        return DataCollection(
            self.settings,
            organization_id=organization or "",
            token=token_of(connection, self.sealer) if connection else "",
            transport=self.transport,
        )

    def services(self) -> Services:
        """Return what a run works with, in the current application context."""
        return Services(self.session, self.host, self.settings, self.sealer, self.vendor)


class Ensora:
    """The Flask extension. It needs the host's Flask-SQLAlchemy to be initialised before.

    Raises `WrongSettings` where ENSORA_* keys are wrong, and RuntimeError without Flask-SQLAlchemy.
    """

    def __init__(self, app: Flask | None = None, host: HostAdapter | None = None) -> None:
        if app is not None and host is not None:
            self.init_app(app, host)

    def init_app(self, app: Flask, host: HostAdapter, **options: Any) -> None:
        """Read the settings, register commands, and keep the state in `app.extensions`."""
        if "sqlalchemy" not in app.extensions:
            raise RuntimeError(
                "Initialise Flask-SQLAlchemy before Ensora; it uses the host's session."
            )
        settings = read_settings(app.config)
        app.extensions[EXTENSION] = State(
            host, settings, Sealer(settings.key_ring()), transport=options.get("transport")
        )
        app.cli.add_command(ensora_cli)


def state_of(app: Flask) -> State:
    """Return the plugin's state of an application that it is mounted in."""
    return cast(State, app.extensions[EXTENSION])
