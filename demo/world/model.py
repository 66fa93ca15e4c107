"""What the world is made of: the world itself, its truth, and the people while they are made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

#: A record as the vendor's contract has it, or a row of the host.
Row = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """What has to come of one record of the vendor.

    Exactly one of `host_id` (as text) and `reason` (a word of the fixed list) is set. `rendered`
    and `refusals` speak of mapped notes alone: the notes are worked off in the order of date,
    start, vendor id.
    """

    host_id: str | None = None
    reason: str | None = None
    rendered: bool = False
    refusals: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Truth:
    """What has to come of every record of one account, by vendor id."""

    sites: dict[str, Expected] = field(default_factory=dict)
    students: dict[str, Expected] = field(default_factory=dict)
    users: dict[str, Expected] = field(default_factory=dict)
    notes: dict[str, Expected] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """Both sides of the demo, and what has to come of it.

    `organizations`: the vendor's side, records as the contract has them. `host`: table name ->
    rows, in an order that foreign keys allow. `truth`: account -> what to expect; it holds while
    the host's clock shows `today`.
    """

    seed: int
    today: date
    notes: int
    organizations: list[Row]
    host: dict[str, list[Row]]
    truth: dict[str, Truth]


@dataclass(frozen=True)
class Clinic:
    """A site of the vendor and the agency of equal name; `period_locked_until` closes its early
    days.
    """

    site: Row
    agency: Row
    period_locked_until: date | None = None

    @property
    def zone(self) -> str:
        return self.agency["time_zone"]

    @property
    def guardian_must_sign(self) -> bool:
        return self.agency["guardian_signature_required"]


@dataclass(frozen=True, eq=False)
class Child:
    """A student with the client who stands for the same child at the host, where there is one.

    `reason`: why automap must not find the pair. `blemish`: the refusal that every session of the
    child meets.
    """

    clinic: Clinic
    student: Row
    client: Row | None
    reason: str | None = None
    blemish: str | None = None
    #: The last day on which services are given; the refusal after it is client_terminated.
    last_day: date | None = None

    @property
    def in_zone(self) -> bool:
        return self.student["timeZone"] == self.clinic.zone


@dataclass(frozen=True, eq=False)
class Therapist:
    """A user with the staff member who is the same person at the host, where there is one."""

    #: Where they work; not always what the vendor or the host says.
    clinics: tuple[Clinic, ...]
    user: Row
    staff: Row | None
    reason: str | None = None
    #: The last day of employment; the refusal after it is staff_inactive.
    last_day: date | None = None
