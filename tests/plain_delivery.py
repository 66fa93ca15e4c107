"""Plain worlds in the demo host's tables and the plugin's own, and passes of automap over them.

Everything happens in one transaction, which the caller rolls back.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update

from demo.host import models as host
from ensora_plugin.automap.notes import automap_notes
from ensora_plugin.automap.outcome import mapped_by_run
from ensora_plugin.automap.people import automap_named
from ensora_plugin.automap.recheck import touch_changed
from ensora_plugin.automap.trying import notes_of, touch
from ensora_plugin.clock import utcnow
from ensora_plugin.errors import NotAllowed
from ensora_plugin.host import directory
from ensora_plugin.kinds import KINDS, NOTE, SITE, STUDENT, USER, Kind
from ensora_plugin.mapping.cases import case_of
from ensora_plugin.mapping.mapping import map_record, unmap_record
from ensora_plugin.models import Connection, Mapping, Membership, Note, Rejected, User
from ensora_plugin.rendering.withdrawing import Desk
from tests.plain_rows import (
    appointment_row,
    client_row,
    note_row,
    site_row,
    staff_row,
    stamp,
    student_row,
    user_row,
)
from tests.practices import Practice
from tests.slow_world import Why, World
from tests.small import ACCOUNT


@dataclass
class Delivery:
    """What fills the tables of one account, and what automap makes of it."""

    practice: Practice

    def __post_init__(self) -> None:
        self.session = self.practice.session
        self.account_id = self.practice.account_id(ACCOUNT)
        self.runs = 0

    def settings(self, world: World) -> None:
        """Set what the account says of picked appointments."""
        self.session.execute(update(Connection).values(map_picked=world.picks_map))

    # The host's side.

    def host(self, world: World) -> None:
        """Insert the host's side of a world."""
        agencies, clients, staff = (world.entities[kind] for kind in ("site", "student", "user"))
        self._rows(
            host.Agency,
            [{"id": int(one.id), "name": one.facts[0], "time_zone": one.zone} for one in agencies],
        )
        self._rows(host.Client, [client_row(one) for one in clients])
        self._rows(host.Staff, [staff_row(one) for one in staff])
        self._insert(
            host.StaffAgency,
            [
                {"staff_id": int(one.id), "agency_id": int(agency)}
                for one in staff
                for agency in one.agencies
            ],
        )
        self._rows(host.Appointment, [appointment_row(one) for one in world.appointments])

    # The vendor's side, and what persons did.

    def records(self, world: World) -> None:
        """Insert sites, students, users and notes as a pull does."""
        for kind, make in ((SITE, site_row), (STUDENT, student_row), (USER, user_row)):
            people = world.people[kind.name]
            self._keyed(kind.model, [kind.row(make(one)) | stamp(one.id) for one in people])
            if kind.by_site:
                members = [
                    {"kind": kind.name, "vendor_id": one.id, "site_id": site}
                    for one in people
                    for site in one.sites
                ]
                self._keyed(Membership, members)
        students = [one.id for one in world.people["student"]]
        touch(self.session, self.account_id, notes_of(STUDENT, students))
        now = {"touched": self.generation()}
        self._keyed(Note, [note_row(one) | stamp(one.id) | now for one in world.notes])

    def persons(self, world: World) -> None:
        """Insert what persons mapped, ignored and rejected."""
        by = {"by": "ada", "at": utcnow()}
        mapped = [
            {
                "kind": kind,
                "vendor_id": record,
                "host_id": entity,
                "state": "user" if entity else "ignored",
            }
            | by
            for (kind, record), entity in world.mappings.items()
        ]
        self._keyed(Mapping, mapped)
        pairs = [
            {"kind": kind, "vendor_id": record, "host_id": entity} | by
            for kind, record, entity in sorted(world.rejected)
        ]
        self._keyed(Rejected, pairs)

    def meddle(self, world: World, chance: random.Random) -> None:
        """Let a person map, re-map, delete and ignore at random, as far as the rules allow it."""
        for kind in KINDS:
            for record in world.records(kind.name):
                does = chance.choice(("", "", "", "map", "delete", "ignore"))
                with suppress(NotAllowed):
                    self._act(kind, record, does, chance.choice(world.hosts(kind.name) or ["0"]))

    def _act(self, kind: Kind, record: str, does: str, entity: str) -> None:
        state = self.practice.state
        desk = Desk(self.session, self.account_id, ACCOUNT, state.host, state.sealer, "ada")
        own = (kind.model.account_id == self.account_id, kind.model.vendor_id == record)
        row = self.session.scalars(select(kind.model).where(*own)).one()
        if isinstance(row, User) and row.type == "Parent":
            # Nobody gets to see them.
            return
        mapping = case_of(desk, kind, row).mapping
        seen = mapping.version if mapping else 0
        if does == "map":
            map_record(desk, kind, row, entity, seen=seen)
        elif does == "delete":
            unmap_record(desk, kind, row, seen=seen)
        elif does == "ignore" and mapping is None:
            told = {"kind": kind.name, "vendor_id": record, "host_id": None, "state": "ignored"}
            self._keyed(Mapping, [told | {"by": "ada", "at": utcnow()}])
            row.why = row.why_minutes = row.nearest = row.rival = None
        self.session.flush()

    # Automap.

    def automap(self, grace: int, since: date | None = None) -> int:
        """Do what the step automap of a run does; return how many mappings it made."""
        self.runs += 1
        made = 0
        key = (self.account_id, ACCOUNT)
        directory.refresh(self.session, *key, self.practice.state.host)
        for kind in KINDS:
            if kind is NOTE:
                result = automap_notes(
                    self.session,
                    *key,
                    self.practice.state.host,
                    grace=grace,
                    run_id=self.runs,
                    since=since,
                )
            else:
                result = automap_named(self.session, self.account_id, kind, self.runs)
                mapped = mapped_by_run(self.account_id, kind, self.runs)
                touch(self.session, self.account_id, notes_of(kind, mapped))
            made += result.made
        return made

    def differ(self) -> list[str]:
        """Let notes be tried again whose appointments are not what the last pass saw; return them,
        but for those of which it kept nothing.
        """
        appointment = self.practice.state.host.appointments(ACCOUNT).subquery("appointment")
        before = self.generation()
        touch_changed(self.session, self.account_id, appointment, date.min)
        told = select(Note.vendor_id).where(Note.touched == before, Note.seen.is_not(None))
        return list(self.session.scalars(told))

    def generation(self) -> int:
        return self.session.scalars(
            select(Connection.generation).where(Connection.id == self.account_id)
        ).one()

    def touch_all(self) -> None:
        self.session.execute(update(Note).values(touched=self.generation()))

    def mappings(self, *states: str) -> dict[tuple[str, str], str | None]:
        """Return (kind, record) -> entity of the mappings in some states, by default all."""
        told = select(Mapping.kind, Mapping.vendor_id, Mapping.host_id)
        if states:
            told = told.where(Mapping.state.in_(states))
        return {(row.kind, row.vendor_id): row.host_id for row in self.session.execute(told)}

    def whys(self) -> dict[tuple[str, str], Why]:
        """Return what stands beside the records that do not map."""
        found = {}
        for kind in KINDS:
            m = kind.model
            told = select(m.vendor_id, m.why, m.why_minutes, m.nearest, m.rival)
            for row in self.session.execute(told.where(m.why.is_not(None))):
                found[kind.name, row.vendor_id] = Why(*row[1:])
        return found

    def rejected(self) -> set[tuple[str, str, str]]:
        told = select(Rejected.kind, Rejected.vendor_id, Rejected.host_id)
        return {(row.kind, row.vendor_id, row.host_id) for row in self.session.execute(told)}

    def _rows(self, model: Any, rows: list[dict[str, Any]]) -> None:
        self._insert(model, [row | {"account_id": ACCOUNT} for row in rows])

    def _keyed(self, model: Any, rows: list[dict[str, Any]]) -> None:
        self._insert(model, [row | {"account_id": self.account_id} for row in rows])

    def _insert(self, model: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.session.execute(insert(model), rows)
