"""A row of a tab: what its drop-down offers, and the changes that a person makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, abort, redirect, url_for
from sqlalchemy.exc import IntegrityError

from . import schedule
from .choices import may_choose, options
from .database import begin_write
from .depending import dependents
from .errors import EnsoraError, NotAllowed
from .forms import RowForm
from .htmx import fragment, tell
from .kinds import Kind
from .listing import list_row
from .mapping import lock_account, map_record, unmap_record
from .row_icons import why_not_changed
from .views import views_of
from .web import bp, needs, open_kind, scope_of, search_of, state_of_app
from .withdrawing import Desk

#: A larger number is no id, and no database takes it.
_ID = "int(max=9223372036854775807)"


def _row(kind: Kind, record_id: int) -> Any:
    state = state_of_app()
    row = list_row(state.session, scope_of(), state.host, kind, record_id)
    return row if row is not None else abort(404)


def _row_answer(
    kind: Kind, record_id: int, status: int = 200, message: str = "", *, confirm: str = ""
) -> Response:
    view = views_of(kind, [_row(kind, record_id)])[0]
    return fragment("row.html", status, row=view, message=message, confirm=confirm)


@bp.get(f"/<slug>/<{_ID}:record_id>/options")
@needs("map")
def row_options(slug: str, record_id: int) -> Any:
    """What the drop-down of a row offers for what was typed."""
    kind, state = open_kind(slug), state_of_app()
    row = _row(kind, record_id)
    search = search_of()
    offered = options(state.session, scope_of(), state.host, kind, row[0], search)
    view = views_of(kind, [row])[0]
    return fragment("options.html", row=view, options=offered, search=search)


@bp.post(f"/<slug>/<{_ID}:record_id>/map")
@needs("map")
def map_row(slug: str, record_id: int) -> Any:
    """Map a row to what was chosen in its drop-down."""
    return _change(slug, record_id, _map)


@bp.post(f"/<slug>/<{_ID}:record_id>/unmap")
@needs("map")
def unmap_row(slug: str, record_id: int) -> Any:
    """Delete the mapping of a row."""
    return _change(slug, record_id, _unmap)


@bp.get("/<slug>/created")
@needs("map")
def created(slug: str) -> Any:
    """The way back from a create page of the host: what is to map in the tab."""
    kind = open_kind(slug)
    address = url_for("ensora.tab", slug=kind.slug, show="to-map")
    return redirect(address)


def _change(slug: str, record_id: int, verb: Callable[[Desk, Kind, Any, RowForm], str]) -> Response:
    """Do a change of a row in one transaction and answer with the row as it stands then."""
    kind, scope, state = open_kind(slug), scope_of(), state_of_app()
    form = RowForm()
    if not form.validate_on_submit():
        return _row_answer(kind, record_id, 422, "This could not be read; load the page again.")
    begin_write(state.session)
    desk = Desk(
        state.session, scope.account_id, scope.account, state.host, state.sealer, scope.actor.name
    )
    lock_account(state.session, scope.account_id)
    row = _row(kind, record_id)
    try:
        if reason := why_not_changed(row):
            raise NotAllowed(f"{reason}.")
        told = verb(desk, kind, row[0], form)
    except Consequent as question:
        state.session.rollback()
        return _row_answer(kind, record_id, 409, str(question), confirm=question.host_id)
    except (EnsoraError, IntegrityError) as error:
        state.session.rollback()
        # A database's own words may quote health data; a unique constraint was quicker here.
        said = str(error) if isinstance(error, EnsoraError) else _QUICKER
        return _row_answer(kind, record_id, 409, said)
    schedule.hasten(state.session, scope.account_id)
    state.session.commit()
    return tell(_row_answer(kind, record_id), changed={}, toast={"text": told})


class Consequent(NotAllowed):
    """Raised to ask first: a change has consequences for what depends on the mapping."""

    def __init__(self, depending: int, host_id: str) -> None:
        what = "1 mapping stands" if depending == 1 else f"{depending} mappings stand"
        super().__init__(
            f"{what} on this one. Automatic ones are removed and tried again, and their notes "
            "leave their appointments; what is locked or was mapped by a person stays."
        )
        self.host_id = host_id


_QUICKER = "Somebody else mapped one of the two meanwhile. Look at it as it stands now."


def _map(desk: Desk, kind: Kind, record: Any, form: RowForm) -> str:
    host_id = form.host_id.data or ""
    if not may_choose(desk.session, scope_of(), desk.host, kind, host_id):
        raise NotAllowed(f"There is no such {kind.entity_noun.lower()} in your agencies.")
    depending = dependents(desk, kind, record)
    if depending and not form.confirmed.data and form.seen.data:
        raise Consequent(depending, host_id)
    map_record(desk, kind, record, host_id, seen=form.seen.data)
    return f"{kind.noun} mapped"


def _unmap(desk: Desk, kind: Kind, record: Any, form: RowForm) -> str:
    unmap_record(desk, kind, record, seen=form.seen.data)
    return "Mapping deleted"
