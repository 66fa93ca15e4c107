"""Plain worlds as rows of the demo host, records of the vendor and rows of the plugin."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from ensora_plugin.vendor.records import SiteIn, StudentIn, UserIn
from tests.slow_world import Entity, Person, Session

_THEN = datetime(2026, 11, 20, tzinfo=UTC)
_NAIVE = _THEN.replace(tzinfo=None)


def client_row(one: Entity) -> dict[str, Any]:
    first, last, born = one.facts
    return {
        "id": int(one.id),
        "agency_id": int(min(one.agencies)),
        "first_name": first,
        "last_name": last,
        "date_of_birth": date.fromisoformat(born),
        "active": one.active,
        "updated_at": _NAIVE,
    }


def staff_row(one: Entity) -> dict[str, Any]:
    first, last, email = one.facts
    names = {"first_name": first, "last_name": last, "email": email}
    return {"id": int(one.id), **names, "active": one.active, "updated_at": _NAIVE}


def appointment_row(one: Session) -> dict[str, Any]:
    agency, client, staff = map(int, one.people)
    return {
        "id": int(one.id),
        "agency_id": agency,
        "client_id": client,
        "staff_id": staff,
        "date": one.day,
        "start": _time(one.start, 59),
        "end": _time(one.end),
        "status": "scheduled" if one.counts else "cancelled",
        "updated_at": _NAIVE,
    }


def _time(minute: int, second: int = 0) -> time:
    return time(minute // 60, minute % 60, second)


def site_row(one: Person) -> SiteIn:
    return SiteIn(one.id, one.facts[0], one.active, _THEN)


def student_row(one: Person) -> StudentIn:
    return StudentIn(one.id, min(one.sites), *one.facts, one.zone, one.active, _THEN)


def user_row(one: Person) -> UserIn:
    kind = "Parent" if one.parent else "Employee"
    return UserIn(one.id, kind, sorted(one.sites), *one.facts, one.active, _THEN)


def note_row(one: Session) -> dict[str, Any]:
    site, student, user = one.people
    read = one.day is not None
    return {
        "version": 1,
        "status": "published" if one.counts else "unpublished",
        "site_id": site,
        "student_id": student,
        "user_id": user,
        "picked": one.picked,
        "template": "SOAP",
        "date": one.day,
        "start": one.start if read else None,
        "end": one.end if read else None,
        "sort_key": "",
        "therapist_signed": False,
        "guardian_signed": False,
    }


def stamp(vendor_id: str) -> dict[str, Any]:
    return {"vendor_id": vendor_id, "modified_at": _NAIVE, "checksum": b""}
