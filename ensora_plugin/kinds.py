"""The four kinds: site, student, user, note. What varies between them is data, here alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, false

from .clock import as_utc
from .host.port import Entity
from .models import Note, Record, Site, Student, User
from .rendering.soap import Session, read_session
from .text import LONGEST_NAME, joint_key, list_keys, text_key
from .vendor.records import NoteIn, SiteIn, StudentIn, UserIn, checked_date


@dataclass(frozen=True)
class Kind:
    """A kind of the vendor's record and the host's entity that it stands for.

    `compared` are the columns, of record and host alike, that must be equal in full (domain:
    Automap); it is empty for notes, which match by time. `row` turns a record of the feed into
    columns; `sites` names its sites.
    """

    name: str
    entity: Entity
    model: type[Record]
    noun: str
    plural: str
    #: The words of the tab, and of the host's entity in it.
    tab: str
    entity_noun: str
    compared: tuple[str, ...]
    #: Why a record does not map that no entity equals, and one with a blank compared value.
    none_equal: str
    blank: str
    row: Callable[[Any], dict[str, Any]]
    #: The part of an address that stands for the tab.
    slug: str
    newest_first: bool = False
    sites: Callable[[Any], list[str]] | None = None
    #: Records that never map and are shown to nobody.
    outside: ColumnElement[bool] = field(default_factory=false)
    #: Records that nobody has to map: inactive ones, and notes that are not published.
    settled: ColumnElement[bool] = field(default_factory=false)

    def in_use(self, columns: Mapping[str, Any]) -> bool:
        """Tell by a row's columns what `settled` tells in SQL: active, or published."""
        if "status" in columns:
            return bool(columns["status"] == "published")
        return bool(columns["active"])

    @property
    def by_site(self) -> bool:
        """Whether the entity has to be of the agency that a site of the record is mapped to."""
        return self.sites is not None


def _site(record: SiteIn) -> dict[str, Any]:
    return {
        "name": record.name,
        "active": record.active,
        "match_key": joint_key(record.name),
        **list_keys(record.name),
    }


def _student(record: StudentIn) -> dict[str, Any]:
    born = checked_date(record.date_of_birth)
    return {
        "site_id": record.site_id,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "date_of_birth": born.date() if born else None,
        "time_zone": record.time_zone,
        "active": record.active,
        "match_key": joint_key(record.first_name, record.last_name, record.date_of_birth),
        **list_keys(record.first_name, record.last_name),
    }


def _user(record: UserIn) -> dict[str, Any]:
    # A parent is no staff: without a key nothing ever equals them.
    employee = record.type == "Employee"
    key = joint_key(record.first_name, record.last_name, record.email) if employee else None
    return {
        "type": record.type,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "email": record.email,
        "email_key": text_key(record.email)[:LONGEST_NAME],
        "title": record.title,
        "active": record.active,
        "match_key": key,
        **list_keys(record.first_name, record.last_name),
    }


def _note(record: NoteIn) -> dict[str, Any]:
    session = read_session(record.fields)
    readable = session.readable
    return {
        "version": record.version,
        "status": record.status,
        "site_id": record.site_id,
        "student_id": record.student_id,
        "user_id": record.user_id,
        "picked": record.appointment_id,
        "template": record.template,
        "published_at": as_utc(record.published_at),
        "date": session.date if readable else None,
        "start": session.start if readable else None,
        "end": session.end if readable else None,
        "sort_key": _when(record, session),
        "therapist_signed": session.therapist_signed,
        "guardian_signed": session.guardian_signed,
    }


def _when(record: NoteIn, session: Session) -> str:
    """Return when a note stands in lists: day and time of the session, else of its last change."""
    if session.date is None or session.start is None:
        return f"{record.modified_at:%Y-%m-%d %H:%M}"
    return f"{session.date} {session.start // 60:02}:{session.start % 60:02}"


SITE = Kind(
    name="site",
    entity="agency",
    model=Site,
    noun="Site",
    plural="Sites",
    tab="Agencies",
    entity_noun="Agency",
    compared=("name",),
    none_equal="no_agency_of_that_name",
    blank="no_agency_of_that_name",
    row=_site,
    slug="agencies",
    settled=~Site.active,
)
STUDENT = Kind(
    name="student",
    entity="client",
    model=Student,
    noun="Student",
    plural="Students",
    tab="Clients",
    entity_noun="Client",
    compared=("first_name", "last_name", "date_of_birth"),
    none_equal="no_such_client",
    blank="empty_name_or_birth_date",
    row=_student,
    slug="clients",
    settled=~Student.active,
    sites=lambda record: [record.site_id],
)
USER = Kind(
    name="user",
    entity="staff",
    model=User,
    noun="User",
    plural="Users",
    tab="Staff",
    entity_noun="Staff",
    compared=("first_name", "last_name", "email"),
    none_equal="no_such_staff",
    blank="empty_name_or_email",
    row=_user,
    slug="staff",
    settled=~User.active,
    sites=lambda record: list(dict.fromkeys(record.site_ids)),
    outside=User.type == "Parent",
)
NOTE = Kind(
    name="note",
    entity="appointment",
    model=Note,
    noun="Session note",
    plural="Session notes",
    tab="Appointments",
    entity_noun="Appointment",
    compared=(),
    none_equal="no_appointment_that_day",
    blank="unreadable_date_or_time",
    row=_note,
    slug="appointments",
    newest_first=True,
    settled=Note.status != "published",
)

#: In the order in which they are pulled and mapped: each stands on the ones before it.
KINDS: tuple[Kind, ...] = (SITE, STUDENT, USER, NOTE)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
BY_SLUG: Mapping[str, Kind] = {kind.slug: kind for kind in KINDS}
