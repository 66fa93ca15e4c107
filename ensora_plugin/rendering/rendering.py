"""Mapped notes -> verbs of the host: all that are due in a run, or one that a person asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, join, select, tuple_, update
from sqlalchemy.orm import Session

from ..clock import utcnow
from ..database import forget_plans
from ..dialect import as_host_id, pinned_join
from ..errors import Busy, NotAllowed
from ..joins import mapping_of, rendering_of_version
from ..kinds import NOTE
from ..models import Mapping, Note, RenderingRow
from .applying import Work, apply_note, to_render

_BATCH = 500
#: So many waiting ones are sorted for each batch.
_FEW = 5000


@dataclass
class Rendered:
    """What a pass did; `unchanged` are the rows of refusals that stay as they were, `held` counts
    notes whose mapping somebody was changing just then.
    """

    rendered: int = 0
    refused: int = 0
    held: int = 0
    unchanged: list[int] = field(default_factory=list)


def render_due(work: Work, result: Rendered) -> None:
    """Render every mapped note whose version was not rendered yet, in the order of their sessions,
    those first that were never tried; commits each. What was done stands in `result`, also where
    the pass is left early.
    """
    for row in _due(work):
        try:
            state = apply_note(work, row.vendor_id, row.host_id, row.appointment_id)
        except Busy:
            # It stays marked for the next run.
            result.held += 1
            continue
        if state is None:
            if row.rendering_id is not None:
                result.unchanged.append(row.rendering_id)
        elif state == "rendered":
            result.rendered += 1
        else:
            result.refused += 1
    _clear_marks(work)


def remember_asked(session: Session, run_id: int, asked: Sequence[int]) -> None:
    """Write down which refusals a run found unchanged, so that it goes on behind them after it let
    others go first.
    """
    for start in range(0, len(asked), _BATCH):
        some = RenderingRow.id.in_(asked[start : start + _BATCH])
        session.execute(
            update(RenderingRow)
            .where(some, to_render())
            .values(run_id=run_id, by=None, at=utcnow())
            .execution_options(synchronize_session=False)
        )


def render_now(work: Work, record_id: int) -> str | None:
    """Render one note by its record's id because a person asks; commits. `work.by` names them.

    What somebody took back in the host by hand is rendered again as well. Return the new state,
    None where nothing changed. Raises `NotAllowed` where there is nothing to render, and `Busy`
    where somebody is changing its mapping just now.
    """
    found = work.session.execute(
        _mapped(work).add_columns(Note.status).where(Note.id == record_id)
    ).first()
    work.session.rollback()
    if found is None:
        raise NotAllowed("The note is mapped to no appointment that is still there.")
    if found.status != "published":
        raise NotAllowed("The note is not published; there is nothing to render.")
    return apply_note(work, found.vendor_id, found.host_id, found.appointment_id)


def _mapped(work: Work, records: Any = None) -> Any:
    """SELECT mapped notes with the ids (ours and the host's) of their appointments.

    `records`: notes and their mappings, joined.
    """
    appointment = work.host.appointments(work.account).subquery("appointment")
    return (
        select(
            Note.sort_key,
            Note.id,
            Note.vendor_id,
            Mapping.host_id,
            appointment.c.id.label("appointment_id"),
        )
        .select_from(join(Note, Mapping, mapping_of(NOTE)) if records is None else records)
        .join(appointment, appointment.c.id == as_host_id(Mapping.host_id, appointment.c.id))
        .where(Note.account_id == work.account_id)
    )


def _due(work: Work) -> Iterator[Any]:
    """Yield note id, appointment id (ours and the host's) of what is to be rendered."""
    waiting = select(Mapping.id).where(_unrendered(work)).limit(_FEW + 1).subquery()
    count = work.session.scalar(select(func.count()).select_from(waiting)) or 0
    if not count:
        work.session.rollback()
        return
    # Few are found by their mappings; among many a page costs the same wherever it lies only by
    # the index of notes that lists use.
    first, then = (Mapping, Note) if count <= _FEW else (Note, Mapping)
    records = pinned_join(first.__table__, then.__table__, mapping_of(NOTE))
    done = rendering_of_version(Mapping.host_id)
    statement = (
        _mapped(work, records)
        .add_columns(RenderingRow.id.label("rendering_id"))
        .outerjoin(RenderingRow, done)
        .where(_unrendered(work), Note.status == "published")
        # Day and start.
        .order_by(Note.sort_key, Note.id)
        .limit(_BATCH)
    )
    # A run may be ended early and begun anew: many refusals keep no new note waiting.
    untried = RenderingRow.id.is_(None)
    yield from _pages(work, statement.where(untried))
    # What this run tried already, also before it let others go first, is not tried twice.
    before = RenderingRow.run_id.is_distinct_from(work.run_id or 0)
    yield from _pages(work, statement.where(~untried, to_render(), before))


def _pages(work: Work, statement: Any) -> Iterator[Any]:
    after: tuple[Any, ...] | None = None
    while True:
        page = statement
        if after is not None:
            page = page.where(tuple_(Note.sort_key, Note.id) > tuple_(*after))
        rows = work.session.execute(page).all()
        # The tables that a batch fills are planned for as they are by then.
        forget_plans(work.session)
        work.session.rollback()
        yield from rows
        if len(rows) < _BATCH:
            return
        after = tuple(rows[-1][:2])


def _clear_marks(work: Work) -> None:
    """Unmark mappings whose note was rendered as it stands: they were marked for a change of the
    note's record, or of its mapping, that left nothing to render.
    """
    rendered = exists().where(
        Note.account_id == Mapping.account_id,
        Note.vendor_id == Mapping.vendor_id,
        rendering_of_version(Mapping.host_id),
        RenderingRow.state == "rendered",
    )
    marked = select(Mapping.id).where(_unrendered(work), rendered).limit(_FEW)
    while ids := work.session.scalars(marked).all():
        work.begin()
        # Whoever holds one of them may be about to mark it for good reason: that one stays.
        free = select(Mapping.id).where(Mapping.id.in_(ids)).with_for_update(skip_locked=True)
        some = Mapping.id.in_(work.session.scalars(free).all())
        cleared = work.session.execute(
            update(Mapping)
            .where(some, rendered)
            .values(unrendered=False)
            .returning(Mapping.id)
            .execution_options(synchronize_session=False)
        ).all()
        work.session.commit()
        if not cleared:
            break
    work.session.rollback()


def _unrendered(work: Work) -> ColumnElement[bool]:
    """The condition that a mapping is of a note that may have something to render."""
    own = Mapping.account_id == work.account_id, Mapping.kind == NOTE.name
    return and_(*own, Mapping.unrendered)
