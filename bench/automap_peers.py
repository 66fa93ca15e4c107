"""The peer of automap: a loop over the notes with a query each, as one writes it without a plan."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from demo.host.models import Appointment, Client, Staff
from ensora_plugin.clock import utcnow
from ensora_plugin.models import Mapping, Note, Student, User

from .databases import engine_for
from .measure import Watch

#: So many notes are looped over.
SAMPLE = 300
_GRACE = timedelta(minutes=5)


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
