"""One seeded world for both sides of the demo, with everything that has to come of it.

The same seed, size and day give the same world, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from random import Random

from .world import children as childhood
from .world import therapists as staffing
from .world.accounts import BRIGHT_STEPS, HARBOR_KIDS, Account, HostIds, open_account, vendor_users
from .world.desk import Desk
from .world.maker import Maker, Person
from .world.model import Child, Clinic, Expected, Row, Therapist, Truth, World
from .world.recipes import CERTAIN, RECIPES, write_sessions

__all__ = ["Expected", "Truth", "World", "build_world"]

#: The second account's size does not grow with the world.
SMALL_NOTES, SMALL_STUDENTS, SMALL_USERS = 150, 30, 8
#: From so many users on every case of a user is planted.
MANY_USERS = 24
#: How many children and therapists of the first account stand in the second one too.
SHARED_CHILDREN, SHARED_THERAPISTS = 5, 2
#: Parents before children, as foreign keys want it.
TABLES = (
    *("account", "login", "agency", "login_agency", "client", "staff", "staff_agency"),
    *("authorization", "appointment"),
)


def build_world(*, notes: int = 2000, seed: int = 7, today: date | None = None) -> World:
    """Make both accounts. `notes`: session notes of the first account, 100 at least; people grow
    with them.

    `today` is the day after the world's last notes (one note apart, which was written ahead for
    tomorrow); by default the present day in UTC. ValueError for a world too small to hold every
    case.
    """
    today = today or datetime.now(UTC).date()
    ids, host = HostIds(), {table: [] for table in TABLES}
    organizations, truth, shared = [], {}, ([], [])
    sizes = {
        BRIGHT_STEPS: (notes, max(40, round(notes * 0.15)), max(12, round(notes * 0.03))),
        HARBOR_KIDS: (SMALL_NOTES, SMALL_STUDENTS, SMALL_USERS),
    }
    for account, (size, students, users) in sizes.items():
        clinics, rows, sites = open_account(account, today, ids)
        rng = Random(f"{seed} {account.id}")
        maker = Maker(account, today, rng, ids)
        people = _people(maker, clinics, students, users, shared)
        desk = Desk(maker, clinics, *people)
        write_sessions(desk, size, RECIPES if account is HARBOR_KIDS else RECIPES + CERTAIN)
        shared = _shared(*people)
        truth[account.id] = _truth(sites, *people, desk)
        organizations.append(_organization(account, clinics, maker, desk))
        rows |= _host_rows(maker, desk)
        for table in TABLES:
            host[table] += rows[table]
    return World(seed, today, notes, organizations, host, truth)


Shared = tuple[Sequence[Child], Sequence[Therapist]]


def _people(
    maker: Maker, clinics: list[Clinic], students: int, users: int, shared: Shared
) -> tuple[list[Child], list[Therapist]]:
    """Make an account's people; those `shared` with another account come first, new rows with the
    same facts.
    """
    children: list[Child] = []
    therapists: list[Therapist] = []
    for number, child in enumerate(shared[0]):
        row, clinic = child.client, clinics[number % len(clinics)]
        person = Person(row["first_name"], row["last_name"], row["date_of_birth"])
        children.append(Child(clinic, maker.student(clinic, person), maker.client(clinic, person)))
    for number, therapist in enumerate(shared[1]):
        row, places = therapist.staff, (clinics[number % len(clinics)],)
        person = Person(row["first_name"], row["last_name"], maker.today)
        user = maker.user(places, person, row["email"])
        therapists.append(Therapist(places, user, maker.staff(places, person, row["email"])))
    small, room = bool(shared[0]), users - len(therapists)
    shares = childhood.SMALL if small else childhood.LARGE
    children += childhood.make_children(maker, clinics, students - len(children), shares)
    cases = staffing.MEDIUM if room < MANY_USERS else staffing.LARGE
    therapists += staffing.make_therapists(maker, clinics, room, staffing.SMALL if small else cases)
    return children, therapists


def _shared(children: Sequence[Child], therapists: Sequence[Therapist]) -> Shared:
    """Choose people without any fault whom the next account will have as well."""
    plain = [
        child
        for child in children
        if child.reason is None and child.client is not None and child.student["active"]
    ]
    staff = [person for person in therapists if person.reason is None and person.staff is not None]
    return plain[-SHARED_CHILDREN:], staff[-SHARED_THERAPISTS:]


def _truth(
    sites: dict[str, Expected], children: list[Child], therapists: list[Therapist], desk: Desk
) -> Truth:
    students = {
        child.student["id"]: Expected(reason=child.reason)
        if child.reason
        else Expected(str(child.client["id"]))
        for child in children
    }
    users = {
        person.user["id"]: Expected(reason=person.reason)
        if person.reason
        else Expected(str(person.staff["id"]))
        for person in therapists
    }
    return Truth(sites, students, users, desk.truth)


def _organization(account: Account, clinics: list[Clinic], maker: Maker, desk: Desk) -> Row:
    """The vendor's side, each feed in the order of change."""

    def feed(records: list[Row]) -> list[Row]:
        return sorted(records, key=lambda record: (record["modifiedAt"], record["id"]))

    return {
        "id": account.organization,
        "name": account.name,
        "users": vendor_users(account),
        "sites": feed([clinic.site for clinic in clinics]),
        "students": feed(maker.students),
        "users_feed": feed(maker.users),
        "notes": feed(desk.notes),
    }


def _host_rows(maker: Maker, desk: Desk) -> dict[str, list[Row]]:
    return {
        "client": maker.clients,
        "staff": maker.staff_rows,
        "staff_agency": maker.staff_agencies,
        "authorization": maker.authorizations,
        "appointment": desk.appointments,
    }
