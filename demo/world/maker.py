"""Makes the rows of one account's people, with ids in sequence and no equal facts by chance."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from random import Random
from typing import NamedTuple

from .accounts import Account, HostIds
from .model import Clinic, Row
from .names import FIRST, LAST, ascii_address

AMPLE_HOURS = 400.0
#: Less than the shortest session, so that every session of the client is too long.
TOO_FEW_HOURS = 0.25
#: Authorizations as (first day, last day, hours); days counted from today.
COVERS = {
    "ample": [(-120, 120, AMPLE_HOURS)],
    "renewed": [(-180, -15, AMPLE_HOURS), (-14, 180, AMPLE_HOURS)],
    "expired": [(-220, -45, AMPLE_HOURS)],
    "none": [],
    "few": [(-120, 120, TOO_FEW_HOURS)],
}


class Person(NamedTuple):
    """The facts by which two sides may know the same person."""

    first: str
    last: str
    born: date


class Maker:
    """Rows of both sides for one account, collected as they are made."""

    def __init__(self, account: Account, today: date, rng: Random, ids: HostIds) -> None:
        self.account, self.today, self.rng, self.ids = account, today, rng, ids
        self.students: list[Row] = []
        self.users: list[Row] = []
        self.clients: list[Row] = []
        self.staff_rows: list[Row] = []
        self.staff_agencies: list[Row] = []
        self.authorizations: list[Row] = []
        self._numbers: Counter[str] = Counter()
        self._seen: set[tuple[str, str, date]] = set()

    def vendor_id(self, kind: str) -> str:
        """Return the vendor's next id of a kind; the very first student's is "0", which is an id
        like any other.
        """
        self._numbers[kind] += 1
        if kind == "student" and self.account.prefix == "bs" and self._numbers[kind] == 1:
            return "0"
        return f"{self.account.prefix}-{kind}-{self._numbers[kind]:06d}"

    def child(self, first_names: list[str] = FIRST) -> Person:
        """Return a child of 2 to 15 years, unlike all others even without accents and case."""
        return self._person(first_names, 2, 15)

    def adult(self) -> Person:
        """Return a grown-up; no two have equal names by chance, since emails are made of them."""
        return self._person(FIRST, 0, 0)

    def _person(self, first_names: list[str], youngest: int, oldest: int) -> Person:
        rng = self.rng
        while True:
            days = rng.randint(365 * youngest, 365 * oldest)
            person = Person(
                rng.choice(first_names), rng.choice(LAST), self.today - timedelta(days=days)
            )
            key = (ascii_address(person.first), ascii_address(person.last), person.born)
            if key not in self._seen:
                self._seen.add(key)
                return person

    def email(self, person: Person) -> str:
        name = f"{ascii_address(person.first)}.{ascii_address(person.last)}"
        return f"{name}@{self.account.domain}"

    def student(
        self, clinic: Clinic, person: Person, *, active: bool = True, zone: str | None = None
    ) -> Row:
        row = {
            "id": self.vendor_id("student"),
            "siteId": clinic.site["id"],
            "firstName": person.first,
            "lastName": person.last,
            "dateOfBirth": person.born.isoformat(),
            "timeZone": zone or clinic.zone,
            "active": active,
            "modifiedAt": self._long_ago(),
        }
        self.students.append(row)
        return row

    def client(
        self,
        clinic: Clinic,
        person: Person,
        *,
        active: bool = True,
        terminated_on: date | None = None,
        cover: str = "ample",
    ) -> Row:
        """Make a client; `cover` is a key of COVERS, what authorizations there are."""
        row = {
            "id": self.ids.next("client"),
            "account_id": self.account.id,
            "agency_id": clinic.agency["id"],
            "first_name": person.first,
            "last_name": person.last,
            "date_of_birth": person.born,
            "gender": self.rng.choice(("female", "male", "")),
            "terminated_on": terminated_on,
            "active": active,
            "updated_at": self._updated_at(),
        }
        self.clients.append(row)
        for since, until, hours in COVERS[cover]:
            self._authorization(row, since, until, hours)
        return row

    def _authorization(self, client: Row, since: int, until: int, hours: float) -> None:
        number = self.ids.next("authorization")
        self.authorizations.append(
            {
                "id": number,
                "client_id": client["id"],
                "number": f"PA-{100000 + number}",
                "starts_on": self.today + timedelta(days=since),
                "ends_on": self.today + timedelta(days=until),
                "hours": hours,
            }
        )

    def user(
        self,
        clinics: tuple[Clinic, ...],
        person: Person,
        email: str,
        *,
        active: bool = True,
        kind: str = "Employee",
    ) -> Row:
        row = {
            "id": self.vendor_id("user"),
            "type": kind,
            "siteIds": [clinic.site["id"] for clinic in clinics],
            "firstName": person.first,
            "lastName": person.last,
            "email": email,
            "active": active,
            "modifiedAt": self._long_ago(),
        }
        if kind == "Employee":
            row["title"] = self.rng.choice(("RBT", "BCBA", "BCaBA", "Behavior Technician"))
        self.users.append(row)
        return row

    def staff(
        self,
        clinics: tuple[Clinic, ...],
        person: Person,
        email: str,
        *,
        active: bool = True,
        inactive_from: date | None = None,
    ) -> Row:
        row = {
            "id": self.ids.next("staff"),
            "account_id": self.account.id,
            "first_name": person.first,
            "last_name": person.last,
            "email": email,
            "title": self.rng.choice(("RBT", "BCBA", "BCaBA", "Behavior Technician")),
            "phone": f"555-01{self.rng.randrange(100):02d}",
            "address": f"{self.rng.randint(1, 999)} {self.rng.choice(LAST)} Street",
            "has_user_account": self.rng.random() < 0.9,
            "inactive_from": inactive_from,
            "active": active,
            "updated_at": self._updated_at(),
        }
        self.staff_rows.append(row)
        self.staff_agencies += [
            {"staff_id": row["id"], "agency_id": clinic.agency["id"]} for clinic in clinics
        ]
        return row

    def _updated_at(self) -> datetime:
        day = self.today - timedelta(days=self.rng.randint(31, 400))
        return datetime.combine(day, time(self.rng.randrange(8, 18), self.rng.randrange(60)))

    def _long_ago(self) -> str:
        return f"{self._updated_at().isoformat()}Z"
