"""What a change of a mapping would bring about, in numbers and words, before anybody makes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, exists, func, or_, select

from ..automap.trying import notes_of
from ..dialect import as_host_id
from ..host.entities import host_entity
from ..kinds import BY_NAME, NOTE, Kind
from ..models import Mapping, Note, Record, RenderingRow
from ..rendering.withdrawing import Desk
from .depending import people_of


@dataclass
class Foreseen:
    """How many appointments and mappings a change would touch."""

    #: Appointments that lose a note that stands in them; how many of them are rendered.
    withdrawn: int = 0
    rendered: int = 0
    #: Appointments that are locked and keep their note, and so their mapping.
    locked: int = 0
    #: Kind -> automatic mappings that are tried again, beside those of withdrawn notes.
    again: Counter[str] = field(default_factory=Counter)
    #: Kind -> mappings of people, which stay.
    kept: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.withdrawn or self.locked or self.again or self.kept)


def foresee(desk: Desk, kind: Kind, record: Record) -> Foreseen:
    """Return what letting go of a record's mapping would bring about; reads only."""
    found = Foreseen()
    if kind is NOTE:
        own = Foreseen()
        _count_notes(desk, Mapping.vendor_id == record.vendor_id, own, people_stay=False)
        found.withdrawn, found.rendered, found.locked = own.withdrawn, own.rendered, own.locked
        return found
    stands = [notes_of(kind, [record.vendor_id])]
    for person, people in people_of(desk, kind, record).items():
        _count_people(desk, person, people, found)
        released = select(Mapping.vendor_id).where(
            Mapping.account_id == desk.account_id,
            Mapping.kind == person.name,
            Mapping.state == "auto",
            Mapping.vendor_id.in_(people),
        )
        stands.append(notes_of(person, released))
    notes = select(Note.vendor_id).where(Note.account_id == desk.account_id, or_(*stands))
    _count_notes(desk, Mapping.vendor_id.in_(notes), found)
    return found


def _count_notes(desk: Desk, which: Any, found: Foreseen, *, people_stay: bool = True) -> None:
    appointment = host_entity(desk.host, desk.account, NOTE)
    applied = exists().where(
        RenderingRow.account_id == Mapping.account_id,
        RenderingRow.note_id == Mapping.vendor_id,
        RenderingRow.appointment_id == Mapping.host_id,
        RenderingRow.applied,
    )
    standing = (
        select(
            Mapping.state,
            applied.label("applied"),
            appointment.c.locked.label("locked"),
            appointment.c.rendered.label("rendered"),
        )
        .outerjoin(appointment, appointment.c.id == as_host_id(Mapping.host_id, appointment.c.id))
        .where(
            Mapping.account_id == desk.account_id,
            Mapping.kind == NOTE.name,
            Mapping.host_id.is_not(None),
            which,
        )
        .subquery("standing")
    )
    columns = list(standing.c)
    rows: Any = desk.session.execute(select(*columns, func.count()).group_by(*columns))
    for state, applied_, locked, rendered, count in rows:
        if state != "auto" and people_stay:
            found.kept[NOTE.name] += count
        elif not applied_:
            found.again[NOTE.name] += count
        elif locked:
            found.locked += count
        else:
            found.withdrawn += count
            found.rendered += count if rendered else 0


def _count_people(desk: Desk, of: Kind, vendor_ids: Any, found: Foreseen) -> None:
    rows = desk.session.execute(
        select(Mapping.state, func.count())
        .where(
            and_(Mapping.account_id == desk.account_id, Mapping.kind == of.name),
            or_(Mapping.state == "auto", Mapping.state == "user"),
            Mapping.vendor_id.in_(vendor_ids),
        )
        .group_by(Mapping.state)
    )
    for state, count in rows:
        (found.again if state == "auto" else found.kept)[of.name] += count


def in_words(found: Foreseen) -> str:
    """Say what would happen, in full sentences; empty where nothing would."""
    told = []
    if found.withdrawn:
        lose = "loses its note" if found.withdrawn == 1 else "lose their note"
        told.append(f"{_so_many(found.withdrawn, 'appointment')} {lose}{_of_them(found)}")
    if found.locked:
        stay = "is locked and stays" if found.locked == 1 else "are locked and stay"
        told.append(f"{_so_many(found.locked, 'appointment')} {stay}")
    for name, count in found.again.items():
        told.append(f"{_so_many(count, _noun(name))} {'is' if count == 1 else 'are'} tried again")
    for name, count in found.kept.items():
        stays = "stays" if count == 1 else "stay"
        told.append(f"{_so_many(count, _noun(name))} that a person mapped {stays}")
    return " ".join(f"{sentence}." for sentence in told)


def _of_them(found: Foreseen) -> str:
    if not found.rendered:
        return ""
    which = "it is" if found.withdrawn == 1 else f"{found.rendered:,} of them rendered"
    return f" ({which}{' rendered' if found.withdrawn == 1 else ''}, which is taken back)"


def _so_many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _noun(name: str) -> str:
    return BY_NAME[name].noun.lower()
