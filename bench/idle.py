"""A run with nothing new at the vendor and nothing changed in the host: what it costs us."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from sqlalchemy import Engine, delete, select, text, update
from sqlalchemy.orm import Session

from demo.host.adapter import DemoHost
from demo.host.models import Base as HostBase
from ensora_plugin.config import Settings
from ensora_plugin.crypto import Sealer
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Connection, HostMark, Mapping, Student
from ensora_plugin.runs.runs import claim, create_run
from ensora_plugin.runs.sync import Services, perform
from ensora_plugin.vendor.pages import Page

from .automap import World, full_pass
from .databases import databases, engine_for, settle, temporary_folder
from .measure import Measurement, in_child
from .sessions import Size, make_sessions
from .worlds import ACCOUNT, make_people

_RUNS = 7
#: Of so many students one has no client.
_UNMAPPED = 20
_FEEDS = 4


class Undated(DemoHost):
    """The demo's host, whose SELECTs do not say when a row changed."""

    def clients(self, account: str) -> Any:
        return _without(super().clients(account))

    def staff(self, account: str) -> Any:
        return _without(super().staff(account))

    def appointments(self, account: str) -> Any:
        return _without(super().appointments(account))


def _without(statement: Any) -> Any:
    kept = [one for one in statement.selected_columns if one.key != "updated_at"]
    return statement.with_only_columns(*kept, maintain_column_froms=True)


class Quiet:
    """A vendor that has nothing new, and answers at once."""

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def whose(self) -> str:
        return "bench"

    def page(self, kind: str, cursor: str | None, size: int) -> Page[Any]:
        self.asked += 1
        return Page([], cursor or "0", False, cursor)


def measure(notes: int, db: str, seed: int, clients: int) -> Iterator[Measurement]:
    """Measure a run with and without `updated_at` in the host's SELECTs."""
    notes = max(1000, notes // 100 * 100)
    with temporary_folder() as folder, databases(db, folder) as empty:
        url = empty()
        world = World(url, Size(students=clients, users=max(8, clients // 10)), notes, seed)
        in_child(build, world)
        in_child(full_pass, world)
        in_child(rendered, url)
        for name, host in (("idle", Undated), ("idle-updated-at", DemoHost)):
            (seconds, slowest, correct), peak = in_child(runs, url, host)
            note = f"slowest {slowest * 1000:.0f} ms"
            yield Measurement(name, notes, db, seconds, None, correct, peak, note=note)


def build(world: World) -> None:
    """Make both sides' tables and a world, whose rows changed one after the other."""
    engine = engine_for(world.url)
    HostBase.metadata.create_all(engine)
    upgrade(engine)
    with engine.begin() as connection:
        make_people(connection, students=world.size.students, users=world.size.users)
        make_sessions(connection, world.size, world.numbers(), world.seed)
        for table in ("client", "staff", "appointment"):
            connection.execute(text(_SPREAD[engine.dialect.name].format(table)))
        lonely = select(Student.vendor_id).where(Student.id % _UNMAPPED == 0)
        connection.execute(
            delete(Mapping).where(Mapping.kind == "student", Mapping.vendor_id.in_(lonely))
        )
        away = {"first_name": "Nobody", "match_key": Student.match_key + " nobody"}
        connection.execute(update(Student).where(Student.id % _UNMAPPED == 0).values(away))
        connection.execute(text(_MEMBERS))
    settle(engine)


_SPREAD = {
    "sqlite": "UPDATE {} SET updated_at = "
    "strftime('%Y-%m-%d %H:%M:%f000', updated_at, '+' || id || ' seconds')",
    "postgresql": "UPDATE {} SET updated_at = updated_at + id * interval '1 second'",
}
_MEMBERS = (
    "INSERT INTO ensora_membership (account_id, kind, vendor_id, site_id) "
    "SELECT account_id, 'student', vendor_id, site_id FROM ensora_student"
)


def rendered(url: str) -> None:
    """Write down that every mapped note was rendered."""
    engine = engine_for(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ensora_rendering (account_id, note_id, version, appointment_id, "
                "state, applied, refusals, signatures, run_id, at) "
                "SELECT account_id, vendor_id, 1, host_id, "
                "'rendered', :yes, '[]', '{}', 1, at FROM ensora_mapping WHERE kind = 'note'"
            ),
            {"yes": True},
        )
        connection.execute(update(Mapping).values(unrendered=False))
    settle(engine)


def runs(url: str, host: type[DemoHost]) -> tuple[float, float, bool]:
    """Do runs one after the other; the median and the slowest, without the first two."""
    engine, vendor, took = engine_for(url), Quiet(), []
    before = None
    for _ in range(_RUNS):
        took.append(_run(engine, host(), vendor))
        settled, before = before, _mapped(engine)
        # As if the last change in the host was long ago.
        with engine.begin() as connection:
            connection.execute(update(HostMark).values(settled=True))
    correct = settled == before and vendor.asked == _RUNS * _FEEDS
    return median(took[2:]), max(took[2:]), correct


def _run(engine: Engine, host: DemoHost, vendor: Quiet) -> float:
    with Session(engine) as session:
        settings = Settings()
        run_id = create_run(session, 1, cause="command", by="bench")
        began = time.perf_counter()
        claimed = claim(session, run_id, settings.lease_seconds)
        assert claimed is not None
        assert claimed.account == ACCOUNT
        sealer = Sealer({})

        def answer(_connection: Connection) -> Any:
            return vendor

        perform(Services(session, host, settings, sealer, answer), claimed)
        return time.perf_counter() - began


def _mapped(engine: Engine) -> tuple[int, int]:
    with engine.connect() as connection:
        counted = "SELECT (SELECT count(*) FROM ensora_mapping), count(why) FROM ensora_student"
        mappings, whys = connection.execute(text(counted)).one()
        return mappings, whys
