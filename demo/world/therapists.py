"""Users and staff: who is the same person on both sides, and what keeps the others apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import cycle

from .maker import Maker
from .model import Clinic, Therapist
from .names import dressed, typo

Case = Callable[[Maker, Clinic, Clinic], Iterator[Therapist]]

#: Days before today on which the employment of the one who left ended.
LEFT_DAYS_AGO = 6


def make_therapists(
    maker: Maker, clinics: list[Clinic], total: int, cases: Sequence[Case]
) -> list[Therapist]:
    """Make `total` users, a tenth of them Parents, with their staff; a tenth more staff have no
    user.

    Each of `cases` is planted once in sixty users, at least once.
    """
    rounds = cycle(clinics)
    people: list[Therapist] = []
    for case in cases:
        for _ in range(max(1, round(total / 60))):
            clinic = next(rounds)
            other = maker.rng.choice([place for place in clinics if place is not clinic])
            people += case(maker, clinic, other)
    parents = max(2, round(total / 10))
    while len(people) < total - parents:
        people += _plain(maker, next(rounds), clinics)
    mapped = [person for person in people if person.reason is None]
    people += _parents(maker, clinics, parents, mapped[-1])
    for _ in range(total // 10):
        person = maker.adult()
        maker.staff((next(rounds),), person, maker.email(person))
    return people


def _plain(maker: Maker, clinic: Clinic, clinics: list[Clinic]) -> Iterator[Therapist]:
    """One in four works in a second clinic, of the same time zone."""
    person = maker.adult()
    places = (clinic,)
    beside = [other for other in clinics if other is not clinic and other.zone == clinic.zone]
    if beside and maker.rng.random() < 0.25:
        places += (maker.rng.choice(beside),)
    email = maker.email(person)
    yield Therapist(places, maker.user(places, person, email), maker.staff(places, person, email))


def _other_email(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    user = maker.user((clinic,), person, f"{maker.rng.randrange(10_000)}@mail.example")
    staff = maker.staff((clinic,), person, maker.email(person))
    yield Therapist((clinic,), user, staff, "no_such_staff")


def _no_site(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    email = maker.email(person)
    staff = maker.staff((clinic,), person, email)
    yield Therapist((clinic,), maker.user((), person, email), staff, "no_site")


def _typo(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    email = maker.email(person)
    staff = maker.staff((clinic,), person, email)
    other = person._replace(last=typo(maker.rng, person.last))
    yield Therapist((clinic,), maker.user((clinic,), other, email), staff, "no_such_staff")


def _inactive(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    email = maker.email(person)
    staff = maker.staff((clinic,), person, email)
    yield Therapist((clinic,), maker.user((clinic,), person, email, active=False), staff)


def _left(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person, last_day = maker.adult(), maker.today - timedelta(days=LEFT_DAYS_AGO)
    email = maker.email(person)
    staff = maker.staff((clinic,), person, email, inactive_from=last_day)
    user = maker.user((clinic,), person, email)
    yield Therapist((clinic,), user, staff, last_day=last_day)


def _dressed(maker: Maker, clinic: Clinic, other: Clinic) -> Iterator[Therapist]:
    """Written otherwise on both sides; of the user's two sites one is the staff's agency, which is
    enough.
    """
    person = maker.adult()
    email = maker.email(person)
    written = person._replace(first=dressed(maker.rng, person.first))
    user = maker.user((other, clinic), written, email.upper())
    yield Therapist((clinic,), user, maker.staff((clinic,), person, email))


def _vendor_twins(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    email = maker.email(person)
    staff = maker.staff((clinic,), person, email)
    for _twin in range(2):
        yield Therapist((clinic,), maker.user((clinic,), person, email), staff, "ambiguous")


def _host_twins(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    email = maker.email(person)
    staff, _twin = (maker.staff((clinic,), person, email) for _twin in range(2))
    yield Therapist((clinic,), maker.user((clinic,), person, email), staff, "ambiguous")


def _retired_user(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    email = maker.email(person)
    retired = maker.user((clinic,), person, email, active=False)
    yield Therapist((clinic,), retired, None, "taken")
    staff = maker.staff((clinic,), person, email)
    yield Therapist((clinic,), maker.user((clinic,), person, email), staff)


def _other_agency(maker: Maker, clinic: Clinic, other: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    email = maker.email(person)
    staff = maker.staff((other,), person, email)
    yield Therapist((clinic,), maker.user((clinic,), person, email), staff, "other_agency")


def _no_email(maker: Maker, clinic: Clinic, _: Clinic) -> Iterator[Therapist]:
    person = maker.adult()
    staff = maker.staff((clinic,), person, "")
    user = maker.user((clinic,), person, "")
    yield Therapist((clinic,), user, staff, "empty_name_or_email")


#: What even few users hold; what fits into an account of its size beside them; the whole.
SMALL: tuple[Case, ...] = (_other_email, _inactive)
MEDIUM: tuple[Case, ...] = (_other_email, _no_site, _typo, _inactive, _left)
LARGE: tuple[Case, ...] = (
    *MEDIUM,
    _dressed,
    _vendor_twins,
    _host_twins,
    _retired_user,
    _other_agency,
    _no_email,
)


def _parents(
    maker: Maker, clinics: list[Clinic], number: int, like: Therapist
) -> Iterator[Therapist]:
    """One without a site, one of several, the rest of one; the last is a therapist's own parent
    account.
    """
    for turn in range(number):
        places = ((), tuple(clinics[:3]))[turn] if turn < 2 else (clinics[turn % len(clinics)],)
        person = maker.adult()
        user = maker.user(places, person, maker.email(person), kind="Parent")
        if turn > 1 and turn == number - 1:
            same = ("firstName", "lastName", "email", "siteIds")
            user |= {member: like.user[member] for member in same}
        yield Therapist((), user, None, "parent")
