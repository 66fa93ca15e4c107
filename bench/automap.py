"""Automap of session notes: a full pass, 500 new ones, nothing new, the unmapped ones again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from statistics import median

from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.orm import Session

from demo.host.adapter import DemoHost
from demo.host.models import Base as HostBase
from ensora_plugin.automap.notes import automap_notes
from ensora_plugin.database import begin_write
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Connection, Mapping, Note

from .automap_linkers import linkers
from .automap_peers import SAMPLE, orm_loop, watched, ways
from .databases import databases, engine_for, settle, temporary_folder
from .measure import Measurement, Watch, in_child
from .sessions import Size, make_sessions, truth, truth_of
from .worlds import ACCOUNT, make_people

GRACE = 5
NEW = 500
#: How far before the newest note the unmapped ones are tried again.
RECHECK = timedelta(days=90)
#: A short pass is measured so often; the median counts.
_ROUNDS = 3
#: Numbers of sessions begin here.
_FIRST = 100


@dataclass(frozen=True)
class Pass:
    """What a pass over the notes did: seconds, mappings made, whether all notes are as they have
    to be, and for how many notes it had to find out.
    """

    seconds: float
    made: int
    correct: bool
    looked_at: int = 0


@dataclass(frozen=True)
class World:
    """A database with a world in it."""

    url: str
    size: Size
    notes: int
    seed: int

    def numbers(self, *, more: int = 0) -> range:
        """Return the numbers of the sessions that were made, `more` of them afterwards."""
        return range(_FIRST, _FIRST + self.notes + more)


def measure(notes: int, db: str, seed: int) -> Iterator[Measurement]:
    """Measure over `notes` notes, and 500 new ones also over a tenth of them."""
    notes = max(1000, notes // 1000 * 1000)
    with temporary_folder() as folder, databases(db, folder) as empty:
        small = World(empty(), Size.of(notes // 10), notes // 10, seed)
        in_child(build, small)
        in_child(full_pass, small)
        few, _ = in_child(new_pass, small)

        large = World(empty(), Size.of(notes), notes, seed)
        in_child(build, large)
        full, peak = in_child(full_pass, large)
        floor, _ = in_child(floor_seconds, large, full.made)
        peer, _ = in_child(orm_loop, large.url, notes)
        told = f"ORM loop extrapolated from {SAMPLE} notes; the others write nothing"
        peers = {"orm_loop": peer}
        for name, way in (ways(db) | linkers()).items():
            (peers[name], share), taken = in_child(watched, large.url, way)
            told += f", {name} {100 * share:.2f} % right in {taken:.0f} MB"
        yield Measurement(
            "automap", notes, db, full.seconds, floor, full.correct, peak, peers, told
        )
        new, peak = in_child(new_pass, large)
        told = f"{new.seconds / few.seconds:.2f} x what {NEW} on {notes // 10:,} cost"
        yield Measurement(
            "automap-500-new", notes, db, new.seconds, None, new.correct, peak, note=told
        )
        none, peak = in_child(empty_pass, large, None)
        yield Measurement("automap-nothing-new", notes, db, none.seconds, None, none.correct, peak)
        again, peak = in_child(empty_pass, large, RECHECK)
        told = f"{again.looked_at:,} unmapped notes of {RECHECK.days} days looked at again"
        yield Measurement(
            "automap-again", notes, db, again.seconds, None, again.correct, peak, note=told
        )


def build(world: World) -> None:
    """Make both sides' tables and the world."""
    engine = engine_for(world.url)
    HostBase.metadata.create_all(engine)
    upgrade(engine)
    with engine.begin() as connection:
        make_people(connection, students=world.size.students, users=world.size.users)
        make_sessions(connection, world.size, world.numbers(), world.seed)
    settle(engine)


def full_pass(world: World) -> Pass:
    """Map everything."""
    engine = engine_for(world.url)
    done = _pass(engine, run_id=2)
    return _checked(engine, world.numbers(), [done])


def new_pass(world: World) -> Pass:
    """Let 500 notes come on top, and map what may map now."""
    engine = engine_for(world.url)
    _warm(engine)
    passes = []
    for more in range(0, _ROUNDS * NEW, NEW):
        first = world.numbers(more=more).stop
        with engine.begin() as connection:
            make_sessions(connection, world.size, range(first, first + NEW), world.seed)
            generation = connection.scalar(select(Connection.generation))
            connection.execute(update(Note).where(Note.id >= first).values(touched=generation))
        settle(engine)
        passes.append(_pass(engine, run_id=3 + more))
    return _checked(engine, world.numbers(more=_ROUNDS * NEW), passes)


def empty_pass(world: World, again: timedelta | None) -> Pass:
    """Try the unmapped notes of the newest days again, or none; nothing comes of it."""
    engine = engine_for(world.url)
    _warm(engine)
    numbers = world.numbers(more=_ROUNDS * NEW)
    since = world.size.day_of(numbers[-1]) - again if again else None
    passes = [_pass(engine, run_id=1, since=since) for _ in range(_ROUNDS)]
    return replace(_checked(engine, numbers, passes), looked_at=_unmapped(engine, since))


def _unmapped(engine: Engine, since: date | None) -> int:
    """Count the unmapped notes from a day on; none without a day."""
    if since is None:
        return 0
    which = Note.why.is_not(None), Note.date >= since
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).where(*which)) or 0


def _warm(engine: Engine) -> None:
    """Do a pass over a few notes, as a running worker has done: its statements are built."""
    with engine.begin() as connection:
        generation = connection.scalar(select(Connection.generation))
        few = range(_FIRST, _FIRST + 10)
        connection.execute(update(Note).where(Note.id.in_(few)).values(touched=generation))
    _pass(engine, run_id=1)


def _pass(engine: Engine, *, run_id: int, since: date | None = None) -> Pass:
    watch = Watch()
    with Session(engine) as session, watch.running():
        begin_write(session)
        result = automap_notes(
            session, 1, ACCOUNT, DemoHost(), grace=GRACE, run_id=run_id, since=since
        )
        session.commit()
    return Pass(watch.seconds, result.made, True)


def _checked(engine: Engine, numbers: range, passes: list[Pass]) -> Pass:
    """Return the passes as one: the median of their seconds, and whether the world is right."""
    with Session(engine) as session:
        right = _mappings_are_true(session) and _reasons_are_true(session, numbers)
    seconds = median(one.seconds for one in passes)
    return Pass(seconds, sum(one.made for one in passes), right)


def _mappings_are_true(session: Session) -> bool:
    """Tell whether each mapped note maps to the appointment of its own number, and has to."""
    pairs = session.execute(
        select(Mapping.vendor_id, Mapping.host_id).where(Mapping.kind == "note")
    ).yield_per(10_000)
    return all(note == f"no{host}" and truth_of(int(host)) is None for note, host in pairs)


def _reasons_are_true(session: Session, numbers: range) -> bool:
    """Tell whether as many notes as have to are mapped, and have each reason."""
    reasons = select(Note.why, func.count()).where(Note.why.is_not(None)).group_by(Note.why)
    found: Counter[str | None] = Counter(dict(session.execute(reasons).tuples().all()))
    found[None] = session.scalar(select(func.count()).where(Mapping.kind == "note")) or 0
    return found == truth(numbers)


def floor_seconds(world: World, rows: int) -> float:
    """Write as many mappings by one INSERT .. SELECT, all constraints in place, into the table
    without any; then put those back that stood there.
    """
    engine, watch = engine_for(world.url), Watch()
    kept = "CREATE TABLE kept_mapping AS SELECT * FROM ensora_mapping WHERE kind = 'note'"
    with engine.begin() as connection:
        connection.execute(text(kept))
        connection.execute(delete(Mapping).where(Mapping.kind == "note"))
    settle(engine)
    with engine.connect() as connection, watch.running():
        connection.execute(_FLOOR, {"rows": rows})
        connection.commit()
    with engine.begin() as connection:
        connection.execute(delete(Mapping).where(Mapping.kind == "note"))
        connection.execute(text("INSERT INTO ensora_mapping SELECT * FROM kept_mapping"))
        connection.execute(text("DROP TABLE kept_mapping"))
    settle(engine)
    return watch.seconds


_FLOOR = text(
    "INSERT INTO ensora_mapping "
    "(account_id, kind, vendor_id, host_id, state, run_id, at, version) "
    "SELECT account_id, 'note', vendor_id, CAST(id AS VARCHAR), 'auto', 9, "
    "modified_at, 1 FROM ensora_note ORDER BY id LIMIT :rows"
)
