"""What a person asks of a row: what its drop-down offers, and why it does not map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import request

from ..database import begin_write
from ..explain.explain import explain
from ..history import lock_account
from ..kinds import Kind
from ..listing.choices import find_at_host, options
from ..listing.rows import RowView
from .htmx import fragment
from .row_views import row_of
from .views import filters_of, views_of
from .web import ROW, bp, connection_of, needs, open_kind, scope_of, state_of_app


@bp.get(f"{ROW}/options")
@needs("map")
def row_options(slug: str, record_id: int) -> Any:
    """What the drop-down of a row offers for what was typed."""
    kind, state = open_kind(slug), state_of_app()
    row = row_of(kind, record_id)
    search = filters_of(kind).search
    offered = options(state.session, scope_of(), state.host, kind, row, search)
    if search and not offered and kind.compared and _found_at_host(kind, search):
        offered = options(state.session, scope_of(), state.host, kind, row, search)
    view = _as_seen(kind, row)
    create = any(icon.symbol == "create" and icon.enabled for icon in view.icons)
    return fragment("options.html", row=view, options=offered, search=search, create=create)


def _as_seen(kind: Kind, row: Any) -> RowView:
    """Return a row with the version that the person has before them: what they choose is refused
    where somebody changed it since.
    """
    view = views_of(kind, [row])[0]
    return replace(view, version=request.args.get("seen", view.version, type=int))


def _found_at_host(kind: Kind, search: str) -> bool:
    """Look once whether the host has what the directory does not know of; commits."""
    state, scope = state_of_app(), scope_of()
    begin_write(state.session)
    lock_account(state.session, scope.account_id)
    found = find_at_host(state.session, scope, state.host, kind, search)
    state.session.commit()
    return found


@bp.get(f"{ROW}/why")
def row_why(slug: str, record_id: int) -> Any:
    """Why a row does not map, in depth: candidates side by side, fact by fact."""
    kind, state, scope = open_kind(slug), state_of_app(), scope_of()
    row, grace = row_of(kind, record_id), connection_of().grace_minutes
    told = explain(
        state.session,
        scope.account_id,
        scope.account,
        state.host,
        kind,
        row.vendor_id,
        grace=state.settings.grace_minutes if grace is None else grace,
        agencies=scope.agencies,
    )
    facts = [{fact.label: fact for fact in one.facts} for one in told.candidates]
    vendor = {label: fact.vendor for one in facts for label, fact in one.items()}
    view = _as_seen(kind, row)
    return fragment(
        "why.html", row=view, told=told, facts=facts, vendor=vendor, labels=list(vendor)
    )
