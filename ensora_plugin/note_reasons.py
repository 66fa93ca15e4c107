"""Why a tried note does not map, written beside it with the nearest appointment and the minutes
apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, func, select, update

from .automap import Mapped, Why
from .database import AnySession, pinned_join
from .matching import Span, minutes_apart
from .models import Mapping, Note
from .note_candidates import Pair, pairs_that_day
from .trying import Tried, left_over


def write_note_reasons(tried: Tried, grace: int, apart: Iterable[Pair], result: Mapped) -> None:
    """Write down why tried notes do not map, where that changed; clear it where they map now.

    `apart` are the pairs that were read one by one. Counts what is ambiguous in `result`.
    """
    _clear_mapped(tried)
    with left_over(tried) as left:
        changes = _changes(left, grace, apart, result)
    if changes:
        tried.session.connection().execute(_WRITE, changes)
    result.ambiguous = _ambiguous(tried.session, tried.account_id)


def _changes(
    tried: Tried, grace: int, apart: Iterable[Pair], result: Mapped
) -> list[dict[str, Any]]:
    """Return what to write: the reasons that are other than what stands beside the note."""
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs_that_day(tried):
        pairs[pair.note].append(pair)
    for pair in apart:
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
    mapped = select(t.note_id).join(
        Mapping,
        (Mapping.account_id == tried.account_id)
        & (Mapping.kind == "note")
        & (Mapping.vendor_id == t.vendor_id),
    )
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
    if note.date is None or (note.apart and _unreadable(note)):
        return "unreadable_date_or_time"
    if note.agency is None:
        return "no_site_mapping"
    if note.client is None:
        return "no_client_and_no_staff_mapping" if note.staff is None else "no_client_mapping"
    return "no_staff_mapping" if note.staff is None else None


def _unreadable(note: Any) -> bool:
    """Tell whether the zone, or a time in a gap of it, makes the note's times meaningless."""
    span = Span(note.date, note.start, note.end, note.zone)
    return minutes_apart(span, span) is None


def _why_of_pairs(pairs: list[Pair], grace: int) -> Why:
    if not pairs:
        return Why("no_appointment_that_day")
    nearest = min(pairs, key=lambda pair: (not pair.eligible, pair.minutes, pair.appointment))
    told: Any = {"minutes": max(nearest.start, nearest.end), "nearest": nearest.appointment}
    within = [pair for pair in pairs if pair.eligible and pair.within(grace)]
    if not nearest.eligible:
        return Why("appointment_cancelled", **told)
    if not within:
        return Why("outside_the_grace", **told)
    left = sorted((pair for pair in within if not pair.rejected), key=lambda pair: pair.minutes)
    if not left:
        return Why("rejected_by_a_person", **told)
    tied = len(left) > 1 and left[1].minutes == left[0].minutes
    if left[0].holder and not tied:
        return Why("taken", **told, rival=left[0].holder)
    return Why("ambiguous", **told)
