"""The peers of automap: a loop over the notes with a query each, as one writes it without a plan, a
join in memory, and one statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Mapping_
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Integer, Select, and_, cast, func, select
from sqlalchemy.orm import Session, aliased

from demo.host.models import Appointment, Client, Staff
from ensora_plugin.clock import utcnow
from ensora_plugin.dialect import minute_of_day
from ensora_plugin.models import Mapping, Note, Student, User

from .databases import engine_for
from .measure import Watch
from .sessions import truth_of

#: So many notes are looped over.
SAMPLE = 300
GRACE_MINUTES = 5
_GRACE = timedelta(minutes=GRACE_MINUTES)


def orm_loop(url: str, notes: int) -> float:
    """Return the seconds for `notes` notes, extrapolated from a sample; nothing is kept."""
    watch = Watch()
    with Session(engine_for(url)) as session:
        sample = session.scalars(select(Note).order_by(Note.id).limit(SAMPLE)).all()
        session.connection()
        with watch.running():
            for note in sample:
                _map(session, note)
            session.flush()
        session.rollback()
    return watch.seconds / len(sample) * notes


def _map(session: Session, note: Note) -> None:
    student = session.scalars(select(Student).where(Student.vendor_id == note.student_id)).one()
    user = session.scalars(select(User).where(User.vendor_id == note.user_id)).one()
    found = session.scalars(
        select(Appointment)
        .join(Client, Client.id == Appointment.client_id)
        .join(Staff, Staff.id == Appointment.staff_id)
        .where(
            Appointment.date == note.date,
            func.lower(Client.first_name) == student.first_name.lower(),
            func.lower(Client.last_name) == student.last_name.lower(),
            Client.date_of_birth == student.date_of_birth,
            func.lower(Staff.first_name) == user.first_name.lower(),
            func.lower(Staff.last_name) == user.last_name.lower(),
            Appointment.start.between(*_around(note.start)),
            Appointment.end.between(*_around(note.end)),
        )
    ).first()
    if found is not None:
        pair = {"kind": "peer", "vendor_id": note.vendor_id, "host_id": f"peer-{note.id}"}
        session.add(Mapping(account_id=1, **pair, state="auto", at=utcnow()))


def _around(minute: int | None) -> tuple[time, time]:
    moment = datetime(2000, 1, 1) + timedelta(minutes=minute or 0)  # noqa: DTZ001 - a time of day
    return (moment - _GRACE).time(), (moment + _GRACE).time()


#: A way of matching: pairs of a note and an appointment, out of a database.
Way = Callable[[Session], Iterable[tuple[str, int]] | Mapping_[str, int]]


def ways(db: str) -> dict[str, Way]:
    """Return the plain ways of matching by name; SQLite has no plan for a join by names that ends
    on a large world.
    """
    plain: dict[str, Way] = {"dict_join": _dict_join, "window_function": _window_function}
    return plain if db == "sqlite" else plain | {"text_join": _text_join}


def watched(url: str, way: Way) -> tuple[float, float]:
    """Match in some way; return the seconds, and the share of all notes that it treats as the made
    data ask for. Nothing is kept.
    """
    watch = Watch()
    with Session(engine_for(url)) as session:
        session.connection()
        with watch.running():
            pairs = dict(way(session))
        numbers = [int(note[2:]) for note in session.scalars(select(Note.vendor_id))]
    right = sum(
        pairs.get(f"no{number}") == (number if truth_of(number) is None else None)
        for number in numbers
    )
    return watch.seconds, right / len(numbers)


def _dict_join(session: Session) -> dict[str, int]:
    """Read both sides into memory, and give each note the nearest appointment of its people."""
    mapped = select(Mapping.kind, Mapping.vendor_id, Mapping.host_id)
    people = {
        (kind, vendor_id): int(host_id)
        for kind, vendor_id, host_id in session.execute(mapped.where(Mapping.kind != "note"))
    }
    a = Appointment
    there: dict[tuple[int, int, date], list[Any]] = defaultdict(list)
    for one in session.execute(select(a.id, a.client_id, a.staff_id, a.date, a.start, a.end)):
        there[one.client_id, one.staff_id, one.date].append(one)
    n, found = Note, {}
    for note in session.execute(
        select(n.vendor_id, n.student_id, n.user_id, n.date, n.start, n.end)
    ):
        client, staff = people["student", note.student_id], people["user", note.user_id]
        near = []
        for one in there.get((client, staff, note.date), ()):
            start = abs(one.start.hour * 60 + one.start.minute - note.start)
            end = abs(one.end.hour * 60 + one.end.minute - note.end)
            if max(start, end) <= GRACE_MINUTES:
                near.append((start + end, one.id))
        if near:
            found[note.vendor_id] = min(near)[1]
    return found


def _window_function(session: Session) -> Iterable[tuple[str, int]]:
    """One statement that takes the pairs that are nearest for both sides, without repeating it."""
    return [(row.vendor_id, row.id) for row in session.execute(_nearest_pairs())]


def _nearest_pairs() -> Select[Any]:
    client, staff = aliased(Mapping), aliased(Mapping)
    start = func.abs(minute_of_day(Appointment.start) - Note.start)
    end = func.abs(minute_of_day(Appointment.end) - Note.end)
    near = (
        select(Note.vendor_id, Appointment.id, (start + end).label("apart"))
        .join(client, and_(client.kind == "student", client.vendor_id == Note.student_id))
        .join(staff, and_(staff.kind == "user", staff.vendor_id == Note.user_id))
        .join(
            Appointment,
            and_(
                Appointment.client_id == cast(client.host_id, Integer),
                Appointment.staff_id == cast(staff.host_id, Integer),
                Appointment.date == Note.date,
            ),
        )
        .where(start <= GRACE_MINUTES, end <= GRACE_MINUTES)
        .subquery()
    )
    ranked = select(
        near.c.vendor_id,
        near.c.id,
        func.row_number().over(partition_by=near.c.vendor_id, order_by=near.c.apart).label("a"),
        func.row_number().over(partition_by=near.c.id, order_by=near.c.apart).label("b"),
    ).subquery()
    return select(ranked.c.vendor_id, ranked.c.id).where(ranked.c.a == 1, ranked.c.b == 1)


def _text_join(session: Session) -> dict[str, int]:
    """One statement that joins people by their names, as one writes it who keeps no keys."""
    found: dict[str, int] = {}
    for row in session.execute(_by_names().order_by("apart")):
        found.setdefault(row.vendor_id, row.id)
    return found


def _by_names() -> Select[Any]:
    start = func.abs(minute_of_day(Appointment.start) - Note.start)
    end = func.abs(minute_of_day(Appointment.end) - Note.end)

    def same(ours: Any, theirs: Any) -> Any:
        return and_(
            func.lower(theirs.first_name) == func.lower(ours.first_name),
            func.lower(theirs.last_name) == func.lower(ours.last_name),
        )

    return (
        select(Note.vendor_id, Appointment.id, (start + end).label("apart"))
        .join(Student, Student.vendor_id == Note.student_id)
        .join(User, User.vendor_id == Note.user_id)
        .join(Client, and_(same(Student, Client), Client.date_of_birth == Student.date_of_birth))
        .join(Staff, and_(same(User, Staff), Staff.email == User.email))
        .join(
            Appointment,
            and_(
                Appointment.client_id == Client.id,
                Appointment.staff_id == Staff.id,
                Appointment.date == Note.date,
            ),
        )
        .where(start <= GRACE_MINUTES, end <= GRACE_MINUTES)
    )
