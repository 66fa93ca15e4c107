"""Automap of session notes: a full pass, 500 new notes on top, the unmapped again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine, delete, select, text, update
from sqlalchemy.orm import Session

from demo.host.adapter import DemoHost
from demo.host.models import Base as HostBase
from ensora_plugin.automap_notes import automap_notes
from ensora_plugin.database import begin_write
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Connection, Mapping, Note

from .automap_peers import orm_loop
from .databases import databases, engine_for, settle, temporary_folder
from .measure import Measurement, Watch, in_child
from .worlds import ACCOUNT, Made, make_people, make_sessions

GRACE = 5
NEW = 500
#: Unmapped notes from this day on are tried again in the pass that is measured apart.
_SINCE = date(2026, 1, 5)
_FIRST = 100


@dataclass
class Pass:
    """What a pass over the notes did: seconds, mappings made, whether all mappings are the true
    ones.
    """

    seconds: float
    made: int
    correct: bool


def measure(notes: int, db: str, seed: int) -> Iterator[Measurement]:
    """Measure over `notes` notes, and 500 new ones also over a tenth of them."""
    notes = max(1000, notes // 100 * 100)
    with temporary_folder() as folder, databases(db, folder) as empty:
        small, url = empty(), empty()
        made = in_child(build, small, notes // 10, seed)[0]
        in_child(full_pass, small, made)
        few = in_child(new_pass, small, made, notes // 10, seed)[0][0]

        made = in_child(build, url, notes, seed)[0]
        full, peak = in_child(full_pass, url, made)
        (new, made), new_peak = in_child(new_pass, url, made, notes, seed)
        again, again_peak = in_child(again_pass, url, made)
        peer = in_child(orm_loop, url, notes)[0]
        floor = in_child(floor_seconds, url, full.made)[0]
    yield Measurement(
        "automap", notes, db, full.seconds, floor, full.correct, peak, {"orm_loop": peer}
    )
    told = f"{new.seconds / few.seconds:.2f} x what {NEW} on {notes // 10:,} cost"
    yield Measurement(
        "automap-500-new", notes, db, new.seconds, None, new.correct, new_peak, note=told
    )
    told = f"unmapped since {_SINCE}"
    yield Measurement(
        "automap-again", notes, db, again.seconds, None, again.correct, again_peak, note=told
    )


def build(url: str, notes: int, seed: int) -> Made:
    """Make both sides' tables and a world of `notes` notes; return what has to come of it."""
    engine = engine_for(url)
    HostBase.metadata.create_all(engine)
    upgrade(engine)
    made = Made(notes, students=max(20, notes // 50), users=max(8, notes // 500))
    with engine.begin() as connection:
        make_people(connection, students=made.students, users=made.users)
        make_sessions(connection, made, first=_FIRST, count=notes, seed=seed)
    settle(engine)
    return made


def full_pass(url: str, made: Made) -> Pass:
    """Map everything."""
    return _pass(engine_for(url), made, run_id=2)


def new_pass(url: str, made: Made, notes: int, seed: int) -> tuple[Pass, Made]:
    """Let 500 notes come on top, and map what may map now."""
    engine = engine_for(url)
    first = _FIRST + notes
    _warm(engine)
    with engine.begin() as connection:
        make_sessions(connection, made, first=first, count=NEW, seed=seed)
        generation = connection.scalar(select(Connection.generation))
        connection.execute(update(Note).where(Note.id >= first).values(touched=generation))
    settle(engine)
    return _pass(engine, made, run_id=3), made


def again_pass(url: str, made: Made) -> Pass:
    """Try the unmapped of the last days once more; nothing comes of it."""
    engine = engine_for(url)
    _warm(engine)
    return _pass(engine, made, run_id=4, since=_SINCE)


def _warm(engine: Engine) -> None:
    """Do a pass with nothing to do, as a worker has that is running: its statements are built."""
    with Session(engine) as session:
        begin_write(session)
        automap_notes(session, 1, ACCOUNT, DemoHost(), grace=GRACE, run_id=1, since=None)
        session.commit()


def _pass(engine: Engine, made: Made, *, run_id: int, since: date | None = None) -> Pass:
    watch = Watch()
    with Session(engine) as session:
        with watch.running():
            begin_write(session)
            result = automap_notes(
                session, 1, ACCOUNT, DemoHost(), grace=GRACE, run_id=run_id, since=since
            )
            session.commit()
        return Pass(watch.seconds, result.made, _is_true(session, made))


def _is_true(session: Session, made: Made) -> bool:
    """Tell whether the notes' mappings are the true pairs, no more and no fewer."""
    pairs = session.execute(
        select(Mapping.vendor_id, Mapping.host_id).where(Mapping.kind == "note")
    ).yield_per(10_000)
    left = dict(made.pairs)
    return all(left.pop(int(note[2:]), None) == int(host) for note, host in pairs) and not left


def floor_seconds(url: str, rows: int) -> float:
    """Write as many mappings by one INSERT .. SELECT, all constraints in place, into the table
    without any.
    """
    engine, watch = engine_for(url), Watch()
    with engine.begin() as connection:
        connection.execute(delete(Mapping).where(Mapping.kind == "note"))
    settle(engine)
    with engine.connect() as connection, watch.running():
        connection.execute(
            text(
                "INSERT INTO ensora_mapping "
                "(account_id, kind, vendor_id, host_id, state, run_id, at, version) "
                "SELECT account_id, 'note', vendor_id, CAST(id AS VARCHAR), 'auto', 9, "
                "modified_at, 1 FROM ensora_note ORDER BY id LIMIT :rows"
            ),
            {"rows": rows},
        )
        connection.commit()
    return watch.seconds
