"""Many suggestions at once: each confirmed by itself, with what came of it, and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response, request
from sqlalchemy.exc import InternalError, OperationalError
from werkzeug.exceptions import NotFound

from ..errors import EnsoraError, NotAllowed
from ..kinds import Kind
from ..listing.listing import list_some
from ..listing.rows import RowView
from ..listing.suggestions import PAGE, is_clear, suggestions
from ..mapping.cases import Case
from ..rendering.withdrawing import Desk
from .forms import RowForm
from .htmx import fragment, tell
from .row_views import Done, Verb, change_row, map_chosen, undo_mapping
from .views import progress_context, tabs_context, views_of, window_page
from .web import bp, connection_of, needs, open_kind, scope_of, state_of_app

_BUSY = "The system is busy; nothing was changed here. Try again in a moment."


@dataclass(frozen=True)
class Outcome:
    """What came of a record: what stands in its way, or the version that Undo names."""

    view: RowView
    error: str
    version: int


@bp.get("/<slug>/suggestions")
@needs("map")
def review(slug: str) -> Any:
    """The records that one entity comes near to, to be confirmed together."""
    kind = open_kind(slug)
    state, scope, connection = state_of_app(), scope_of(), connection_of()
    grace = connection.grace_minutes
    told = (state.session, scope, state.host, kind)
    rows = list_some(*told, suggestions(*told))
    grace = state.settings.grace_minutes if grace is None else grace
    clear = {row.id for row in rows if is_clear(*told, row, grace=grace)}
    return window_page(
        "suggestions.html",
        kind=kind,
        views=views_of(kind, rows),
        clear=clear,
        **tabs_context(kind),
        **progress_context(),
    )


@bp.post("/<slug>/suggestions")
@needs("map")
def confirm_suggestions(slug: str) -> Response:
    """Map what was chosen, each record in a transaction of its own."""
    kind = open_kind(slug)
    forms = {id: _form(seen=0, host_id=host_id) for id, host_id in _chosen()}
    return _report(kind, _map_suggested, forms, "mapped")


def _map_suggested(desk: Desk, kind: Kind, case: Case, form: RowForm) -> Done:
    """Map a pair that was suggested, unless somebody undid it since."""
    if case.rejected:
        raise NotAllowed("Somebody undid this pair meanwhile; choose it in its row if it is right.")
    return map_chosen(desk, kind, case, form)


@bp.post("/<slug>/suggestions/undo")
@needs("map")
def undo_suggestions(slug: str) -> Response:
    """Take back what was confirmed together, as far as it stands unchanged."""
    kind = open_kind(slug)
    forms = {id: _form(seen=int(version)) for id, version in _chosen() if version.isdecimal()}
    return _report(kind, undo_mapping, forms, "undone")


def _chosen() -> list[tuple[int, str]]:
    """Return the records that a form names, each with what stands behind its colon."""
    told = [one.partition(":") for one in request.form.getlist("chosen")[:PAGE]]
    return [(int(id), value[:64]) for id, _, value in told if id.isdecimal() and len(id) < 19]


def _form(**values: Any) -> RowForm:
    # The request has shown its token already.
    return RowForm(formdata=None, data=values, meta={"csrf": False})


def _report(kind: Kind, verb: Verb, forms: dict[int, RowForm], done: str) -> Response:
    """Do a change of each record, and answer with what came of them."""
    told: dict[int, tuple[str, int]] = {}
    for record_id, form in forms.items():
        busy = any(error == _BUSY for error, _ in told.values())
        told[record_id] = (_BUSY, 0) if busy else _try(kind, record_id, verb, form)
    state = state_of_app()
    rows = list_some(state.session, scope_of(), state.host, kind, told)
    outcomes = [Outcome(view, *told[view.id]) for view in views_of(kind, rows)]
    right = sum(not outcome.error for outcome in outcomes)
    counts = {"asked": len(told), "right": right}
    return tell(
        fragment("outcomes.html", kind=kind, outcomes=outcomes, done=done, **counts), changed={}
    )


def _try(kind: Kind, record_id: int, verb: Verb, form: RowForm) -> tuple[str, int]:
    """Return what stands in the way of a change, else the version that Undo names."""
    try:
        return "", change_row(kind, record_id, verb, form)[1]
    except EnsoraError as error:
        return str(error), 0
    except NotFound:
        state_of_app().session.rollback()
        return "This is no longer yours to see.", 0
    except (OperationalError, InternalError):
        # What was mapped before stays so, and is told.
        state_of_app().session.rollback()
        return _BUSY, 0
