"""Files of a report: at once where they are small, by a worker with a page that follows it."""

from __future__ import annotations

import os
from datetime import date, timedelta
from typing import IO, Any

from flask import Response, abort, redirect, request, send_file, stream_with_context, url_for

from ..clock import utcnow
from ..models import Export
from ..runs.schedule import open_queue, ring_export
from ..window.htmx import fragment
from ..window.views import progress_context, tabs_context, window_page
from ..window.web import bp, needs, scope_of, state_of_app
from .choice import Choice
from .exporting import file_name, write_file
from .exports import own_export, pieces_of, request_export
from .files import FORMATS
from .sides import count_of
from .spec import ALL, REPORTS
from .views import choice_of, name_of, report_of, source_of

_EXPORT = "/reports/exports/<int(max=9223372036854775807):export_id>"


@bp.post("/reports/<name>/export")
@needs("report")
def report_export(name: str) -> Any:
    """The file of a choice, or the page of the worker that makes it."""
    choice, form = choice_of(report_of(name)), request.form.get("format", "")
    if form not in FORMATS:
        abort(422)
    source, settings = source_of(choice), state_of_app().settings
    rows = 0 if choice.group else count_of(source, choice.filters)
    if rows > settings.export_rows:
        ends_at = utcnow() + timedelta(hours=settings.export_hours)
        export_id = request_export(source, choice, form, rows, ends_at)
        ring_export(open_queue(settings.redis_url), export_id)
        return redirect(url_for("ensora.export", export_id=export_id), 303)
    file = write_file(source, choice, form, by=scope_of().actor.name)
    return _download(file, name_of(choice.report), form)


def _download(file: IO[bytes], name: str, form: str) -> Response:
    """Answer with a file, to be kept and not to be shown."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    answer = send_file(
        file,
        mimetype=FORMATS[form][1],
        as_attachment=True,
        download_name=file_name(name, form, _today()),
        max_age=0,
    )
    answer.content_length = size
    return answer


def _today() -> date:
    return utcnow().date()


def _own(export_id: int) -> Export:
    return own_export(state_of_app().session, scope_of(), export_id) or abort(404)


def _context(export: Export) -> dict[str, Any]:
    report = REPORTS[export.report]
    choice = Choice.read(report, export.choice, _today())
    return {"export": export, "report": report, "choice": choice, "name": name_of(report)}


@bp.get(f"{_EXPORT}/")
@needs("report")
def export(export_id: int) -> Any:
    """The page of a large file: how far it is, and its link when it is made."""
    context = _context(_own(export_id))
    return window_page(
        "export.html",
        reports=ALL,
        **tabs_context(None, reports=True),
        **progress_context(),
        **context,
    )


@bp.get(f"{_EXPORT}/progress")
@needs("report")
def export_progress(export_id: int) -> Any:
    """How far a large file is; polls until it is made."""
    return fragment("export.html", **_context(_own(export_id)))


@bp.get(f"{_EXPORT}/file")
@needs("report")
def export_file(export_id: int) -> Any:
    """A large file that is made, for whoever asked for it."""
    export, state = _own(export_id), state_of_app()
    if export.state != "done":
        abort(404)
    name = file_name(name_of(REPORTS[export.report]), export.form, _today())
    pieces = pieces_of(state.session, state.sealer, export)
    answer = Response(stream_with_context(pieces), mimetype=FORMATS[export.form][1])
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    answer.content_length = export.size
    return answer
