"""Rendering on the demo host: a run's step over mapped notes, one commit an appointment."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from datetime import date, time, timedelta
from functools import cache
from random import Random
from typing import Any

from flask import Flask
from PIL import Image, ImageDraw
from sqlalchemy import Engine, func, select

from demo.host import create_app
from demo.host.adapter import DemoHost
from demo.host.models import Appointment
from demo.host.models import Base as HostBase
from ensora_plugin import Ensora
from ensora_plugin.crypto import Sealer
from ensora_plugin.migrating import upgrade
from ensora_plugin.models import Base, RenderingRow, RunCount
from ensora_plugin.plugin import state_of
from ensora_plugin.pull.content import content_place
from ensora_plugin.rendering.soap import content_bytes
from ensora_plugin.runs.runs import claim, create_run
from ensora_plugin.runs.sync import perform
from ensora_plugin.vendor.records import FieldIn

from .databases import databases, engine_for, settle, temporary_folder
from .measure import Measurement, Watch, in_child
from .worlds import ACCOUNT, CHUNK, agency_of, make_people, mapping, put, record

_KEY = "bench:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
_SINCE = date(2026, 1, 5)
#: Sessions of a therapist on a day, an hour apart, and the clients that they see in turn.
_A_DAY, _CLIENTS = 8, 5
#: One note in so many is not signed, so that it is refused.
_UNSIGNED = 20
_HOST, _OURS = HostBase.metadata.tables, Base.metadata.tables


def measure(notes: int, db: str, seed: int) -> Iterator[Measurement]:
    """Measure over a tenth of the notes, and over all of them: memory must not grow."""
    with temporary_folder() as folder, databases(db, folder) as empty:
        for size in (max(notes // 10, _UNSIGNED), notes):
            url = empty()
            in_child(build, url, size, seed)
            (seconds, counted), peak = in_child(run, url)
            correct = counted == expected(size) and in_child(check, url, size)[0]
            told = f"{size / seconds * 60:,.0f} a minute"
            yield Measurement("render", size, db, seconds, None, correct, peak, note=told)


def expected(notes: int) -> tuple[int, int]:
    """Return how many are rendered, and how many refused."""
    refused = len(range(0, notes, _UNSIGNED))
    return notes - refused, refused


def build(url: str, notes: int, seed: int) -> None:
    """Make a world in which every note is mapped and nothing is rendered yet."""
    engine = engine_for(url)
    HostBase.metadata.create_all(engine)
    upgrade(engine)
    users = max(8, notes // 2000)
    with engine.begin() as connection:
        make_people(connection, students=users * _CLIENTS, users=users)
        put(connection, _HOST["authorization"], (_hours(n) for n in range(1, users * 5 + 1)))
    _make_notes(engine, notes, users, seed)
    settle(engine)


def _make_notes(engine: Engine, notes: int, users: int, seed: int) -> None:
    sealer = Sealer([("bench", base64.b64decode(_KEY.partition(":")[2]))])
    tables = ("ensora_note", "ensora_content", "ensora_mapping", "appointment")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in tables}
    rng = Random(seed)
    for n in range(notes):
        user, slot = n % users + 1, n // users
        day = _SINCE + timedelta(days=slot // _A_DAY)
        student = (user - 1) * _CLIENTS + slot % _CLIENTS + 1
        start = 480 + slot % _A_DAY * 60
        place = {"day": day, "start": start, "student": student, "user": user}
        rows["ensora_note"].append(_note(n, **place))
        fields = content_bytes(_fields(n, day, start, rng))
        sealed = sealer.seal(fields, *content_place(1, f"no{n}", 1))
        content = {"account_id": 1, "note_id": f"no{n}", "version": 1, "sealed": sealed}
        rows["ensora_content"].append(content)
        rows["ensora_mapping"].append(mapping("note", f"no{n}", n + 1))
        rows["appointment"].append(_appointment(n + 1, **place))
        if len(rows["appointment"]) == CHUNK // 10 or n == notes - 1:
            with engine.begin() as connection:
                for name in tables:
                    put(connection, (_OURS | _HOST)[name], rows[name])
                    rows[name].clear()


def _hours(client: int) -> dict[str, Any]:
    # Years of five clients' sessions fit in.
    days = {"starts_on": date(2026, 1, 1), "ends_on": date(2199, 12, 31)}
    return {"id": client, "client_id": client, "number": f"A-{client}", "hours": 1e6, **days}


def _note(n: int, *, day: date, start: int, student: int, user: int) -> dict[str, Any]:
    return record(n + 1, "no") | {
        "vendor_id": f"no{n}",
        "version": 1,
        "status": "published",
        "site_id": f"si{agency_of(student)}",
        "student_id": f"st{student}",
        "user_id": f"us{user}",
        "template": "Note",
        "date": day,
        "start": start,
        "end": start + 45,
        "sort_key": f"{day} {start:04}",
        "therapist_signed": n % _UNSIGNED != 0,
        "guardian_signed": False,
        "touched": 0,
    }


def _appointment(n: int, *, day: date, start: int, student: int, user: int) -> dict[str, Any]:
    return {
        "id": n,
        "account_id": ACCOUNT,
        "agency_id": agency_of(student),
        "client_id": student,
        "staff_id": user,
        "date": day,
        "start": time(*divmod(start, 60)),
        "end": time(*divmod(start + 45, 60)),
    }


def text_of(n: int) -> str:
    """Return the text of a note, about 2 KB."""
    return f"Session {n}. " + "Worked on requesting and turn taking. " * 50


def _fields(n: int, day: date, start: int, rng: Random) -> list[FieldIn]:
    times = [f"{minute // 60:02}:{minute % 60:02}" for minute in (start, start + 45)]
    signed = {"image": _ink(rng.randrange(20)), "signedAt": "2026-01-05T15:00:00Z"}
    values = [
        ("Date", "date", str(day)),
        ("Start Time", "time", times[0]),
        ("End Time", "time", times[1]),
        ("Notes", "text", text_of(n)),
        ("Location", "location", {"latitude": 40.7, "longitude": -74.0}),
        ("Therapist Signature", "signature", signed if n % _UNSIGNED else None),
    ]
    return [FieldIn(*value) for value in values]


@cache
def _ink(which: int) -> str:
    """A signature as a tablet draws it, as a data URL."""
    rng = Random(which)
    picture = Image.new("RGBA", (400, 150), (0, 0, 0, 0))
    points = [(20 + 12 * step, rng.randrange(20, 130)) for step in range(30)]
    ImageDraw.Draw(picture).line(points, fill=(10, 20, 80, 255), width=3, joint="curve")
    out = io.BytesIO()
    picture.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def open_app(url: str) -> Flask:
    """Return the demo host with the plugin over a database."""
    app = create_app({"SECRET_KEY": "bench", "SQLALCHEMY_DATABASE_URI": url, "ENSORA_KEYS": _KEY})
    Ensora().init_app(app, DemoHost())
    return app


def run(url: str) -> tuple[float, tuple[int, int]]:
    """Do a run with the step render; return its seconds, and how many it rendered and refused."""
    app, watch = open_app(url), Watch()
    with app.app_context():
        state = state_of(app)
        session = state.session
        run_id = create_run(session, 1, cause="command", by="bench", steps=("render",))
        claimed = claim(session, run_id, state.settings.lease_seconds)
        assert claimed
        with watch.running():
            perform(state.services(), claimed)
        row = session.scalars(select(RunCount).where(RunCount.run_id == run_id)).one()
        return watch.seconds, (row.rendered, row.refused)


def check(url: str, notes: int) -> bool:
    """Tell whether each appointment has the text of its note, and each note one rendering."""
    with engine_for(url).connect() as connection:
        once = connection.scalar(
            select(func.count()).select_from(RenderingRow).where(RenderingRow.applied)
        )
        texts = connection.execute(
            select(Appointment.id, Appointment.results_notes), execution_options={"yield_per": 1000}
        )
        return once == notes and all(row.results_notes == text_of(row.id - 1) for row in texts)
