"""Random small worlds, for properties of automap: few names, days and times, so that much
collides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

from tests.slow_world import Entity, Person, Session, World

T = TypeVar("T")
Pick = Callable[[Sequence[T]], T]

EAST, CENTRAL, DETROIT = "America/New_York", "America/Chicago", "America/Detroit"
PLACES = ("North", "NORTH ", "South", "Lake")
_PLAIN, _NEXT, _FORWARD, _BACK = (date(2026, *day) for day in ((11, 19), (11, 20), (3, 8), (11, 1)))
#: Days and minutes: at one, where clocks skip or repeat an hour, around midnight.
WHEN = (
    *((_PLAIN, 780),) * 4,
    (_PLAIN, 720),
    (_PLAIN, 1434),
    (_NEXT, 2),
    (_NEXT, 780),
    *((_FORWARD, minute) for minute in (90, 125, 178, 780)),
    *((_BACK, minute) for minute in (62, 90, 390, 780)),
)
SHIFTS = (0, 0, 1, 2, 2, 4, 5, 6, -1, -2, -4)
LENGTHS = (60, 60, 60, 62, 58, 3)
YES_MOSTLY = (True, True, True, False)


#: So many worlds stand in one account at a time; they have nothing in common but the grace.
TOGETHER = 50


def batch_of(seed: int) -> list[World]:
    chance = random.Random(seed)
    grace, one_zone = chance.choice((5, 5, 5, 5, 0, 4, 60)), chance.choice((True, False))
    worlds = [world_of(chance.random(), place, grace, one_zone) for place in range(TOGETHER)]
    if chance.choice((True, False)):
        _pick(worlds, chance)
    return worlds


def _pick(worlds: list[World], chance: random.Random) -> None:
    """Let therapists pick appointments, mostly of the right people; a few ids stand for nothing."""
    picks_map = chance.choice((True, False))
    for world in worlds:
        world.picks_map = picks_map
        ids = [*world.hosts("note"), "0", "' no id"]
        for at, note in enumerate(world.notes):
            if chance.random() < 0.6:
                # The first ones are picked most often, so that two pick the same.
                picked = chance.choice((chance.choice(ids), chance.choice(ids[:2])))
                world.notes[at] = replace(note, picked=picked)


def world_of(seed: float, place: int, grace: int, one_zone: bool) -> World:
    """A world of a few records on both sides, some of them mapped, rejected or ignored already."""
    chance = random.Random(seed)
    pick = chance.choice

    def ids(prefix: str, most: int) -> list[str]:
        return [f"{prefix}{100 * place + n}" for n in range(1, 1 + chance.randint(1, most))]

    many = (EAST, DETROIT, CENTRAL, "Mars/Base", "")
    zones = (EAST,) if one_zone else pick(((EAST,), (EAST, CENTRAL), many))
    agencies = [
        Entity(id, (f"{pick(PLACES)} {place}",), zone=pick([zone for zone in zones if zone]))
        for id in ids("", 3)
    ]
    places = [agency.id for agency in agencies]
    clients = [
        Entity(id, _child(place, pick), frozenset({pick(places)}), pick(YES_MOSTLY))
        for id in ids("", 4)
    ]
    staff = [
        Entity(id, _worker(place, pick), _some(places, pick), pick(YES_MOSTLY)) for id in ids("", 3)
    ]
    sites = [
        Person(id, (f"{pick(PLACES)} {place}",), active=pick(YES_MOSTLY)) for id in ids("site-", 3)
    ]
    names = [site.id for site in sites]
    students = [
        Person(id, _child(place, pick), frozenset({pick(names)}), pick(YES_MOSTLY), pick(zones))
        for id in ids("student-", 4)
    ]
    users = [
        Person(
            id,
            _worker(place, pick),
            _some(names, pick),
            pick(YES_MOSTLY),
            parent=pick((False,) * 4 + (True,)),
        )
        for id in ids("user-", 3)
    ]
    world = World(
        entities={"site": agencies, "student": clients, "user": staff},
        people={"site": sites, "student": students, "user": users},
        appointments=[],
        notes=[],
        grace=grace,
    )
    settled = pick((True, True, False))
    _settle(world, settled, pick)
    narrow = one_zone or (settled and pick((True, True, False)))
    world.appointments += [_session(id, world.entities, narrow, pick) for id in ids("", 6)]
    world.notes += [_session(id, world.people, narrow, pick) for id in ids("note-", 6)]
    _map_notes(world, pick)
    _reject(world, pick)
    return world


def _some(ids: Sequence[str], pick: Pick[Any]) -> frozenset[str]:
    return frozenset(id for id in ids if pick(YES_MOSTLY))


def _child(place: int, pick: Pick[Any]) -> tuple[str, ...]:
    first = pick(("Amir", "amir ", "Zoë", "Zoe\u0308", "Lin", "Bo", ""))
    return first, f"Roe {place}", pick(("2016-02-29",) * 5 + ("2016-03-01",))


def _worker(place: int, pick: Pick[Any]) -> tuple[str, ...]:
    email = pick(("jo@x.example", "JO@x.example", "jo@x.example", ""))
    return pick(("Jo", "JO", "Sam", "Kim")), f"Keller {place}", email


def _settle(world: World, settled: bool, pick: Pick[Any]) -> None:
    """Let persons map some records, in the order in which they stand, and ignore others."""
    for kind, people in world.people.items():
        mostly = settled or kind == "site"
        free = [entity.id for entity in world.entities[kind]]
        for person in people:
            does = pick(("map",) * 16 + ("ignore", "") if mostly else ("map", "ignore", *("",) * 8))
            if does == "ignore":
                world.mappings[kind, person.id] = None
            elif does == "map" and free and not person.parent:
                world.mappings[kind, person.id] = free.pop(0)


def _session(id: str, sides: dict[str, list[Any]], narrow: bool, pick: Pick[Any]) -> Session:
    # The first of each is chosen most often, so that people meet.
    site, student, user = (
        pick([side[0].id] * 14 + [one.id for one in side])
        for side in (sides["site"], sides["student"], sides["user"])
    )
    counts = pick((True, *YES_MOSTLY))
    if id.startswith("note") and pick((False,) * 9 + (True,)):
        return Session(id, (site, student, user), None, 0, 0, counts)
    day, start = WHEN[0] if narrow else pick(WHEN)
    start = min(max(start + pick(SHIFTS), 0), 24 * 60 - 4)
    end = min(start + pick(LENGTHS), 24 * 60 - 1)
    return Session(id, (site, student, user), day, start, end, counts)


def _map_notes(world: World, pick: Pick[Any]) -> None:
    free = [one.id for one in world.appointments]
    for note in world.notes:
        does = pick(("",) * 6 + ("map", "ignore"))
        if does == "map" and free:
            world.mappings["note", note.id] = free.pop(free.index(pick(free)))
        elif does == "ignore":
            world.mappings["note", note.id] = None


def _reject(world: World, pick: Pick[Any]) -> None:
    for _ in range(pick((0, 0, 1, 5))):
        kind = pick(("site", "student", "user", *("note",) * 4))
        records = world.notes if kind == "note" else world.people[kind]
        others = world.appointments if kind == "note" else world.entities[kind]
        if records and others:
            record, other = pick(records).id, pick(others).id
            if world.mappings.get((kind, record)) != other:
                world.rejected.add((kind, record, other))


def halves(world: World, chance: random.Random) -> tuple[World, World]:
    """Cut a world into what is there at first and what comes later, on both sides."""

    def first(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if chance.random() < 0.6]

    # Nothing of the host stands for itself: agencies first, appointments after their people.
    entities = {"site": world.entities["site"]} | {
        kind: first(world.entities[kind]) for kind in ("student", "user")
    }
    known = [{one.id for one in entities[kind]} for kind in ("site", "student", "user")]
    there = World(
        entities=entities,
        people={kind: first(people) for kind, people in world.people.items()},
        appointments=[
            row
            for row in first(world.appointments)
            if all(id in ids for id, ids in zip(row.people, known, strict=True))
        ],
        notes=first(world.notes),
        rejected=world.rejected,
        grace=world.grace,
        picks_map=world.picks_map,
    )
    there.mappings = {
        (kind, record): entity
        for (kind, record), entity in world.mappings.items()
        if record in there.records(kind) and entity in {None, *there.hosts(kind)}
    }
    return there, world.without(there)
