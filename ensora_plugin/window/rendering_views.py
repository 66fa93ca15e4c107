"""Routes of rendering: "Render now" of one row, and the evidence sheet of an appointment."""

from __future__ import annotations

from typing import Any

from flask import abort

from ..clock import utcnow
from ..database import begin_write
from ..errors import Busy, NotAllowed
from ..history import lock_account, write_history
from ..kinds import NOTE
from ..listing.row_icons import why_not_changed
from ..listing.row_words import day_text, moment_text
from ..rendering.applying import Work
from ..rendering.evidence import Evidence, evidence
from ..rendering.rendering import render_now
from .htmx import tell
from .row_views import answer, row_of
from .views import window_page
from .web import ROW, bp, needs, open_kind, scope_of, state_of_app


@bp.post(f"{ROW}/render")
@needs("render")
def render_row(slug: str, record_id: int) -> Any:
    """Ask the host once more to render the note of a row, which may have been refused."""
    kind, scope, state = open_kind(slug), scope_of(), state_of_app()
    row = row_of(kind, record_id)
    if kind is not NOTE:
        abort(404)
    if reason := why_not_changed(row):
        return answer(kind, record_id, 409, message=f"{reason}.")
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
    except (Busy, NotAllowed) as error:
        return answer(kind, record_id, 409, message=str(error))
    return tell(answer(kind, record_id), changed={}, toast={"text": _TOLD[came]})


#: What came of it; the row says in whose words.
_TOLD = {
    "rendered": "Rendered",
    "refused": "Refused; the row says why",
    "failed": "It failed; the row says why",
    None: "Nothing changed",
}


@bp.get("/evidence/<appointment_id>")
@needs("view")
def evidence_sheet(appointment_id: str) -> Any:
    """What proves an appointment's note: to look at, and to print. Who looked is written down."""
    scope, state = scope_of(), state_of_app()
    found = evidence(state.session, scope, state.host, state.sealer, appointment_id[:64])
    if found is None:
        abort(404)
    _remember(found)
    changes = found.changes() if scope.may("audit") else None
    page = found.appointment and state.host.url("appointment", found.appointment.id, "edit")
    return window_page(
        "evidence.html",
        found=found,
        changes=changes,
        appointment_url=page,
        reader=scope.actor.name,
        now=utcnow(),
        moment=moment_text,
        day_text=day_text,
    )


def _remember(found: Evidence) -> None:
    scope, session = scope_of(), state_of_app().session
    begin_write(session)
    lock_account(session, scope.account_id)
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
