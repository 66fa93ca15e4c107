"""The pages of the Synchronization window and the fragments that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from flask import current_app, redirect, render_template, request, session, url_for
from markupsafe import Markup

from ..clock import utcnow
from ..kinds import BY_SLUG, KINDS, NOTE, SITE, Kind
from ..listing import counting
from ..listing.counting import Summary
from ..listing.filters import RENDERINGS, STATES, Filters, orders
from ..listing.listing import list_page
from ..listing.rows import RowView, row_view
from ..runs.guard import losses, total
from .forms import ConnectForm
from .htmx import fragment, replace_address
from .panel import progress
from .web import (
    bp,
    closed,
    connection_of,
    kind_of,
    open_kind,
    places_of_rows,
    scope_of,
    standing_of,
    state_of_app,
)


def filters_of(kind: Kind) -> Filters:
    """Read the filters of the request's address."""
    return Filters.read(kind, request.args)


# What a page shows and a fragment renders comes from the same function.


def _summary() -> Summary:
    scope, state = scope_of(), state_of_app()
    key = (scope.account_id, scope.agencies, scope.may("map"))
    found: Summary = state.counted.get(
        key, standing_of().stamp, lambda: counting.summary(state.session, scope, state.host)
    )
    return found


def _counts(kind: Kind, filters: Filters) -> dict[str, int]:
    """Count what the states of a tab's filters hold; nothing is counted for a search."""
    scope, state = scope_of(), state_of_app()
    if filters.search.strip():
        return {}
    if not filters.narrowed:
        return _summary().counts[kind.name]

    def count() -> dict[str, int]:
        return counting.counts(state.session, scope, kind, filters)

    if filters.rendering:
        # A rendering leaves no stamp.
        return count()
    key = (scope.account_id, scope.agencies, scope.may("map"), kind.name, filters.counted)
    found: dict[str, int] = state.counted.get(key, standing_of().stamp, count)
    return found


def offered_agencies() -> dict[str, str]:
    """Return the actor's agencies by id, to filter by."""
    return _summary().agencies


def tabs_context(current: Kind | None, *, reports: bool = False) -> dict[str, Any]:
    """Return what the tabs show; `reports` says that the page is one of the reports."""
    scope, where = scope_of(), standing_of()
    tabs = [
        {
            "kind": kind,
            "counts": _summary().counts[kind.name],
            "closed": where.open_sites and kind is not SITE,
        }
        for kind in KINDS
        if kind is not SITE or scope.has_agency
    ]
    return {
        "tabs": tabs,
        "current": current,
        "open_sites": where.open_sites,
        "may_report": scope.may("report"),
        "in_reports": reports,
    }


def _states_context(kind: Kind) -> dict[str, Any]:
    filters = filters_of(kind)
    return {
        "kind": kind,
        "filters": filters,
        "states": STATES,
        "counts": _counts(kind, filters),
        "suggested": _summary().suggestions.get(kind.name, 0),
    }


def _bar(kind: Kind) -> str:
    """Return the filters of a tab as its page shows them; those that say what they said are made
    once.
    """
    states = _states_context(kind)
    agencies = _summary().agencies if kind is not SITE else {}
    said = (states["filters"], states["suggested"], *states["counts"].items(), *agencies.items())

    def make() -> str:
        renderings = RENDERINGS if kind is NOTE else {}
        more = {"agencies": agencies, "renderings": renderings, "orders": orders(kind)}
        return render_template("ensora/partials/filters.html", **states, **more)

    key = (url_for("ensora.tab", slug=kind.slug), said)
    bar: str = state_of_app().printed.get(key, None, make)
    return bar


def _rows_context(kind: Kind) -> dict[str, Any]:
    state, scope, filters = state_of_app(), scope_of(), filters_of(kind)
    page = list_page(state.session, scope, state.host, kind, filters)
    return {
        "kind": kind,
        "rows": _printed(kind, page.rows),
        "page": page,
        "filters": filters,
        "total": _counts(kind, filters).get(filters.state),
        "has_agency": scope.has_agency,
    }


def _printed(kind: Kind, rows: list[Any]) -> list[Markup]:
    """Return rows of a list as the page shows them; one that says what it said is made once."""
    scope, pages = scope_of(), _pages_of(kind, rows)
    at = url_for("ensora.tab", slug=kind.slug)
    whose = repr((scope.account_id, scope.agencies, scope.actor, at, *pages)).encode()

    @cache
    def template() -> Any:
        found = current_app.jinja_env.get_template("ensora/partials/row.html")
        return found.make_module({"rows": (), **places_of_rows()})

    def make(number: int) -> Markup:
        view = row_view(rows[number], scope, kind, at=at, pages=pages)
        printed: Markup = template().row_of(view)
        return printed

    # Undo is offered for a day.
    hour = utcnow().replace(minute=0, second=0, microsecond=0)
    return print_once(whose, rows, hour, make)


def print_once(
    whose: bytes, rows: list[Any], stamp: Any, make: Callable[[int], Markup]
) -> list[Markup]:
    """Return rows as a page shows them; `make` makes the one of a number.

    It is kept under all that the row says, as long as the stamp stands; `whose`: what else it
    depends on.
    """
    # A host may have for an id what is no value of MessagePack.
    keys = [whose + msgspec.msgpack.encode(tuple(row), enc_hook=repr) for row in rows]
    printed: list[Markup] = state_of_app().printed.get_all(keys, stamp, make)
    return printed


def views_of(kind: Kind, rows: list[Any]) -> list[RowView]:
    """Return what rows of a list say to the person of the request."""
    scope, at, pages = scope_of(), url_for("ensora.tab", slug=kind.slug), _pages_of(kind, rows)
    return [row_view(row, scope, kind, at=at, pages=pages) for row in rows]


def _pages_of(kind: Kind, rows: list[Any]) -> list[str]:
    """Return for which verbs the host has pages of a kind's entities."""
    mapped = next((row.entity_id for row in rows if row.entity_id is not None), None)
    return [verb for verb, id in (("edit", mapped), ("create", None)) if page_of(kind, id, verb)]


def page_of(kind: Kind, host_id: Any, verb: str, **told: Any) -> str | None:
    """Return the address of the host's page that edits or creates an entity, if it has one."""
    if kind is NOTE:
        return None
    found: str | None = state_of_app().host.url(kind.entity, host_id, verb, **told)
    return found


def may_sync() -> bool:
    """Tell whether the person may ask for a pull."""
    scope = scope_of()
    allowed = scope.may("admin") or (scope.may("map") and scope.has_agency)
    return connection_of().state == "connected" and allowed


def progress_context() -> dict[str, Any]:
    """Return what the panel of the pulls shows."""
    return {
        "panel": progress(state_of_app().session, connection_of(), standing_of().run),
        "may_sync": may_sync(),
        "may_connect": scope_of().may("admin"),
        "polls": 0,
    }


def held_context() -> dict[str, Any]:
    """Return what a pull holds up, empty where nothing is held."""
    connection, state = connection_of(), state_of_app()
    held = connection.held_at is not None
    found = losses(state.session, connection.id, state.settings) if held else []
    may_agree = scope_of().may("admin")
    return {"losses": found, "seen": total(found), "may_agree": may_agree, "message": ""}


def _places() -> list[tuple[str, str, bool]]:
    """Return the pages beside the tabs that the actor may open, with the tabs themselves; last
    whether the request is for one of them.
    """
    scope = scope_of()
    found = [
        (f"ensora.{pages[0]}", words, request.endpoint in {f"ensora.{page}" for page in pages})
        for words, permissions, pages in _PLACES
        if any(map(scope.may, permissions))
    ]
    return found if len(found) > 1 else []


#: Words -> one of which permissions opens them, and the pages, the first of which is linked.
_PLACES = (
    ("Mappings", ("view", "admin"), ("window", "tab", "review")),
    ("Runs", ("admin", "audit"), ("runs",)),
    ("History", ("audit",), ("history",)),
    ("Settings", ("admin",), ("settings", "save_settings", "soap_templates")),
)


def window_page(template: str, **context: Any) -> str:
    """Render a page of the window inside the host's layout."""
    return render_template(
        f"ensora/{template}",
        base=state_of_app().host.base_template,
        connection=connection_of(),
        places=_places(),
        kinds=KINDS,
        **held_context(),
        **context,
    )


@bp.get("/")
def window() -> Any:
    """The address of the Synchronization button: the first open tab, or the pop-up."""
    if connection_of().state == "activated":
        return window_page(
            "connect_page.html", form=ConnectForm(), may_connect=scope_of().may("admin")
        )
    slug = SITE.slug if scope_of().has_agency else KINDS[1].slug
    return redirect(url_for("ensora.tab", slug=slug))


@bp.get("/tabs")
def tabs() -> Any:
    """The tabs with their counts, anew after a change."""
    current = request.args.get("current", "")
    return fragment("tabs.html", **tabs_context(BY_SLUG.get(current), reports=current == "reports"))


@bp.get("/<slug>/")
def tab(slug: str) -> Any:
    """A tab's page; a closed one says how many sites are to be mapped first."""
    kind = kind_of(slug)
    if connection_of().state == "activated":
        return redirect(url_for("ensora.window"))
    context = {**tabs_context(kind), **progress_context(), "polls": 0}
    if closed(kind):
        return window_page("closed.html", kind=kind, **context), 403
    context |= {"bar": _bar(kind)} | _rows_context(kind)
    return window_page("tab.html", notice=session.pop("ensora_notice", None), **context)


@bp.get("/<slug>/states")
def states(slug: str) -> Any:
    """The filters by state with their counts, anew after a change or a search."""
    return fragment("states.html", **_states_context(open_kind(slug)))


@bp.get("/<slug>/rows")
def rows(slug: str) -> Any:
    """The table of a tab by its filters; the address of the page goes with it."""
    kind = open_kind(slug)
    filters = filters_of(kind)
    response = fragment("table.html", **_rows_context(kind))
    place = {"after": filters.after or None, "before": filters.before or None}
    return replace_address(response, url_for("ensora.tab", slug=slug, **filters.address(**place)))
