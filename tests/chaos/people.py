"""What people do meanwhile, at the vendor and in the window; the twin hears of all of it."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
from flask import Flask
from sqlalchemy import select

from demo.data import World
from demo.host.models import Agency, Client, Staff
from ensora_plugin.kinds import KINDS, SITE, Kind
from ensora_plugin.models import Connection, Mapping, Record
from ensora_plugin.plugin import state_of
from ensora_plugin.text import text_key
from tests.window import Person

PERSONS = {"bright-steps": "ada", "harbor-kids": "eve"}
_ENTITIES: dict[str, Any] = {"site": Agency, "student": Client, "user": Staff}


@dataclass
class Therapists:
    """People at the vendor, who write, edit and take back notes, and rename things."""

    vendor: str
    world: World
    made: int = 0
    #: By account: notes of appointments for which nobody wrote one.
    free: dict[str, list[dict[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.free = {
            organization["id"].removeprefix("org-"): list(unwritten(self.world, organization))
            for organization in self.world.organizations
        }

    def change(self, rng: random.Random) -> str:
        """Change something small; return what."""
        organization = rng.choice(self.world.organizations)
        verb = rng.choice([self._write, self._write, self._edit, self._take_back, self._rename])
        return verb(rng, organization)

    def _write(self, rng: random.Random, organization: dict[str, Any]) -> str:
        """Write the note of an appointment that has none yet, or another one's note once more."""
        account = organization["id"].removeprefix("org-")
        note = copy.deepcopy(rng.choice(organization["notes"]))
        if self.free[account]:
            note = self.free[account].pop(rng.randrange(len(self.free[account])))
        self.made += 1
        note["id"] = f"written-{self.made}"
        self._send("POST", f"notes/{organization['id']}", note)
        return "note written"

    def _edit(self, rng: random.Random, organization: dict[str, Any]) -> str:
        note = rng.choice(organization["notes"])
        values = {"Notes": f"Written anew, {rng.randrange(1000)}."}
        self._send("POST", f"notes/{organization['id']}/{note['id']}/edit", {"values": values})
        return "note edited"

    def _take_back(self, rng: random.Random, organization: dict[str, Any]) -> str:
        note, verb = rng.choice(organization["notes"]), rng.choice(["unpublish", "delete"])
        self._send("POST", f"notes/{organization['id']}/{note['id']}/{verb}", {})
        return f"note {verb}"

    def _rename(self, rng: random.Random, organization: dict[str, Any]) -> str:
        student = rng.choice(organization["students"])
        where = f"students/{organization['id']}/{student['id']}"
        self._send("PATCH", where, {"lastName": f"Renamed{rng.randrange(1000)}"})
        return "student renamed"

    def _send(self, method: str, path: str, body: dict[str, Any]) -> None:
        address = f"{self.vendor}/_emulator/{path}"
        answer = httpx2.request(method, address, json=body, trust_env=False)
        assert answer.status_code < 300, answer.text


def unwritten(world: World, organization: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make the notes of the sessions held in an account that no note of the world is for."""
    truth = world.truth[organization["id"].removeprefix("org-")]
    students = {told.host_id: id for id, told in truth.students.items() if told.host_id}
    users = {told.host_id: id for id, told in truth.users.items() if told.host_id}
    sites = {told.host_id: id for id, told in truth.sites.items() if told.host_id}
    taken = {told.host_id for told in truth.notes.values()}
    plain = organization["notes"][0]
    for row in world.host["appointment"]:
        people = (
            students.get(str(row["client_id"])),
            users.get(str(row["staff_id"])),
            sites.get(str(row["agency_id"])),
        )
        held = (
            row["status"] == "scheduled" and row["kind"] == "service" and row["date"] < world.today
        )
        if str(row["id"]) in taken or None in people or not held or row["date"] >= world.today:
            continue
        when = {"date": row["date"], "start time": row["start"], "end time": row["end"]}
        fields = []
        for given in plain["fields"]:
            # Templates write their names in many ways.
            meant = when.get(text_key(given["name"]).rstrip(":*"))
            fields.append(given | {"value": meant.isoformat()} if meant else given)
        student, user, site = people
        yield plain | {"studentId": student, "userId": user, "siteId": site, "fields": fields}


@dataclass(frozen=True)
class Wish:
    """A person's change of a row, said without any database's numbers."""

    account: str
    kind: Kind
    vendor_id: str
    verb: str
    host_id: str | None
    seen: int


def wish(app: Flask, rng: random.Random) -> Wish | None:
    """Choose what a person does next, by how things stand; None where nothing offers itself."""
    account = rng.choice(list(PERSONS))
    with app.app_context():
        session = state_of(app).session
        account_id = session.scalars(select(Connection.id).filter_by(account=account)).one()
        kind = rng.choice([kind for kind in KINDS if kind.name in _ENTITIES and kind is not SITE])
        mapped = {
            row.vendor_id: row
            for row in session.scalars(
                select(Mapping).filter_by(account_id=account_id, kind=kind.name)
            )
        }
        entity = _ENTITIES[kind.name]
        taken = {row.host_id for row in mapped.values()}
        ids = session.scalars(select(entity.id).filter_by(account_id=account).order_by(entity.id))
        free = [str(id) for id in ids if str(id) not in taken]
        by_person = sorted(id for id, row in mapped.items() if row.state == "user")
        if by_person and rng.random() < 0.4:
            chosen = rng.choice(by_person)
            return Wish(account, kind, chosen, "unmap", None, mapped[chosen].version)
        records = session.scalars(
            select(kind.model.vendor_id)
            .where(kind.model.account_id == account_id)
            .order_by(kind.model.vendor_id)
        ).all()
        if not free or not records:
            return None
        chosen, host_id = rng.choice(records), rng.choice(free)
        seen = mapped[chosen].version if chosen in mapped else 0
        return Wish(account, kind, chosen, "map", host_id, seen)


def grant(app: Flask, wished: Wish) -> tuple[int, str]:
    """Let the person do it in the window; return the status and the page."""

    def click() -> tuple[int, str]:
        who = Person(app, PERSONS[wished.account])
        with app.app_context():
            record_id = _record_id(app, wished)
        fields = {"seen": str(wished.seen), "confirmed": "1"}
        if wished.host_id is not None:
            fields["host_id"] = wished.host_id
        answer = who.send(f"/{wished.kind.slug}/{record_id}/{wished.verb}", **fields)
        return answer.status_code, answer.text

    return aside(click)


def sync_now(app: Flask, account: str) -> tuple[int, str]:
    """Let a person click "Sync now"."""

    def click() -> tuple[int, str]:
        answer = Person(app, PERSONS[account]).send("/sync")
        return answer.status_code, answer.text

    return aside(click)


def _record_id(app: Flask, wished: Wish) -> int:
    model: type[Record] = wished.kind.model
    found: int = (
        state_of(app)
        .session.scalars(
            select(model.id)
            .join(Connection, Connection.id == model.account_id)
            .where(Connection.account == wished.account, model.vendor_id == wished.vendor_id)
        )
        .one()
    )
    return found


def aside(work: Callable[[], Any]) -> Any:
    """Do something in a thread of its own, out of the application context that a test stands in."""
    answers: list[Any] = []

    def do() -> None:
        try:
            answers.append(work())
        except BaseException as error:
            answers.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


def check_page(status: int, page: str) -> None:
    """No database shows itself to a person, whatever goes on behind (I-30)."""
    # 404: a parent's row, which is nobody's to see.
    assert status in (200, 404, 409, 503), f"I-30: a page with status {status}"
    for raw in ("database is locked", "psycopg", "sqlite3", "sqlalchemy", "Traceback"):
        assert raw not in page, f"I-30: a page that says {raw}"
