"""Mounting the plugin in a host: `Ensora(app, host)`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast, get_args

import httpx2
from flask import Flask, Response, after_this_request, current_app, has_request_context, url_for
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from .cli import ensora_cli
from .config import Settings, read_settings
from .connecting import find_connection, token_of
from .crypto import Sealer
from .database import begin_write
from .host.changes import bring_up_to_date
from .host.port import Entity, HostAdapter
from .log import log
from .memory import Memory
from .models import Connection
from .rendering.evidence import was_applied
from .reports import export_views, saved_views
from .reports import views as report_views
from .reports.spec import REPORTS
from .runs.schedule import hasten
from .runs.sync import Services
from .vendor.client import DataCollection
from .window import (
    admin_views,
    choice_views,
    connect_views,
    created_view,
    rendering_views,
    row_views,
    run_views,
    suggestion_views,
    views,
)
from .window.web import bp

EXTENSION = "ensora"
#: Their routes are in the blueprint by now.
EDGES = (
    admin_views,
    choice_views,
    connect_views,
    created_view,
    export_views,
    rendering_views,
    report_views,
    row_views,
    suggestion_views,
    run_views,
    saved_views,
    views,
)


@dataclass
class State:
    """What the plugin keeps in `app.extensions["ensora"]`."""

    host: HostAdapter
    settings: Settings
    sealer: Sealer
    #: For tests: an HTTP transport to a vendor in the same process.
    transport: httpx2.BaseTransport | None = None
    #: Of a worker process: whether it leaves runs that may drag to others.
    quick_only: bool = False
    #: The counts of tabs that were taken last.
    counted: Memory = field(default_factory=Memory)
    #: Rows of lists as pages show them, by all that they say; some kilobytes each.
    printed: Memory = field(default_factory=lambda: Memory(most=2000))

    @property
    def session(self) -> Session:
        """The host's Flask-SQLAlchemy session of the current application context."""
        return cast(Session, current_app.extensions["sqlalchemy"].session())

    @property
    def engine(self) -> Engine:
        """The host's default engine."""
        return cast(Engine, current_app.extensions["sqlalchemy"].engine)

    def vendor(
        self, connection: Connection | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> DataCollection:
        """Open the vendor's API with a connection's token, or without one for the handshake.

        `sleep` is how the pause before another try is waited for.
        """
        organization = connection.organization_id if connection else None
        return DataCollection(
            self.settings,
            organization_id=organization or "",
            token=token_of(connection, self.sealer) if connection else "",
            transport=self.transport,
            sleep=sleep,
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

    def changed(self, kind: Entity, ids: Iterable[Any], *, account: str | None = None) -> None:
        """Take over what the host changed: `kind` is "agency", "client", "staff" or "appointment".

        To be called after the host's own commit, with ids in the host's own type; what is new,
        deleted or given other agencies counts as changed. In a request the work is done when its
        answer is out, else at once; in either case in a session and a transaction of its own. The
        next pull is due then. Whatever fails is logged; the next run finds it by `updated_at`, and
        where the SELECTs offer none, all but appointments whose notes are older than
        ENSORA_RECHECK_DAYS.

        `account` is the request's unless it is given. Raises ValueError for another kind.
        """
        if kind not in get_args(Entity):
            raise ValueError(f"kind is one of {', '.join(get_args(Entity))}, not {kind!r}")
        app = cast(Any, current_app)._get_current_object()
        whose = state_of(app).host.account() if account is None else account
        work = partial(_take_over, app, whose, kind, list(ids))
        if has_request_context():
            after_this_request(lambda response: _after(response, work))
        else:
            work()

    def available(self) -> bool:
        """Tell whether the person of this request gets the Synchronization button.

        The account has the feature activated, and the person may look at it or connect it.
        """
        state = state_of(current_app)
        actor = state.host.actor()
        if actor is None or not actor.permissions & {"view", "admin"}:
            return False
        return find_connection(state.session, state.host.account()) is not None

    def reports(self) -> dict[str, str]:
        """Return the names of the reports by their slugs: "staff", "clients", "appointments"."""
        host_name = state_of(current_app).settings.host_name
        return {slug: report.name(host_name) for slug, report in REPORTS.items()}

    def report_url(self, slug: str) -> str | None:
        """Return the address of a report, for a link on the host's own page of reports.

        None where the account has not the feature, or the person of this request may not see it.
        """
        state = state_of(current_app)
        actor = state.host.actor()
        if actor is None or not {"view", "report"} <= actor.permissions:
            return None
        if find_connection(state.session, state.host.account()) is None:
            return None
        return url_for("ensora.report", name=slug)

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


def _after(response: Response, work: Callable[[], None]) -> Response:
    # By then the host's session of the request has ended, with all that it holds of the database.
    response.call_on_close(work)
    return response


def _take_over(app: Flask, account: str, kind: Entity, ids: list[Any]) -> None:
    """Bring what stands here of the host's entities up to date; never raises."""
    try:
        # A context of its own has a session of its own; the host's may be in the midst of its work.
        with app.app_context():
            state = state_of(app)
            session = state.session
            connection = find_connection(session, account)
            if connection is None:
                return
            account_id = connection.id
            begin_write(session)
            bring_up_to_date(session, account_id, account, state.host, kind, ids)
            hasten(session, account_id)
            session.commit()
    except Exception as error:
        # The host's save is done, and no fault of ours may look like one of it.
        log.error("changes_not_taken", where=kind, count=len(ids), code=type(error).__name__)
