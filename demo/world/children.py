"""Students and clients: who is the same child on both sides, and what keeps the others apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import cycle

from .maker import Maker, Person
from .model import Child, Clinic
from .names import ACCENTED, dressed, typo, without_accents

#: Zones that no agency lies in. In Auckland a session always falls on the next day, and never over
#: midnight.
ELSEWHERE = ("America/Denver", "America/Los_Angeles", "America/Phoenix", "Pacific/Auckland")


def make_children(
    maker: Maker, clinics: list[Clinic], total: int, shares: Mapping[str, int]
) -> list[Child]:
    """Make `total` students with their clients; `shares`: planted case -> how many of a thousand,
    at least one.

    A tenth more clients stand at the host for whom the vendor has no student.
    """
    rounds = cycle(clinics)
    #: A closed period refuses first, so what else would be refused is planted in other clinics.
    unlocked = cycle([clinic for clinic in clinics if clinic.period_locked_until is None])
    children: list[Child] = []
    for case, share in shares.items():
        for _ in range(max(1, round(total * share / 1000))):
            clinic = next(unlocked if case in REFUSED else rounds)
            other = maker.rng.choice([place for place in clinics if place is not clinic])
            children += CASES[case](maker, clinic, other)
    while len(children) < total:
        clinic = next(rounds)
        children += _plain(maker, clinic, clinic)
    for _ in range(total // 10):
        maker.client(next(rounds), maker.child())
    return children


def _plain(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    cover = "renewed" if maker.rng.random() < 0.1 else "ample"
    yield Child(clinic, maker.student(clinic, person), maker.client(clinic, person, cover=cover))


def _dressed(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child(ACCENTED)
    other = Person(dressed(maker.rng, person.first), dressed(maker.rng, person.last), person.born)
    yield Child(clinic, maker.student(clinic, other), maker.client(clinic, person))


def _inactive(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    yield Child(clinic, maker.student(clinic, person, active=False), maker.client(clinic, person))


def _elsewhere(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    zone = maker.rng.choice(ELSEWHERE)
    yield Child(clinic, maker.student(clinic, person, zone=zone), maker.client(clinic, person))


def _refused(cover: str, code: str) -> Callable[[Maker, Clinic, Clinic], Iterator[Child]]:
    def make(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
        person = maker.child()
        client = maker.client(clinic, person, cover=cover)
        yield Child(clinic, maker.student(clinic, person), client, blemish=code)

    return make


def _terminated(days_ago: int, active: bool) -> Callable[[Maker, Clinic, Clinic], Iterator[Child]]:
    def make(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
        person, last_day = maker.child(), maker.today - timedelta(days=days_ago)
        client = maker.client(clinic, person, active=active, terminated_on=last_day)
        yield Child(clinic, maker.student(clinic, person), client, last_day=last_day)

    return make


def _accents_lost(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child(ACCENTED)
    other = person._replace(first=without_accents(person.first))
    client = maker.client(clinic, person)
    yield Child(clinic, maker.student(clinic, other), client, "no_such_client")


def _typo(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    other = person._replace(last=typo(maker.rng, person.last))
    client = maker.client(clinic, person)
    yield Child(clinic, maker.student(clinic, other), client, "no_such_client")


def _wrong_birth_date(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    other = person._replace(born=person.born - timedelta(days=maker.rng.choice((1, 9, 365))))
    client = maker.client(clinic, person)
    yield Child(clinic, maker.student(clinic, other), client, "no_such_client")


def _unknown(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    yield Child(clinic, maker.student(clinic, maker.child()), None, "no_such_client")


def _vendor_twins(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    client = maker.client(clinic, person)
    for _twin in range(2):
        yield Child(clinic, maker.student(clinic, person), client, "ambiguous")


def _host_twins(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    client, _twin = maker.client(clinic, person), maker.client(clinic, person)
    yield Child(clinic, maker.student(clinic, person), client, "ambiguous")


def _twins_on_both_sides(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    for _twin in range(2):
        client = maker.client(clinic, person)
        yield Child(clinic, maker.student(clinic, person), client, "ambiguous")


def _retired_student(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    yield Child(clinic, maker.student(clinic, person, active=False), None, "taken")
    yield Child(clinic, maker.student(clinic, person), maker.client(clinic, person))


def _retired_client(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()
    maker.client(clinic, person, active=False, terminated_on=maker.today - timedelta(days=200))
    yield Child(clinic, maker.student(clinic, person), maker.client(clinic, person))


def _other_agency(maker: Maker, clinic: Clinic, other: Clinic) -> Iterator[Child]:
    person = maker.child()
    client = maker.client(other, person)
    yield Child(clinic, maker.student(clinic, person), client, "other_agency")


def _nameless(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Child]:
    person = maker.child()._replace(first=maker.rng.choice(("", " \u00a0")))
    client = maker.client(clinic, person)
    yield Child(clinic, maker.student(clinic, person), client, "empty_name_or_birth_date")


CASES: dict[str, Callable[[Maker, Clinic, Clinic], Iterator[Child]]] = {
    "dressed": _dressed,
    "inactive": _inactive,
    "elsewhere": _elsewhere,
    "expired": _refused("expired", "no_authorization"),
    "uncovered": _refused("none", "no_authorization"),
    "few_hours": _refused("few", "authorization_hours_used_up"),
    "terminated": _terminated(40, active=False),
    "terminated_lately": _terminated(12, active=True),
    "accents_lost": _accents_lost,
    "typo": _typo,
    "wrong_birth_date": _wrong_birth_date,
    "unknown": _unknown,
    "vendor_twins": _vendor_twins,
    "host_twins": _host_twins,
    "twins_on_both_sides": _twins_on_both_sides,
    "retired_student": _retired_student,
    "retired_client": _retired_client,
    "other_agency": _other_agency,
    "nameless": _nameless,
}

#: Cases whose sessions the host refuses to render.
REFUSED = frozenset({"expired", "uncovered", "few_hours", "terminated", "terminated_lately"})

#: Of a thousand students.
LARGE = dict(
    zip(CASES, (40, 30, 25, 8, 5, 7, 6, 4, 15, 25, 18, 18, 6, 6, 4, 6, 6, 12, 6), strict=True)
)
SMALL = {"dressed": 60, "expired": 30, "typo": 60, "vendor_twins": 30, "other_agency": 30}
