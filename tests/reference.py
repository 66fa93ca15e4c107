"""A plain, slow matcher written from the rules alone, to hold others against: every record looks at
every other.

It knows nothing of how a world was planted. `match(world, account)` says what has to come of each
record.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from demo.data import Expected, Truth, World
from tests.reference_pairing import nearest, people
from tests.reference_reading import Reading, instants, read, same

Row = dict[str, Any]


class Matcher:
    """Maps one account of a world."""

    def __init__(self, world: World, account: str, grace: int = 5) -> None:
        place = list(world.truth).index(account)
        self.org, self.grace = world.organizations[place], grace
        mine = {
            table: [row for row in world.host[table] if row.get("account_id") == account]
            for table in ("agency", "client", "staff", "appointment")
        }
        self.agencies, self.clients = mine["agency"], mine["client"]
        self.staff, self.appointments = mine["staff"], mine["appointment"]
        self.zones = {row["id"]: row["time_zone"] for row in self.agencies}
        self.works: dict[int, set[int]] = {row["id"]: set() for row in self.staff}
        for row in world.host["staff_agency"]:
            if row["staff_id"] in self.works:
                self.works[row["staff_id"]].add(row["agency_id"])

    def truth(self) -> Truth:
        """Map all four kinds, each through the mappings of those before it."""
        sites = self.sites()
        self.site_of = {id: int(one.host_id) for id, one in sites.items() if one.host_id}
        students, users = self.students(), self.users()
        self.client_of = {id: int(one.host_id) for id, one in students.items() if one.host_id}
        self.staff_of = {id: int(one.host_id) for id, one in users.items() if one.host_id}
        return Truth(sites, students, users, self.notes())

    def sites(self) -> dict[str, Expected]:
        return people(
            self.org["sites"],
            [row | {"active": True} for row in self.agencies],
            lambda site, agency: same(site["name"]) == same(agency["name"]) != "",
            lambda _: "no_agency_of_that_name",
        )

    def students(self) -> dict[str, Expected]:
        def facts(student: Row, client: Row) -> bool:
            return (
                same(student["firstName"]) == same(client["first_name"]) != ""
                and same(student["lastName"]) == same(client["last_name"]) != ""
                and student["dateOfBirth"] == client["date_of_birth"].isoformat()
            )

        def why(student: Row) -> str:
            if student["siteId"] not in self.site_of:
                return "no_site_mapping"
            if not same(student["firstName"]) or not same(student["lastName"]):
                return "empty_name_or_birth_date"
            elsewhere = any(facts(student, client) for client in self.clients)
            return "other_agency" if elsewhere else "no_such_client"

        def equal(student: Row, client: Row) -> bool:
            here = self.site_of.get(student["siteId"]) == client["agency_id"]
            return here and facts(student, client)

        return people(self.org["students"], self.clients, equal, why)

    def users(self) -> dict[str, Expected]:
        def facts(user: Row, staff: Row) -> bool:
            pairs = (("firstName", "first_name"), ("lastName", "last_name"), ("email", "email"))
            return all(same(user[mine]) == same(staff[theirs]) != "" for mine, theirs in pairs)

        def why(user: Row) -> str:
            if user["type"] == "Parent":
                return "parent"
            if not user["siteIds"]:
                return "no_site"
            if not any(site in self.site_of for site in user["siteIds"]):
                return "no_site_mapping"
            if not all(same(user[name]) for name in ("firstName", "lastName", "email")):
                return "empty_name_or_email"
            elsewhere = any(facts(user, staff) for staff in self.staff)
            return "other_agency" if elsewhere else "no_such_staff"

        def equal(user: Row, staff: Row) -> bool:
            places = {self.site_of.get(site) for site in user["siteIds"]}
            here = user["type"] == "Employee" and places & self.works[staff["id"]]
            return bool(here) and facts(user, staff)

        return people(self.org["users_feed"], self.staff, equal, why)

    def notes(self) -> dict[str, Expected]:
        students = {student["id"]: student for student in self.org["students"]}
        found: dict[str, Expected] = {}
        near: dict[tuple[str, int], int] = {}
        waiting = []
        for note in self.org["notes"]:
            reading = read(note, students[note["studentId"]])
            if reason := self._not_even_looked_for(note, reading):
                found[note["id"]] = Expected(reason=reason)
                continue
            apart = {row["id"]: self._apart(reading, row) for row in self._of_these_people(note)}
            waiting.append((note, reading))
            near |= {(note["id"], id): sum(both) for id, both in apart.items() if self._near(both)}
        pairs = nearest(near)
        for note, reading in waiting:
            host_id = pairs.get(note["id"])
            found[note["id"]] = (
                Expected(str(host_id))
                if host_id is not None
                else Expected(reason=self._why_none(note, reading, near, set(pairs.values())))
            )
        return found

    def _not_even_looked_for(self, note: Row, reading: Reading | None) -> str | None:
        client, staff = note["studentId"] in self.client_of, note["userId"] in self.staff_of
        reasons = {
            "unpublished": note["status"] != "published",
            "unreadable_date_or_time": reading is None,
            "no_site_mapping": note["siteId"] not in self.site_of,
            "no_client_and_no_staff_mapping": not client and not staff,
            "no_client_mapping": not client,
            "no_staff_mapping": not staff,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _of_these_people(self, note: Row, eligible: bool = True) -> Iterable[Row]:
        """Return the appointments of the note's client, staff and agency."""
        wanted = (
            self.client_of[note["studentId"]],
            self.staff_of[note["userId"]],
            self.site_of[note["siteId"]],
        )
        for row in self.appointments:
            if (row["client_id"], row["staff_id"], row["agency_id"]) == wanted:
                service = row["kind"] == "service" and row["status"] != "cancelled"
                if service == eligible:
                    yield row

    def _apart(self, note: Reading, row: Row) -> tuple[float, float] | None:
        """Return the minutes between the starts and between the ends; None where the days do not
        agree.

        Of the two readings of a time at which clocks go back, the farther one counts: both have to
        agree.
        """
        zone = self.zones[row["agency_id"]]
        if zone == note.zone and row["date"] != note.day:
            return None
        if abs(row["date"] - note.day) > timedelta(days=1):
            return None
        pairs = ((note.start, row["start"]), (note.end, row["end"]))
        if zone == note.zone:
            return tuple(abs(_minutes(mine) - _minutes(theirs)) for mine, theirs in pairs)
        return tuple(
            max(
                abs((a - b).total_seconds()) // 60
                for a in instants(note.day, mine, note.zone)
                for b in instants(row["date"], theirs, zone)
            )
            for mine, theirs in pairs
        )

    def _near(self, both: tuple[float, float] | None) -> bool:
        return both is not None and max(both) <= self.grace

    def _why_none(
        self, note: Row, reading: Reading, near: dict[tuple[str, int], int], taken: set[int]
    ) -> str:
        mine = {id for note_id, id in near if note_id == note["id"]}
        if mine:
            return "taken" if mine <= taken else "ambiguous"
        if any(self._that_day(reading, row) for row in self._of_these_people(note)):
            return "outside_the_grace"
        if any(self._that_day(reading, row) for row in self._of_these_people(note, False)):
            return "appointment_cancelled"
        return "no_appointment_that_day"

    def _that_day(self, note: Reading, row: Row) -> bool:
        zone = ZoneInfo(self.zones[row["agency_id"]])
        starts = instants(note.day, note.start, note.zone)
        return row["date"] in {one.astimezone(zone).date() for one in starts}


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute


def match(world: World, account: str) -> Truth:
    """Return what has to come of every record of the account; the notes' rendering is not looked
    at.
    """
    return Matcher(world, account).truth()
