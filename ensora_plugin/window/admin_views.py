"""The pages beside the tabs: the runs, the history of changes, and the account's settings."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, request, url_for

from ..kinds import BY_SLUG
from ..pull.templates_seen import templates_seen
from .account_settings import change_settings, wider_graces
from .forms import SettingsForm
from .run_log import COUNTS, run_page
from .trail import trail_page
from .views import progress_context, window_page
from .web import bp, connection_of, needs, scope_of, state_of_app


def _before() -> int | None:
    before = request.args.get("before", type=int)
    return before if before is not None and 0 < before < 2**63 else None


@bp.get("/runs/")
def runs() -> Any:
    """The account's runs with their numbers, for administrators and auditors."""
    if not (scope_of().may("admin") or scope_of().may("audit")):
        abort(403)
    page = run_page(state_of_app().session, scope_of().account_id, _before())
    return window_page("runs.html", page=page, columns=COUNTS, **progress_context())


@bp.get("/history/")
@needs("audit")
def history() -> Any:
    """Who changed what, newest first; of one kind or one record where the address says so."""
    kind = BY_SLUG.get(request.args.get("kind", ""))
    record = request.args.get("record", "").replace("\0", "")[:64]
    page = trail_page(
        state_of_app().session, scope_of(), kind=kind, vendor_id=record, before=_before()
    )
    return window_page("history.html", page=page, kind=kind, record=record, **progress_context())


@bp.get("/settings/")
@needs("admin")
def settings() -> Any:
    """The account's own values, with what a wider grace would let match."""
    connection = connection_of()
    form = SettingsForm(
        formdata=None,
        interval=connection.interval_minutes,
        grace=connection.grace_minutes,
        map_picked=connection.map_picked,
    )
    return _settings_page(form, saved=request.args.get("saved") == "1")


@bp.post("/settings/")
@needs("admin")
def save_settings() -> Any:
    """Save them; what cannot be is said beside the field."""
    form = SettingsForm()
    if not form.validate_on_submit():
        return _settings_page(form), 422
    state, scope = state_of_app(), scope_of()
    change_settings(
        state.session,
        scope.account_id,
        state.settings,
        interval=form.interval.data,
        grace=form.grace.data,
        map_picked=form.map_picked.data,
        by=scope.actor.name,
    )
    state.session.commit()
    return redirect(url_for("ensora.settings", saved=1))


@bp.get("/settings/templates")
@needs("admin")
def soap_templates() -> Any:
    """Which SOAP fields each template has, and what is missed for want of the others."""
    seen = templates_seen(state_of_app().session, scope_of().account_id)
    return window_page("templates.html", templates=seen, **progress_context())


def _settings_page(form: SettingsForm, *, saved: bool = False) -> str:
    state, connection = state_of_app(), connection_of()
    default, own = state.settings, connection.grace_minutes
    grace = default.grace_minutes if own is None else own
    return window_page(
        "settings.html",
        form=form,
        saved=saved,
        grace=grace,
        default=default,
        wider=wider_graces(state.session, connection.id, grace),
        **progress_context(),
    )
