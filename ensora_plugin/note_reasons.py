"""Why a tried note does not map, written beside it with the nearest appointment and the minutes
apart.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import Any

from sqlalchemy import and_, bindparam, func, select, update

from .automap import Mapped, Why
from .database import AnySession, pinned_join
from .kinds import NOTE
from .matching import Span, changes_that_day, minutes_apart, zone
from .models import Mapping, Note
from .note_candidates import Pair, pairs_apart, pairs_that_day
from .trying import Tried, left_over


def write_note_reasons(tried: Tried, grace: int, result: Mapped) -> None:
    """Write down why tried notes do not map, where that changed; clear it where they map now.

    Counts what is ambiguous in `result`.
    """
    _clear_mapped(tried)
    with left_over(tried) as left:
        changes = _changes(left, grace, result)
    if changes:
        tried.session.connection().execute(_WRITE, changes)
    result.ambiguous = _ambiguous(tried.session, tried.account_id)


def _changes(tried: Tried, grace: int, result: Mapped) -> list[dict[str, Any]]:
    """Return what to write: the reasons that are other than what stands beside the note."""
    pairs: dict[str, list[Pair]] = defaultdict(list)
    # Read again, since the pass may have let others take what is within the grace.
    for pair in chain(pairs_that_day(tried), pairs_apart(tried, grace)):
        pairs[pair.note].append(pair)
    changes = []
    for row in tried.session.execute(_facts(tried)):
        why = _why(row, pairs.get(row.vendor_id, []), grace)
        result.reasons[why.code] = result.reasons.get(why.code, 0) + 1
        if why != Why(row.why, row.why_minutes, row.nearest, row.rival):
            changes.append(
                {
                    "note": row.note_id,
                    "code": why.code,
                    "apart": why.minutes,
                    "near": why.nearest,
                    "by": why.rival,
                }
            )
    return changes


_WRITE = (
    update(Note.__table__)
    .where(Note.id == bindparam("note"))
    .values(
        why=bindparam("code"),
        why_minutes=bindparam("apart"),
        nearest=bindparam("near"),
        rival=bindparam("by"),
    )
)


def _clear_mapped(tried: Tried) -> None:
    """Forget the reasons of notes that map now."""
    t = tried.table.c
    own = and_(
        Mapping.account_id == tried.account_id,
        Mapping.kind == NOTE.name,
        Mapping.vendor_id == t.vendor_id,
    )
    mapped = select(t.note_id).select_from(pinned_join(tried.table, Mapping.__table__, own))
    tried.session.execute(
        update(Note)
        .where(Note.account_id == tried.account_id, Note.why.is_not(None), Note.id.in_(mapped))
        .values(why=None, why_minutes=None, nearest=None, rival=None)
        .execution_options(synchronize_session=False)
    )


def _ambiguous(session: AnySession, account_id: int) -> int:
    return (
        session.scalar(
            select(func.count()).where(Note.account_id == account_id, Note.why == "ambiguous")
        )
        or 0
    )


def _facts(tried: Tried) -> Any:
    t = tried.table.c
    return select(
        t.note_id,
        t.vendor_id,
        t.status,
        t.date,
        t.start,
        t.end,
        t.zone,
        t.client,
        t.staff,
        t.agency,
        t.apart,
        Note.why,
        Note.why_minutes,
        Note.nearest,
        Note.rival,
    ).select_from(pinned_join(tried.table, Note.__table__, Note.id == t.note_id))


def _why(note: Any, pairs: list[Pair], grace: int) -> Why:
    code = _why_no_people(note)
    return Why(code) if code else _why_of_pairs(pairs, grace)


def _why_no_people(note: Any) -> str | None:
    if note.status != "published":
        return "unpublished"
    if note.date is None or _unreadable(note):
        return "unreadable_date_or_time"
    if note.agency is None:
        return "no_site_mapping"
    if note.client is None:
        return "no_client_and_no_staff_mapping" if note.staff is None else "no_client_mapping"
    return "no_staff_mapping" if note.staff is None else None


def _unreadable(note: Any) -> bool:
    """Tell whether the zone, or a time in a gap of it, makes the note's times meaningless."""
    if note.zone is None:
        # The student is not here yet, which is another reason.
        return False
    where = zone(note.zone)
    if where is not None and not changes_that_day(note.date, where):
        return False
    span = Span(note.date, note.start, note.end, note.zone)
    return minutes_apart(span, span) is None


def _why_of_pairs(pairs: list[Pair], grace: int) -> Why:
    if not pairs:
        return Why("no_appointment_that_day")
    eligible = [pair for pair in pairs if pair.eligible]
    if not eligible:
        return _of_nearest("appointment_cancelled", pairs)
    within = [pair for pair in eligible if pair.within(grace)]
    if not within:
        return _of_nearest("outside_the_grace", eligible)
    left = sorted(pair.minutes for pair in within if not pair.rejected)
    if not left:
        return _of_nearest("rejected_by_a_person", within)
    nearest = [pair for pair in within if not pair.rejected and pair.minutes == left[0]]
    if len(nearest) == 1 and (holder := nearest[0].holder):
        return _of_nearest("taken", nearest, holder)
    return _of_nearest("ambiguous", nearest)


def _of_nearest(code: str, pairs: list[Pair], rival: str | None = None) -> Why:
    nearest = min(pairs, key=lambda pair: (pair.minutes, pair.appointment))
    return Why(code, max(nearest.start, nearest.end), nearest.appointment, rival)
