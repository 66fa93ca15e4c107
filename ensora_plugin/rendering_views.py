"""Routes of rendering: "Render now" of one row, and the evidence sheet of an appointment."""

from __future__ import annotations

from typing import Any

from flask import abort

from .applying import Work
from .database import begin_write
from .errors import NotAllowed
from .evidence import Evidence, evidence
from .history import write_history
from .htmx import tell
from .kinds import NOTE
from .rendering import render_now
from .rows import why_not_changed
from .views import _ID, _open_kind, _row, _row_answer, _scope, _state, _window, bp, needs


@bp.post(f"/<slug>/<{_ID}:record_id>/render")
@needs("render")
def render_row(slug: str, record_id: int) -> Any:
    """Ask the host once more to render the note of a row, which may have been refused."""
    kind, scope, state = _open_kind(slug), _scope(), _state()
    row = _row(kind, record_id)
    if kind is not NOTE:
        abort(404)
    if reason := why_not_changed(row):
        return _row_answer(kind, record_id, 409, f"{reason}.")
    work = Work(
        state.session,
        scope.account_id,
        scope.account,
        state.host,
        state.sealer,
        run_id=None,
        still_ours=lambda: None,
        by=scope.actor.name,
    )
    try:
        came = render_now(work, record_id)
    except NotAllowed as error:
        return _row_answer(kind, record_id, 409, str(error))
    told = {"rendered": "Rendered", None: "Nothing changed"}.get(came, "The host refused it")
    return tell(_row_answer(kind, record_id), changed={}, toast={"text": told})


@bp.get("/evidence/<appointment_id>")
@needs("view")
def evidence_sheet(appointment_id: str) -> Any:
    """What proves an appointment's note: to look at, and to print. Who looked is written down."""
    scope, state = _scope(), _state()
    found = evidence(state.session, scope, state.host, state.sealer, appointment_id[:64])
    if found is None:
        abort(404)
    _remember(found)
    changes = found.changes() if scope.may("audit") else None
    return _window("evidence.html", found=found, changes=changes)


def _remember(found: Evidence) -> None:
    scope, session = _scope(), _state().session
    begin_write(session)
    seen = found.standing or found.versions[0]
    write_history(
        session,
        scope.account_id,
        action="view_evidence",
        by=scope.actor.name,
        kind=NOTE.name,
        vendor_id=seen.note_id,
        after={"appointment_id": found.appointment_id, "version": seen.version},
    )
    session.commit()
