"""The appointments that therapists picked in the vendor's app, where the customer matches sessions.

A pick is sound where the appointment is eligible, free, of the note's client, staff and agency, and
no person rejected the pair; its day and its times are the therapist's to know. A sound pick is a
sure suggestion, and maps by itself where the account says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import exists, func, select, update

from ..bulk import insert_rows
from ..clock import utcnow
from ..dialect import as_text
from ..host.port import native_ids
from ..kinds import NOTE
from ..models import Mapping, Rejected
from .note_reasons import why_no_people
from .note_tables import Tried
from .trying import is_mapped

#: So many notes are looked at a time.
_AT_ONCE = 500


def map_picked(tried: Tried, run_id: int) -> None:
    """Map the tried notes to the appointments picked for them, where the picks are sound.

    Where two notes pick one appointment, neither maps by that.
    """
    t = tried.table.c
    open_picks = t.picked.is_not(None), t.own.is_(None), t.status == "published"
    twice = select(t.picked).where(*open_picks).group_by(t.picked).having(func.count() > 1)
    doubted = set(tried.session.scalars(twice))
    first = select(tried.table).where(*open_picks).order_by(t.note_id).limit(_AT_ONCE)
    notes = tried.session.execute(first).all()
    while notes:
        sound = sound_picks(tried, [note for note in notes if note.picked not in doubted])
        own = {"account_id": tried.account_id, "kind": NOTE.name, "state": "auto"}
        own |= {"run_id": run_id, "at": utcnow()}
        made = [own | {"vendor_id": note, "host_id": picked} for note, picked in sound.items()]
        insert_rows(tried.session, Mapping.__table__, made)
        notes = tried.session.execute(first.where(t.note_id > notes[-1].note_id)).all()
    tried.session.execute(
        update(tried.table).where(*open_picks, is_mapped(tried, t.vendor_id)).values(own=t.picked)
    )


def sound_picks(tried: Tried, notes: Iterable[Any]) -> dict[str, str]:
    """Return note -> appointment of those unmapped notes whose picks are sound."""
    asked = [note for note in notes if note.picked is not None and why_no_people(note) is None]
    found: dict[str, str] = {}
    for at in range(0, len(asked), _AT_ONCE):
        found |= _sound(tried, asked[at : at + _AT_ONCE])
    return found


def _sound(tried: Tried, notes: Sequence[Any]) -> dict[str, str]:
    a, session = tried.appointment.c, tried.session
    host_id = as_text(a.id)
    own = Mapping.account_id == tried.account_id, Mapping.kind == NOTE.name
    free = session.execute(
        select(host_id.label("host_id"), a.client_id, a.staff_id, a.agency_id).where(
            a.id.in_(native_ids(a.id, {note.picked for note in notes})),
            a.eligible,
            ~exists().where(*own, Mapping.host_id == host_id),
        )
    )
    people = {row.host_id: (row.client_id, row.staff_id, row.agency_id) for row in free}
    rejected = session.execute(
        select(Rejected.vendor_id, Rejected.host_id).where(
            Rejected.account_id == tried.account_id,
            Rejected.kind == NOTE.name,
            Rejected.vendor_id.in_([note.vendor_id for note in notes]),
        )
    )
    undone = {(row.vendor_id, row.host_id) for row in rejected}
    return {
        note.vendor_id: note.picked
        for note in notes
        if people.get(note.picked) == (note.client, note.staff, note.agency)
        and (note.vendor_id, note.picked) not in undone
    }
