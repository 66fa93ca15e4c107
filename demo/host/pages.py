"""The site as a whole: its menu, its Settings and Reports pages, and the views behind them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from flask import Flask, abort, current_app, redirect, request, url_for
from flask_admin import Admin, AdminIndexView, BaseView, expose
from flask_admin.theme import BootstrapTheme
from flask_login import current_user
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from . import clock
from .access import may, visible
from .appointments import AppointmentsView
from .entities import EntityView
from .menu import MenuEntry, entries
from .models import Agency, Appointment, Client, Staff, db
from .people import AgenciesView, ClientsView, StaffView
from .rules import CANCELLED, RENDERED, SCHEDULED, SERVICE
from .signin import ask


class Link(NamedTuple):
    """A link of the top bar; `current` marks the section of the current page."""

    title: str
    url: str
    current: bool


class Page(BaseView):
    """A page of the host for everybody who is signed in."""

    def is_accessible(self) -> bool:
        return current_user.is_authenticated

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Response:
        return ask()


class Home(AdminIndexView, Page):
    def is_visible(self) -> bool:
        return False

    @expose("/")
    def index(self) -> Response:
        return redirect(url_for("appointments.index_view" if may("view") else "settings.index"))


class Settings(Page):
    @expose("/")
    def index(self) -> str:
        return self.render("host/settings.html", entries=list(entries("settings")))


class Reports(Page):
    @expose("/")
    def index(self) -> str:
        if not may("report"):
            abort(403)
        since = clock.now().date() - timedelta(days=30)
        return self.render(
            "host/reports.html",
            entries=list(entries("reports")),
            since=since,
            rows=_progress(since),
        )

    def is_visible(self) -> bool:
        return may("report")


def _progress(since: Any) -> list[dict[str, Any]]:
    """Count the service appointments from the day `since` on by agency and status."""
    query = (
        select(Agency.id, Agency.name, Appointment.status, func.count())
        .join(Appointment, Appointment.agency_id == Agency.id)
        .where(visible(Agency, current_user), Appointment.account_id == current_user.account_id)
        .where(Appointment.kind == SERVICE)
        .where(Appointment.date.between(since, clock.now().date()))
        .group_by(Agency.id, Agency.name, Appointment.status)
        .order_by(Agency.name, Agency.id)
    )
    rows: dict[int, dict[str, Any]] = {}
    for id, name, status, count in db.session.execute(query):
        blank = {"id": id, "name": name, SCHEDULED: 0, RENDERED: 0, CANCELLED: 0}
        rows.setdefault(id, blank)[status] = count
    return list(rows.values())


def _agencies_card() -> MenuEntry:
    return MenuEntry(
        "Agencies",
        "Time zones, guardian signatures, and the periods that payroll and billing have locked.",
        url_for("agencies.index_view"),
        may("view"),
    )


def _within(url: str) -> bool:
    return request.path == url or request.path.startswith(url.rstrip("/") + "/")


def top_bar() -> list[Link]:
    """Return the links of the top bar. A page behind a card belongs to the card's section."""
    if not current_user.is_authenticated:
        return []
    items = [
        item
        for item in current_app.extensions["admin"][0].menu()
        if item.is_accessible() and item.is_visible()
    ]
    here = next((item.name for item in items if _within(item.get_url())), None) or _section()
    return [Link(item.name, item.get_url(), item.name == here) for item in items]


def _section() -> str | None:
    """Return the name of the section that has a card for the current page."""
    for section in current_app.extensions["host_menu"]:
        if any(_within(card.url) for card in entries(section)):
            return section.capitalize()
    return None


def init_app(app: Flask) -> None:
    """Add every page of the site to `app`."""
    app.extensions["host_menu"] = {"settings": [_agencies_card], "reports": []}
    app.extensions["host_links"] = []
    theme = BootstrapTheme(folder="bootstrap4", base_template="host/base.html")
    admin = Admin(app, name="Practice Admin", url="/", index_view=Home(url="/"), theme=theme)
    views: tuple[tuple[type[EntityView], Any, str], ...] = (
        (ClientsView, Client, "clients"),
        (StaffView, Staff, "staff"),
        (AppointmentsView, Appointment, "appointments"),
        (AgenciesView, Agency, "agencies"),
    )
    for view, model, endpoint in views:
        admin.add_view(view(model, endpoint.capitalize(), endpoint))
    admin.add_view(Reports(name="Reports", endpoint="reports"))
    admin.add_view(Settings(name="Settings", endpoint="settings"))
    app.context_processor(lambda: {"top_bar": top_bar, "may": may})
