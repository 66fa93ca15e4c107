"""The changes that a person makes in a row, and the questions that stand before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, abort
from sqlalchemy.exc import IntegrityError

from ..database import begin_write
from ..errors import EnsoraError, NotAllowed
from ..kinds import Kind
from ..listing.listing import list_row
from ..listing.row_icons import why_not_changed
from ..listing.rows import Ask, RowView
from ..mapping.cases import Case, find_case
from ..mapping.foreseeing import foresee, in_words
from ..mapping.mapping import ignore_record, map_record, unignore_record, unmap_record
from ..mapping.undoing import undo_change
from ..rendering.withdrawing import Desk
from ..runs import schedule
from .forms import RowForm
from .htmx import fragment, tell
from .views import views_of
from .web import ROW, bp, needs, open_kind, scope_of, state_of_app

#: So much of a name is told where there is little room.
_MOST_OF_NAME = 60
_QUICKER = "Somebody else mapped one of the two meanwhile. Look at it as it stands now."


@dataclass(frozen=True)
class Done:
    """What a change did, in words; `undoable` where the row offers to take it back."""

    text: str
    undoable: bool = False

    def said(self, row: RowView) -> str:
        """Return the words for a row as it stands now."""
        return self.text.format(row=_isolated(row.title), entity=_isolated(row.label))


def _isolated(name: str) -> str:
    """Return a name for the midst of a sentence: cut, and in a direction of its own."""
    return f"\u2068{name if len(name) <= _MOST_OF_NAME else f'{name[:_MOST_OF_NAME]}…'}\u2069"


class Consequent(NotAllowed):
    """Raised to ask first: a change has consequences for what depends on the mapping."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask.words)
        self.ask = ask


Verb = Callable[[Desk, Kind, Case, RowForm], Done]


@bp.get(f"{ROW}/row")
def row_alone(slug: str, record_id: int) -> Any:
    """The row as it stands, where a question about it is left unanswered."""
    return answer(open_kind(slug), record_id)


@bp.get(f"{ROW}/ignore")
@needs("map")
def ignore_question(slug: str, record_id: int) -> Any:
    """The row with the question why it is to be ignored, and what that would bring about."""
    kind = open_kind(slug)
    row = row_of(kind, record_id)
    if row.state == "ignored" or why_not_changed(row):
        return answer(kind, record_id)
    words = in_words(foresee(desk_of(), kind, row)) if row.host_id else ""
    button = f"Ignore {kind.noun.lower()}"
    ask = Ask("ignore", words, button, {"seen": row.mapping_version}, reason=True)
    return answer(kind, record_id, ask=ask)


@bp.post(f"{ROW}/map")
@needs("map")
def map_row(slug: str, record_id: int) -> Any:
    """Map a row to what was chosen in its drop-down."""
    return _change(slug, record_id, map_chosen)


@bp.post(f"{ROW}/unmap")
@needs("map")
def unmap_row(slug: str, record_id: int) -> Any:
    """Delete the mapping of a row."""
    return _change(slug, record_id, _unmap)


@bp.post(f"{ROW}/undo")
@needs("map")
def undo_row(slug: str, record_id: int) -> Any:
    """Take the last change of a row back, while it stands unchanged."""
    return _change(slug, record_id, undo_mapping)


@bp.post(f"{ROW}/ignore")
@needs("map")
def ignore_row(slug: str, record_id: int) -> Any:
    """Settle a row as one that needs no mapping, for a reason."""
    return _change(slug, record_id, _ignore)


@bp.post(f"{ROW}/unignore")
@needs("map")
def unignore_row(slug: str, record_id: int) -> Any:
    """Let an ignored row be one to map again."""
    return _change(slug, record_id, _unignore)


def row_of(kind: Kind, record_id: int) -> Any:
    """Return a row that the person sees; 404 else."""
    state = state_of_app()
    row = list_row(state.session, scope_of(), state.host, kind, record_id)
    return row if row is not None else abort(404)


def desk_of() -> Desk:
    """Return where the person of the request works on mappings."""
    scope, state = scope_of(), state_of_app()
    return Desk(
        state.session, scope.account_id, scope.account, state.host, state.sealer, scope.actor.name
    )


def change_row(kind: Kind, record_id: int, verb: Verb, form: RowForm) -> tuple[Done, int]:
    """Do a change of a row in one transaction and commit it.

    Return what was done and the version that Undo names, 0 for none. Raises `EnsoraError` in words,
    with nothing changed.
    """
    session, desk = state_of_app().session, desk_of()
    # The account's row is held from here on.
    begin_write(session, schedule.hastening(desk.account_id))
    case = find_case(desk, scope_of(), kind, record_id, form.host_id.data)
    if case is None:
        abort(404)
    try:
        if reason := why_not_changed(case):
            raise NotAllowed(f"{reason}.")
        done = verb(desk, kind, case, form)
        session.commit()
    except IntegrityError:
        session.rollback()
        # A database's own words may quote health data; a unique constraint was quicker here.
        raise NotAllowed(_QUICKER) from None
    except EnsoraError:
        session.rollback()
        raise
    return done, case.next_version if done.undoable else 0


def _change(slug: str, record_id: int, verb: Verb) -> Response:
    """Do a change and answer with the row as it stands then, or with what is in its way."""
    kind, form = open_kind(slug), RowForm()
    if not form.validate_on_submit():
        said = next(iter(form.reason.errors), "This could not be read; load the page again.")
        return answer(kind, record_id, 422, message=said)
    try:
        done, version = change_row(kind, record_id, verb, form)
    except Consequent as question:
        return answer(kind, record_id, 409, ask=question.ask)
    except EnsoraError as error:
        return answer(kind, record_id, 409, message=str(error))
    view = _view(kind, record_id, undo=version)
    return tell(
        fragment("row.html", rows=[view]),
        changed={},
        toast={"text": done.said(view), "row": record_id if version else 0},
    )


def answer(
    kind: Kind,
    record_id: int,
    status: int = 200,
    *,
    message: str = "",
    ask: Ask | None = None,
) -> Response:
    """Answer with a row as it stands, with what is in the way of a change, or with a question."""
    view = replace(_view(kind, record_id), message=message, ask=ask)
    return fragment("row.html", status, rows=[view])


def _view(kind: Kind, record_id: int, *, undo: int = 0) -> RowView:
    view: RowView = views_of(kind, [row_of(kind, record_id)])[0]
    return replace(view, undo=undo or view.undo)


def map_chosen(desk: Desk, kind: Kind, case: Case, form: RowForm) -> Done:
    """Map a record to what a form names, after a question where that has consequences."""
    if not case.offered:
        raise NotAllowed(f"There is no such {kind.entity_noun.lower()} in your agencies.")
    if form.seen.data:
        _ask_first(desk, kind, case, form, "map", "Map anyway")
    map_record(desk, kind, case.record, form.host_id.data, seen=form.seen.data, case=case)
    return Done("{row} mapped to {entity}", undoable=True)


def _unmap(desk: Desk, kind: Kind, case: Case, form: RowForm) -> Done:
    unmap_record(desk, kind, case.record, seen=form.seen.data, case=case)
    return Done("Mapping deleted", undoable=True)


def undo_mapping(desk: Desk, kind: Kind, case: Case, form: RowForm) -> Done:
    """Take the last change of a mapping back, after a question where that has consequences."""
    _ask_first(desk, kind, case, form, "undo", "Undo anyway")
    undo_change(desk, kind, case.record, version=form.seen.data)
    return Done("Undone")


def _ignore(desk: Desk, kind: Kind, case: Case, form: RowForm) -> Done:
    reason = form.reason.data or ""
    ignore_record(desk, kind, case.record, reason, seen=form.seen.data, case=case)
    return Done(f"{kind.noun} ignored", undoable=True)


def _unignore(desk: Desk, kind: Kind, case: Case, form: RowForm) -> Done:
    unignore_record(desk, kind, case.record, seen=form.seen.data, case=case)
    return Done(f"{kind.noun} is to be mapped again")


def _ask_first(desk: Desk, kind: Kind, case: Case, form: RowForm, verb: str, button: str) -> None:
    """Ask where a change has consequences that the person did not see yet."""
    if form.confirmed.data:
        return
    words = in_words(foresee(desk, kind, case.record))
    if words:
        values = {"seen": form.seen.data, "confirmed": "y"}
        if form.host_id.data:
            values["host_id"] = form.host_id.data
        raise Consequent(Ask(verb, words, button, values))
