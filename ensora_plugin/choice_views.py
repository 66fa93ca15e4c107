"""What a person asks of a row: what its drop-down offers, and why it does not map."""

from __future__ import annotations

from typing import Any

from .choices import options
from .explain import explain
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
    offered = options(state.session, scope_of(), state.host, kind, row[0], search)
    view = views_of(kind, [row])[0]
    create = any(icon.symbol == "create" and icon.enabled for icon in view.icons)
    return fragment("options.html", row=view, options=offered, search=search, create=create)


@bp.get(f"{ROW}/why")
def row_why(slug: str, record_id: int) -> Any:
    """Why a row does not map, in depth: candidates side by side, fact by fact."""
    kind, state, scope = open_kind(slug), state_of_app(), scope_of()
    row = row_of(kind, record_id)
    told = explain(
        state.session,
        scope.account_id,
        scope.account,
        state.host,
        kind,
        row[0].vendor_id,
        grace=connection_of().grace_minutes or state.settings.grace_minutes,
        agencies=scope.agencies,
    )
    facts = [{fact.label: fact for fact in one.facts} for one in told.candidates]
    vendor = {label: fact.vendor for one in facts for label, fact in one.items()}
    view = views_of(kind, [row])[0]
    return fragment(
        "why.html", row=view, told=told, facts=facts, vendor=vendor, labels=list(vendor)
    )
