"""The pages of the Synchronization window and the fragments that they are made of."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for

from .access import open_sites
from .columns import sites_of_users
from .forms import ConnectForm
from .guard import losses, total
from .htmx import fragment
from .kinds import BY_SLUG, KINDS, SITE, USER, Kind
from .listing import STATES, Filters, counts, list_page
from .panel import progress
from .rows import RowView, row_view
from .web import bp, closed, connection_of, kind_of, open_kind, scope_of, search_of, state_of_app


def _filters() -> Filters:
    state = request.args.get("show", "all")
    return Filters(
        state=state if state in STATES else "all",
        search=search_of(),
        inactive=request.args.get("inactive") == "1",
        after=request.args.get("after", ""),
        before=request.args.get("before", ""),
    )


# What a page shows and a fragment renders comes from the same function.


def _tabs_context(current: Kind | None) -> dict[str, Any]:
    scope, session = scope_of(), state_of_app().session
    closed = open_sites(session, scope.account_id)
    tabs = [
        {
            "kind": kind,
            "counts": counts(session, scope, kind, inactive=_filters().inactive),
            "closed": closed and kind is not SITE,
        }
        for kind in KINDS
        if kind is not SITE or scope.has_agency
    ]
    return {"tabs": tabs, "current": current, "open_sites": closed}


def _states_context(kind: Kind) -> dict[str, Any]:
    scope, filters = scope_of(), _filters()
    counted = counts(state_of_app().session, scope, kind, inactive=filters.inactive)
    return {"kind": kind, "filters": filters, "states": STATES, "counts": counted}


def _rows_context(kind: Kind) -> dict[str, Any]:
    state, scope, filters = state_of_app(), scope_of(), _filters()
    page = list_page(state.session, scope, state.host, kind, filters)
    return {
        "kind": kind,
        "rows": views_of(kind, page.rows),
        "page": page,
        "filters": filters,
        "has_agency": scope.has_agency,
    }


def views_of(kind: Kind, rows: list[Any]) -> list[RowView]:
    state, scope = state_of_app(), scope_of()
    sites = {}
    if kind is USER:
        sites = sites_of_users(state.session, scope, [row[0].vendor_id for row in rows])
    back = url_for("ensora.created", slug=kind.slug)
    return [row_view(row, scope, state.host, kind, sites=sites, back=back) for row in rows]


def may_sync() -> bool:
    scope = scope_of()
    allowed = scope.may("admin") or (scope.may("map") and scope.has_agency)
    return connection_of().state == "connected" and allowed


def progress_context() -> dict[str, Any]:
    return {
        "panel": progress(state_of_app().session, connection_of()),
        "may_sync": may_sync(),
        "may_connect": scope_of().may("admin"),
    }


def held_context() -> dict[str, Any]:
    """Return what a pull holds up, empty where nothing is held."""
    connection, state = connection_of(), state_of_app()
    held = connection.held_at is not None
    found = losses(state.session, connection.id, state.settings) if held else []
    return {"losses": found, "seen": total(found), "may_agree": scope_of().may("admin")}


def _places() -> list[tuple[str, str]]:
    """Return the pages beside the tabs that the actor may open, with the tabs themselves."""
    scope = scope_of()
    allowed = {
        ("ensora.runs", "Runs"): ("admin", "audit"),
        ("ensora.history", "History"): ("audit",),
        ("ensora.settings", "Settings"): ("admin",),
    }
    found = [place for place, any_of in allowed.items() if any(map(scope.may, any_of))]
    return [("ensora.window", "Mappings"), *found] if found else []


def window_page(template: str, **context: Any) -> str:
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
    return fragment("tabs.html", **_tabs_context(BY_SLUG.get(request.args.get("current", ""))))


@bp.get("/<slug>/")
def tab(slug: str) -> Any:
    """A tab's page; a closed one says how many sites are to be mapped first."""
    kind = kind_of(slug)
    if connection_of().state == "activated":
        return redirect(url_for("ensora.window"))
    context = {**_tabs_context(kind), **progress_context()}
    if closed(kind):
        return window_page("closed.html", kind=kind, **context), 403
    context |= _states_context(kind) | _rows_context(kind)
    return window_page("tab.html", **context)


@bp.get("/<slug>/states")
def states(slug: str) -> Any:
    """The filters by state with their counts, anew after a change."""
    return fragment("states.html", **_states_context(open_kind(slug)))


@bp.get("/<slug>/rows")
def rows(slug: str) -> Any:
    """The table of a tab by its filters."""
    return fragment("table.html", **_rows_context(open_kind(slug)))
