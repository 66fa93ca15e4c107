"""What the slow matcher works on: one account on both sides, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Entity:
    """An agency, a client or a staff member: its facts, and the agencies that it belongs to."""

    id: str
    facts: tuple[str, ...]
    agencies: frozenset[str] = frozenset()
    active: bool = True
    #: Of an agency: the zone of its appointments.
    zone: str = ""


@dataclass(frozen=True)
class Person:
    """A site, a student or a user: its facts, and its sites."""

    id: str
    facts: tuple[str, ...]
    sites: frozenset[str] = frozenset()
    active: bool = True
    #: Of a student: the zone of their notes.
    zone: str = ""
    parent: bool = False


@dataclass(frozen=True)
class Session:
    """When a note or an appointment is; of a note without a readable time the day is None."""

    id: str
    #: Site, student and user, or agency, client and staff.
    people: tuple[str, str, str]
    day: date | None
    start: int
    end: int
    #: Whether the note is published, or the appointment a service that is not cancelled.
    counts: bool = True
    #: Of a note: the appointment that the therapist picked.
    picked: str | None = None


@dataclass
class World:
    """One account on both sides. `mappings`: (kind, record) -> entity, None where ignored."""

    entities: dict[str, list[Entity]]
    people: dict[str, list[Person]]
    appointments: list[Session]
    notes: list[Session]
    mappings: dict[tuple[str, str], str | None] = field(default_factory=dict)
    rejected: set[tuple[str, str, str]] = field(default_factory=set)
    grace: int = 5
    #: Whether what was picked maps by itself.
    picks_map: bool = False

    def records(self, kind: str) -> list[str]:
        return [one.id for one in (self.notes if kind == "note" else self.people[kind])]

    def hosts(self, kind: str) -> list[str]:
        return [one.id for one in (self.appointments if kind == "note" else self.entities[kind])]

    def without(self, other: World) -> World:
        """Return what the other world lacks of this one, without what persons did."""
        return World(
            entities={
                kind: [one for one in rows if one not in other.entities[kind]]
                for kind, rows in self.entities.items()
            },
            people={
                kind: [one for one in rows if one not in other.people[kind]]
                for kind, rows in self.people.items()
            },
            appointments=[one for one in self.appointments if one not in other.appointments],
            notes=[one for one in self.notes if one not in other.notes],
            grace=self.grace,
            picks_map=self.picks_map,
        )


@dataclass(frozen=True)
class Why:
    code: str
    minutes: int | None = None
    nearest: str | None = None
    rival: str | None = None


@dataclass(frozen=True)
class Candidate:
    """An appointment of a note's people that day, and how far its start and end are."""

    note: str
    appointment: Session
    start: int
    end: int

    @property
    def sum(self) -> int:
        return self.start + self.end

    @property
    def order(self) -> tuple[int, str]:
        return self.sum, self.appointment.id
