"""Mounting the plugin in a host: `Ensora(app, host)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
from flask import Flask, current_app, url_for
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from . import choice_views, connect_views, created_view, rendering_views, row_views, views
from .cli import ensora_cli
from .config import Settings, read_settings
from .connecting import find_connection, token_of
from .counting import Memory
from .crypto import Sealer
from .evidence import was_applied
from .host import HostAdapter
from .models import Connection
from .sync import Services
from .vendor import DataCollection
from .web import bp

EXTENSION = "ensora"
#: Their routes are in the blueprint by now.
EDGES = (views, connect_views, row_views, choice_views, created_view, rendering_views)


@dataclass
class State:
    """What the plugin keeps in `app.extensions["ensora"]`."""

    host: HostAdapter
    settings: Settings
    sealer: Sealer
    #: For tests: an HTTP transport to a vendor in the same process.
    transport: httpx2.BaseTransport | None = None
    #: The counts of tabs that were taken last.
    counted: Memory = field(default_factory=Memory)

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

    def __init__(
        self, app: Flask | None = None, host: HostAdapter | None = None, **options: Any
    ) -> None:
        if app is not None and host is not None:
            self.init_app(app, host, **options)

    def init_app(
        self,
        app: Flask,
        host: HostAdapter,
        *,
        url_prefix: str = "/synchronization",
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Read the settings, mount the window under `url_prefix`, and register the commands."""
        if not url_prefix.strip("/"):
            raise ValueError("Ensora needs a url_prefix; at the root its static files clash.")
        if "sqlalchemy" not in app.extensions:
            raise RuntimeError(
                "Initialise Flask-SQLAlchemy before Ensora; it uses the host's session."
            )
        settings = read_settings(app.config)
        app.extensions[EXTENSION] = State(
            host, settings, Sealer(settings.key_ring()), transport=transport
        )
        app.register_blueprint(bp, url_prefix=url_prefix)
        app.cli.add_command(ensora_cli)

    def available(self) -> bool:
        """Tell whether the person of this request gets the Synchronization button.

        The account has the feature activated, and the person may look at it or connect it.
        """
        state = state_of(current_app)
        actor = state.host.actor()
        if actor is None or not actor.permissions & {"view", "admin"}:
            return False
        return find_connection(state.session, state.host.account()) is not None

    def evidence_url(self, appointment_id: object) -> str | None:
        """Return the address of an appointment's evidence sheet, for a link on the host's own page.

        None where nothing was written into it, or the person of this request may not look.
        """
        state = state_of(current_app)
        actor = state.host.actor()
        connection = find_connection(state.session, state.host.account()) if actor else None
        if connection is None or actor is None or "view" not in actor.permissions:
            return None
        if not was_applied(state.session, connection.id, str(appointment_id)):
            return None
        return url_for("ensora.evidence_sheet", appointment_id=str(appointment_id))


def state_of(app: Flask) -> State:
    """Return the plugin's state of an application that it is mounted in."""
    return cast(State, app.extensions[EXTENSION])
