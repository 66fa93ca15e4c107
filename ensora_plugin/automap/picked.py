"""The appointments that therapists picked in the vendor's app, where the customer matches sessions.

A pick is sound where the appointment is eligible, free, of the note's client, staff and agency, and
no person rejected the pair; its day and its times are the therapist's to know. A sound pick is a
sure suggestion, and maps by itself where the account says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, union
from sqlalchemy.orm import aliased

from ..bulk import insert_rows
from ..dialect import as_text
from ..host.ids import of_ids
from ..kinds import NOTE
from ..models import Mapping, Note, Rejected
from .note_reasons import why_no_people
from .note_tables import Pass
from .outcome import auto_mappings
from .trying import mark, notes_by_id, tried_rows

#: So many notes are looked at a time.
_AT_ONCE = 500

_mapped = aliased(Note, name="mapped_note")


def look_at_picks(this: Pass, *, maps: bool) -> bool:
    """Let the pass try the notes whose picks became sound, or are sound no more.

    `maps`: whether sound picks map, by this pass. Where two notes pick one appointment, neither
    does. Returns whether there is anything new to try.
    """
    session, account_id = this.session, this.account_id
    any_new = False
    for notes in _open_picks(this):
        sound = sound_picks(this, notes)
        pickers = Counter(sound.values())
        once = {note: picked for note, picked in sound.items() if pickers[picked] == 1}
        made = once if maps else {}
        mappings = auto_mappings(account_id, NOTE, this.run_id, made)
        insert_rows(session, Mapping.__table__, mappings)
        other = [
            note.note_id
            for note in notes
            if note.told
            and note.touched != this.generation
            and (note.nearest == note.picked) != (note.vendor_id in sound)
        ]
        if made or other:
            again = or_(Note.id.in_(other), Note.vendor_id.in_(made), _beside(account_id, made))
            mark(session, account_id, again, this.generation)
            any_new = True
    return any_new


def sound_picks(this: Pass, notes: Iterable[Any]) -> dict[str, str]:
    """Return note -> appointment of those unmapped notes whose picks are sound."""
    asked = [note for note in notes if note.picked is not None and why_no_people(note) is None]
    found: dict[str, str] = {}
    for at in range(0, len(asked), _AT_ONCE):
        found |= _sound(this, asked[at : at + _AT_ONCE])
    return found


def _open_picks(this: Pass) -> Iterator[list[Any]]:
    """Yield the notes that have a pick and no mapping, those of one appointment together."""
    own = Note.account_id == this.account_id, Note.picked.is_not(None)
    waiting = select(Note.id).where(*own, Note.why.is_not(None))
    new = select(Note.id).where(*own, Note.touched == this.generation)
    ids = union(waiting, new)
    if this.session.execute(ids.limit(1)).first() is None:
        return
    rows = (
        tried_rows(this, notes_by_id(ids))
        .add_columns(Note.nearest, Note.touched)
        .order_by(Note.picked, Note.id)
    )
    options = {"yield_per": _AT_ONCE}
    found = this.session.connection().execute(rows, execution_options=options)
    together: list[Any] = []
    for _, notes in groupby(found, key=attrgetter("picked")):
        together += (note for note in notes if note.own is None)
        if len(together) >= _AT_ONCE:
            yield together
            together = []
    yield together


def _beside(account_id: int, vendor_ids: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a note does not map, and is of the student and user of some note:
    on which day the appointments picked for them are, the notes do not tell.
    """
    theirs = exists().where(
        _mapped.account_id == account_id,
        _mapped.vendor_id.in_(vendor_ids),
        _mapped.student_id == Note.student_id,
        _mapped.user_id == Note.user_id,
    )
    return and_(Note.why.is_not(None), theirs)


def _sound(this: Pass, notes: Sequence[Any]) -> dict[str, str]:
    session, account_id = this.session, this.account_id
    own = Mapping.account_id == account_id, Mapping.kind == NOTE.name
    picked = of_ids(session, this.appointment, {note.picked for note in notes})
    a = picked.subquery("picked_appointment").c
    host_id = as_text(a.id)
    free = session.execute(
        select(host_id.label("host_id"), a.client_id, a.staff_id, a.agency_id).where(
            a.eligible, ~exists().where(*own, Mapping.host_id == host_id)
        )
    )
    people = {row.host_id: (row.client_id, row.staff_id, row.agency_id) for row in free}
    rejected = session.execute(
        select(Rejected.vendor_id, Rejected.host_id).where(
            Rejected.account_id == account_id,
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
