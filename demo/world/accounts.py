"""The two accounts: their sites and agencies, and the fixed cast of people who sign in on either
side.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count

from ensora_plugin.host.port import PERMISSIONS

from .model import Clinic, Expected, Row

EAST, CENTRAL = "America/New_York", "America/Chicago"


@dataclass(frozen=True)
class Place:
    """An agency, and the name of the site that equals it; None where it has no site."""

    name: str
    site: str | None
    zone: str = EAST
    guardian_must_sign: bool = False
    #: Days before today up to which payroll is closed.
    payroll_locked: int | None = None
    billing_locked: int | None = None


@dataclass(frozen=True, eq=False)
class Account:
    """One customer. `logins`: name -> (permissions, names of agencies; None for all of them)."""

    id: str
    name: str
    prefix: str
    organization: str
    places: tuple[Place, ...]
    logins: dict[str, tuple[frozenset[str], tuple[str, ...] | None]]
    #: The vendor's users who may sign in there: (email, password, role).
    vendor_users: tuple[tuple[str, str, str], ...]
    domain: str


BO = frozenset({"view", "map", "render", "report", "edit_client", "edit_staff", "edit_agency"})

BRIGHT_STEPS = Account(
    "bright-steps",
    "Bright Steps ABA",
    "bs",
    "org-bright-steps",
    (
        Place("Northside Clinic", "Northside Clinic"),
        Place("Harbor Center", " HARBOR\u00a0 center", guardian_must_sign=True),
        Place("Briarfield House", "Briar\ufb01eld House"),
        Place("Lakeview Center", "Lakeview Center", zone=CENTRAL),
        Place("Elm Street Clinic", "Elm Street Clinic", payroll_locked=28),
        Place(
            "Cedar Grove Therapy",
            "Cedar Grove Therapy",
            guardian_must_sign=True,
            billing_locked=60,
        ),
        Place("Maple Street Annex", None),
        Place("Head Office", None),
    ),
    {
        "ada": (PERMISSIONS, None),
        "bo": (BO, ("Northside Clinic",)),
        "cy": (frozenset({"view", "report", "audit"}), None),
        "dee": (frozenset({"view", "map"}), ()),
    },
    (
        ("admin@brightsteps.example", "admin-demo", "Admin"),
        ("therapist@brightsteps.example", "therapist-demo", "Therapist"),
    ),
    "brightsteps.example",
)

HARBOR_KIDS = Account(
    "harbor-kids",
    "Harbor Kids Therapy",
    "hk",
    "org-harbor-kids",
    (
        Place("Harbor Center", "Harbor Center"),
        Place("Bayside Clinic", "Bayside Clinic", guardian_must_sign=True),
    ),
    {"eve": (PERMISSIONS, None)},
    (("admin@harborkids.example", "admin-demo", "Admin"),),
    "harborkids.example",
)


class HostIds:
    """Integer ids of the host, one sequence a table over both accounts."""

    def __init__(self) -> None:
        self._sequences: dict[str, count[int]] = {}

    def next(self, table: str) -> int:
        return next(self._sequences.setdefault(table, count(1)))


def open_account(
    account: Account, today: date, ids: HostIds
) -> tuple[list[Clinic], dict[str, list[Row]], dict[str, Expected]]:
    """Return the clinics that have a site, the host's rows, and what comes of each site."""
    rows: dict[str, list[Row]] = {"account": [{"id": account.id, "name": account.name}]}
    rows |= {"login": [], "agency": [], "login_agency": []}
    clinics = []
    for number, place in enumerate(account.places, 1):
        agency = _agency(account, place, today, ids)
        rows["agency"].append(agency)
        if place.site is not None:
            clinics.append(_clinic(account, place, agency, number, today))
    by_name = {agency["name"]: agency["id"] for agency in rows["agency"]}
    for name, (permissions, agencies) in account.logins.items():
        login = _login(account, name, permissions, agencies is None, ids)
        rows["login"].append(login)
        rows["login_agency"] += [
            {"login_id": login["id"], "agency_id": by_name[agency]} for agency in agencies or ()
        ]
    truth = {clinic.site["id"]: Expected(str(clinic.agency["id"])) for clinic in clinics}
    return clinics, rows, truth


def vendor_users(account: Account) -> list[Row]:
    """Return the people who sign in at the vendor."""
    return [
        {
            "id": f"{account.prefix}-login-{number}",
            "username": email,
            "password": password,
            "email": email,
            "role": role,
        }
        for number, (email, password, role) in enumerate(account.vendor_users, 1)
    ]


def _agency(account: Account, place: Place, today: date, ids: HostIds) -> Row:
    def days_ago(days: int | None) -> date | None:
        return None if days is None else today - timedelta(days=days)

    return {
        "id": ids.next("agency"),
        "account_id": account.id,
        "name": place.name,
        "time_zone": place.zone,
        "guardian_signature_required": place.guardian_must_sign,
        "payroll_locked_until": days_ago(place.payroll_locked),
        "billing_locked_until": days_ago(place.billing_locked),
    }


def _clinic(account: Account, place: Place, agency: Row, number: int, today: date) -> Clinic:
    since = today - timedelta(days=400 - number)
    site = {
        "id": f"{account.prefix}-site-{number}",
        "name": place.site,
        "active": True,
        "modifiedAt": f"{since}T15:00:00Z",
    }
    return Clinic(site, agency, agency["payroll_locked_until"])


def _login(
    account: Account, name: str, permissions: frozenset[str], all_: bool, ids: HostIds
) -> Row:
    return {
        "id": ids.next("login"),
        "account_id": account.id,
        "name": name,
        "permissions": " ".join(sorted(permissions)),
        "all_agencies": all_,
        "active": True,
        "epoch": 0,
    }
