"""Automap, plain and slow, written from the rules alone: every record looks at every other one.

Times are minutes since midnight. `docs/rules.md` decides where the domain is silent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.slow_reading import comparable, readable, same
from tests.slow_suggesting import SUGGESTED, suggested
from tests.slow_world import Candidate, Entity, Person, Session, Why, World

Pairs = set[tuple[str, str]]


class Automap:
    """All mappings of a world after automap, and why each of the other records does not map."""

    def __init__(self, world: World, beside: Iterable[World] = ()) -> None:
        """`beside`: the other worlds of the account, whose entities may be suggested as well."""
        self.world = world
        self.beside = [world, *beside]
        self.mappings = dict(world.mappings)
        self.whys: dict[tuple[str, str], Why] = {}
        for kind in ("site", "student", "user"):
            self._people(kind)
        self._notes()

    def _holder(self, kind: str, entity: str) -> str | None:
        held = [id for (of, id), host in self.mappings.items() if (of, host) == (kind, entity)]
        return held[0] if held else None

    # Sites, students, users.

    def _agencies(self, person: Person) -> set[str | None]:
        return {self.mappings.get(("site", site)) for site in person.sites} - {None}

    def _people(self, kind: str) -> None:
        people, entities = self.world.people[kind], self.world.entities[kind]
        pairs = {(p.id, e.id) for p in people for e in entities if self._equal(kind, p, e)}
        active = {one.id for one in (*people, *entities) if one.active}
        standing = {pair for pair in pairs if not _yields(pair, pairs, active)}
        for person, entity in standing:
            alone = len(_beside((person, entity), standing)) == 1
            free = (kind, person) not in self.mappings and not self._holder(kind, entity)
            if alone and free and (kind, person, entity) not in self.world.rejected:
                self.mappings[kind, person] = entity
        for person in people:
            if (kind, person.id) not in self.mappings and not person.parent:
                self.whys[kind, person.id] = self._why(kind, person, pairs, standing)

    def _equal(self, kind: str, person: Person, entity: Entity) -> bool:
        here = kind == "site" or bool(self._agencies(person) & entity.agencies)
        return here and not person.parent and _same_facts(person, entity)

    def _why(self, kind: str, person: Person, pairs: Pairs, standing: Pairs) -> Why:
        mine = sorted(entity for one, entity in pairs if one == person.id)
        if not mine:
            code = self._why_none(kind, person)
            return Why(code, nearest=self._suggested(kind, person, code))
        left = [entity for entity in mine if (person.id, entity) in standing]
        if len(left) > 1:
            return Why("ambiguous")
        if not left:
            held = [entity for entity in mine if self._holder(kind, entity)]
            return self._taken(kind, held[0]) if held else Why("ambiguous")
        if len(_beside((person.id, left[0]), standing)) > 1:
            return Why("ambiguous", nearest=left[0])
        if (kind, person.id, left[0]) in self.world.rejected:
            return Why("rejected_by_a_person", nearest=left[0])
        return self._taken(kind, left[0])

    def _suggested(self, kind: str, person: Person, code: str) -> str | None:
        if code not in SUGGESTED:
            return None
        entities = [one for world in self.beside for one in world.entities[kind]]
        here = self._agencies(person)
        return suggested(kind, person, entities, here, self.world.rejected)

    def _taken(self, kind: str, entity: str) -> Why:
        return Why("taken", nearest=entity, rival=self._holder(kind, entity))

    def _why_none(self, kind: str, person: Person) -> str:
        if kind == "site":
            return "no_agency_of_that_name"
        if not person.sites:
            return "no_site"
        if not self._agencies(person):
            return "no_site_mapping"
        if not all(same(fact) for fact in person.facts):
            return "empty_name_or_birth_date" if kind == "student" else "empty_name_or_email"
        if any(_same_facts(person, entity) for entity in self.world.entities[kind]):
            return "other_agency"
        return "no_such_client" if kind == "student" else "no_such_staff"

    # Session notes.

    def _notes(self) -> None:
        found = {note.id: list(self._candidates(note)) for note in self.world.notes}
        edges = [
            one
            for note in self.world.notes
            for one in found[note.id]
            if self._competes(note) and self._may(one)
        ]
        while self._map_notes(self._picked_once()) | self._map_notes(self._nearest(edges)):
            pass
        picks = self._sound_picks()
        for note in self.world.notes:
            if ("note", note.id) not in self.mappings:
                why = self._why_note(note, found[note.id])
                self.whys["note", note.id] = replace(why, nearest=picks.get(note.id, why.nearest))

    def _map_notes(self, made: dict[str, str]) -> bool:
        self.mappings |= {("note", note): appointment for note, appointment in made.items()}
        return bool(made)

    def _picked_once(self) -> dict[str, str]:
        if not self.world.picks_map:
            return {}
        picks = self._sound_picks()
        return {note: pick for note, pick in picks.items() if _only(pick, picks)}

    def _sound_picks(self) -> dict[str, str]:
        """What therapists picked for notes that do not map, where it may be meant."""
        rows = {row.id: row for row in self.world.appointments if row.counts}
        return {
            note.id: note.picked
            for note in self.world.notes
            if note.picked in rows
            and note.counts
            and readable(note, self._zone(note))
            and ("note", note.id) not in self.mappings
            and self._mapped_people(note) == rows[note.picked].people
            and not self._holder("note", note.picked)
            and ("note", note.id, note.picked) not in self.world.rejected
        }

    def _mapped_people(self, note: Session) -> tuple[str | None, ...]:
        keys = zip(("site", "student", "user"), note.people, strict=True)
        return tuple(self.mappings.get(key) for key in keys)

    def _competes(self, note: Session) -> bool:
        """A note counts if it may map, or holds an appointment; an ignored one does neither."""
        if ("note", note.id) in self.mappings:
            return self.mappings["note", note.id] is not None
        return note.counts

    def _may(self, one: Candidate) -> bool:
        rejected = ("note", one.note, one.appointment.id) in self.world.rejected
        return one.appointment.counts and self._within(one) and not rejected

    def _within(self, one: Candidate) -> bool:
        return max(one.start, one.end) <= self.world.grace

    def _candidates(self, note: Session) -> Iterable[Candidate]:
        people = self._mapped_people(note)
        for row in self.world.appointments:
            if row.people == people:
                told = comparable(note, self._zone(note), row, self._agency_zone(row))
                if told is not None:
                    start, end, that_day = told
                    one = Candidate(note.id, row, start, end)
                    if that_day or self._within(one):
                        yield one

    def _zone(self, note: Session) -> str:
        return next(one.zone for one in self.world.people["student"] if one.id == note.people[1])

    def _agency_zone(self, row: Session) -> str:
        return next(one.zone for one in self.world.entities["site"] if one.id == row.people[0])

    def _nearest(self, edges: list[Candidate]) -> dict[str, str]:
        """Return the pairs, note -> appointment, that are strictly the nearest for both sides, and
        so on among what is left.

        What is strictly farther than a pair that holds one of its sides is out.
        """
        holding = {id: host for (of, id), host in self.mappings.items() if of == "note" and host}
        made: dict[str, str] = {}
        while True:
            pairs = [one for one in edges if holding.get(one.note) == one.appointment.id]
            left = [
                one
                for one in edges
                if one not in pairs
                and not any(_share(one, pair) and pair.sum < one.sum for pair in pairs)
            ]
            new = [
                one
                for one in left
                if one.note not in holding
                and one.appointment.id not in holding.values()
                and all(one.sum < other.sum for other in left if _share(one, other))
            ]
            if not new:
                return made
            made |= {one.note: one.appointment.id for one in new}
            holding |= made

    def _why_note(self, note: Session, candidates: list[Candidate]) -> Why:
        site, student, user = self._mapped_people(note)
        if not note.counts:
            return Why("unpublished")
        if not readable(note, self._zone(note)):
            return Why("unreadable_date_or_time")
        if not site:
            return Why("no_site_mapping")
        if not student:
            return Why("no_client_mapping" if user else "no_client_and_no_staff_mapping")
        if not user:
            return Why("no_staff_mapping")
        return self._why_candidates(candidates)

    def _why_candidates(self, candidates: list[Candidate]) -> Why:
        if not candidates:
            return Why("no_appointment_that_day")
        eligible = [one for one in candidates if one.appointment.counts]
        if not eligible:
            return _told("appointment_cancelled", candidates)
        within = [one for one in eligible if self._within(one)]
        if not within:
            return _told("outside_the_grace", eligible)
        left = [one for one in within if self._may(one)]
        if not left:
            return _told("rejected_by_a_person", within)
        first = min(left, key=lambda one: one.order)
        tied = sum(one.sum == first.sum for one in left) > 1
        holder = self._holder("note", first.appointment.id)
        if holder and not tied:
            return _told("taken", left, holder)
        return _told("ambiguous", left)


def _only(pick: str, picks: dict[str, str]) -> bool:
    return list(picks.values()).count(pick) == 1


def _told(code: str, candidates: list[Candidate], rival: str | None = None) -> Why:
    first = min(candidates, key=lambda one: one.order)
    return Why(code, max(first.start, first.end), first.appointment.id, rival)


def _same_facts(person: Person, entity: Entity) -> bool:
    facts = zip(person.facts, entity.facts, strict=True)
    return all(same(mine) == same(theirs) != "" for mine, theirs in facts)


def _beside(pair: tuple[str, str], pairs: Pairs) -> Pairs:
    """The pairs that have a side in common with a pair, itself among them."""
    return {other for other in pairs if other[0] == pair[0] or other[1] == pair[1]}


def _yields(pair: tuple[str, str], pairs: Pairs, active: set[str]) -> bool:
    """Whether one of the pair's two is inactive where an active one is equal as well."""
    one, entity = pair
    for_entity = entity not in active and any(a == one and b in active for a, b in pairs)
    return for_entity or (one not in active and any(b == entity and a in active for a, b in pairs))


def _share(one: Candidate, other: Candidate) -> bool:
    """Whether two different candidates have a side in common."""
    if one == other:
        return False
    return one.note == other.note or one.appointment.id == other.appointment.id
