"""Explaining one record among many: notes with a candidate, without one, and a student."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from demo.host.adapter import DemoHost
from ensora_plugin.database import begin_write
from ensora_plugin.explain.explain import explain
from ensora_plugin.host import directory
from ensora_plugin.kinds import NOTE, STUDENT, Kind
from ensora_plugin.models import Note, Student

from .automap import GRACE, World, build, full_pass
from .databases import databases, engine_for, settle, temporary_folder
from .measure import Measurement, in_child
from .sessions import Size
from .worlds import ACCOUNT

_RECORDS = 100


def measure(notes: int, db: str, seed: int) -> Iterator[Measurement]:
    """Measure what one record costs, the median and the slowest of a hundred, in seconds."""
    notes = max(1000, notes // 100 * 100)
    with temporary_folder() as folder, databases(db, folder) as empty:
        url = empty()
        world = World(url, Size.of(notes), notes, seed)
        in_child(build, world)
        in_child(full_pass, world)
        for name, (told, peak) in (
            ("note", in_child(explain_notes, url)),
            ("student", in_child(explain_students, url)),
        ):
            seconds, slowest, correct = told
            note = f"slowest {slowest * 1000:.1f} ms"
            yield Measurement(f"explain-{name}", notes, db, seconds, None, correct, peak, note=note)


def explain_notes(url: str) -> tuple[float, float, bool]:
    """Explain notes that do not map; right is what names the nearest appointment first."""
    with Session(engine_for(url)) as session:
        rows = session.execute(
            select(Note.vendor_id, Note.nearest)
            .where(Note.account_id == 1, Note.why.is_not(None))
            .order_by(Note.id)
            .limit(_RECORDS)
        ).all()
        return _timed(session, NOTE, [(row.vendor_id, row.nearest) for row in rows])


def explain_students(url: str) -> tuple[float, float, bool]:
    """Explain students; right is what names the client of their name first."""
    engine = engine_for(url)
    with Session(engine) as session:
        begin_write(session)
        directory.refresh(session, 1, ACCOUNT, DemoHost())
        session.execute(update(Student).values(why="no_such_client"))
        session.commit()
    settle(engine)
    with Session(engine) as session:
        ids = session.execute(select(Student.vendor_id).order_by(Student.id).limit(_RECORDS))
        return _timed(session, STUDENT, [(row.vendor_id, row.vendor_id[2:]) for row in ids])


def _timed(
    session: Session, kind: Kind, records: list[tuple[str, str | None]]
) -> tuple[float, float, bool]:
    took, correct = [], True
    # Once before, as a process has that is running: its statements are built.
    for vendor_id, nearest in [records[0], *records]:
        began = time.perf_counter()
        told = explain(session, 1, ACCOUNT, DemoHost(), kind, vendor_id, grace=GRACE)
        took.append(time.perf_counter() - began)
        first = told.candidates[0].host_id if told.candidates else None
        correct = correct and (nearest is None or first == nearest)
        session.rollback()
    return median(took[1:]), max(took[1:]), correct and bool(records)
