"""The pop-up of the handshake, and the panel of the pulls."""

from __future__ import annotations

from typing import Any

from flask import abort, request, url_for

from . import runs, schedule
from .connecting import connect
from .errors import EnsoraError, NotAnAdmin
from .forms import ConnectForm
from .htmx import fragment, tell
from .views import may_sync, progress_context, window_page
from .web import bp, look_again, needs, scope_of, state_of_app


@needs("admin")
@bp.get("/connect")
@needs("admin")
def connect_again() -> Any:
    """The pop-up once more, for an account whose connection was lost."""
    return window_page("connect_page.html", form=ConnectForm(), may_connect=True)


@bp.post("/connect")
def connect_now() -> Any:
    """Shake hands; what goes wrong is said in the pop-up, with nothing lost but the password."""
    form = ConnectForm()
    if not form.validate_on_submit():
        return fragment("connect.html", 422, form=form, may_connect=scope_of().may("admin"))
    try:
        _shake_hands(form)
    except EnsoraError as error:
        context = {"form": form, "error": str(error), "may_connect": scope_of().may("admin")}
        return fragment("connect.html", 422, **context)
    response = fragment("connected.html")
    response.headers["HX-Redirect"] = url_for("ensora.window")
    return response


def _shake_hands(form: ConnectForm) -> None:
    scope, state = scope_of(), state_of_app()
    if not scope.may("admin"):
        raise NotAnAdmin(
            "You are no administrator here; the handshake needs an Admin of both systems."
        )
    with state.vendor() as vendor:
        connect(
            state.session,
            scope.account,
            vendor,
            state.sealer,
            username=form.username.data,
            password=form.password.data,
            by=scope.actor.name,
        )
    _request_run()


def _request_run() -> None:
    """Make a run, or find the one that is live, and wake a worker for it."""
    scope, state = scope_of(), state_of_app()
    run_id = schedule.request_run(state.session, scope.account_id, scope.actor.name)
    schedule.ring(schedule.open_queue(state.settings.redis_url), run_id, 0)
    look_again()


@bp.post("/sync")
def sync_now() -> Any:
    """Ask for a run now; a double click makes one."""
    if not may_sync():
        abort(403)
    _request_run()
    return fragment("progress.html", polls=0, **progress_context())


@bp.post("/stop")
def stop_run() -> Any:
    """Stop the pull that goes on; what it stored stays, and the next one goes on there."""
    if not may_sync():
        abort(403)
    scope, state = scope_of(), state_of_app()
    runs.ask_to_stop(state.session, scope.account_id, scope.actor.name)
    look_again()
    response = fragment("progress.html", polls=0, **progress_context())
    return tell(response, changed={}, rows={})


@bp.get("/progress")
def progress_panel() -> Any:
    """The panel that polls while a run goes on; its last answer says that the run has ended."""
    polls = request.args.get("polls", type=int, default=0) + 1
    context = progress_context()
    response = fragment("progress.html", polls=polls, **context)
    panel, asked = context["panel"], request.args
    # Counts are taken now and then while a run goes on; rows come anew with each step and at the
    # end. A short run may have ended before it was seen at any step.
    stepped = not panel.live or asked.get("was") != str(panel.step)
    events: dict[str, Any] = {}
    if stepped or asked.get("polls", "").endswith("5"):
        events["changed"] = {}
    if stepped:
        events["rows"] = {}
    return tell(response, **events) if "was" in asked and events else response
