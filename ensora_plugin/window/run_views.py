"""The panel of the pulls: asked for, followed, stopped, and let go on where one is held."""

from __future__ import annotations

from typing import Any

from flask import abort, request

from ..errors import NotAllowed
from ..runs import schedule
from ..runs.guard import agree
from ..runs.runs import ask_to_stop
from .htmx import fragment, tell
from .views import held_context, may_sync, progress_context
from .web import bp, look_again, needs, scope_of, state_of_app


def request_run() -> None:
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
    request_run()
    return fragment("progress.html", **progress_context())


@bp.post("/stop")
def stop_run() -> Any:
    """Stop the pull that goes on; what it stored stays, and the next one goes on there."""
    if not may_sync():
        abort(403)
    scope, state = scope_of(), state_of_app()
    interval = state.settings.interval_minutes
    ask_to_stop(state.session, scope.account_id, scope.actor.name, interval=interval)
    look_again()
    return tell(fragment("progress.html", **progress_context()), changed={}, rows={})


@bp.get("/progress")
def progress_panel() -> Any:
    """The panel that polls while a run goes on; its last answer says that the run has ended."""
    polls = request.args.get("polls", type=int, default=0) + 1
    context = progress_context() | {"polls": polls}
    response = fragment("progress.html", **context)
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


@bp.get("/held")
def held() -> Any:
    """What a pull took away beyond the share that needs nobody's agreement."""
    return fragment("held.html", **held_context())


@bp.post("/held")
@needs("admin")
def agree_to_held() -> Any:
    """Let mapping and rendering go on, as long as the numbers are those that the person saw."""
    scope, state = scope_of(), state_of_app()
    try:
        seen = request.form.get("seen", type=int, default=0)
        agree(state.session, scope.account_id, state.settings, by=scope.actor.name, seen=seen)
        state.session.commit()
    except NotAllowed as error:
        state.session.rollback()
        return fragment("held.html", 409, **held_context() | {"message": str(error)})
    request_run()
    return tell(fragment("held.html", **held_context()), run={})
