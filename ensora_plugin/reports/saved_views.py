"""Routes of the saved views: saved, made one's default, deleted."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, request, session, url_for

from ..clock import utcnow
from ..errors import NotAllowed
from ..window.web import bp, needs, scope_of, state_of_app
from .saved import choose_default, delete_view, find_view, save_view
from .views import choice_of, report_of

_VIEW = "/reports/views/<int(max=2147483647):view_id>"


@bp.post("/reports/<name>/views")
@needs("report")
def view_save(name: str) -> Any:
    """Save what was chosen under a name."""
    choice = choice_of(report_of(name))
    address: dict[str, Any] = choice.address()
    try:
        address["view"] = save_view(
            state_of_app().session,
            scope_of(),
            choice,
            request.form.get("name", ""),
            shared=request.form.get("shared") == "1",
            today=utcnow().date(),
        )
    except NotAllowed as error:
        session["ensora_notice"] = {"text": str(error), "bad": True}
    return redirect(url_for("ensora.report", name=name, **address))


@bp.post(f"{_VIEW}/delete")
@needs("report")
def view_delete(view_id: int) -> Any:
    """Delete a view of one's own, or a shared one as administrator."""
    view = delete_view(state_of_app().session, scope_of(), view_id) or abort(404)
    return redirect(url_for("ensora.report", name=view.report, side="vendor"))


@bp.post(f"{_VIEW}/default")
@needs("report")
def view_default(view_id: int) -> Any:
    """Let its report open with a view, or with it no longer."""
    database, scope = state_of_app().session, scope_of()
    view = find_view(database, scope, view_id) or abort(404)
    report, address = view.report, {**view.choice, "view": view_id}
    chosen = view_id if request.form.get("default") == "1" else None
    choose_default(database, scope, report, chosen)
    return redirect(url_for("ensora.report", name=report, **address))
