"""A tiny practice by hand: a row of the host or a record of the vendor is one line.

    small = Small()
    small.trio()                          # agency and site, client and student, staff and user
    note = small.note()                   # 13:00 to 14:00 on `DAY`
    appointment = small.appointment(start="13:02")
    with open_small(url, small) as practice:
        practice.run()

Everything belongs to the first account, unless a `Small` is made for the other one. Host ids count
from 1, vendor ids are "site-1" and so on; both are returned. What is not said is equal on both
sides, so that it maps.
"""

from __future__ import annotations

import base64
import io
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

from PIL import Image, ImageDraw

from tests.practices import ADMINS

#: The day of the sessions, and the world's day, on whose first hours the clock stands.
DAY, TODAY = date(2026, 11, 19), date(2026, 11, 20)
EAST = "America/New_York"
ACCOUNT, OTHER = ADMINS
ORGANIZATION = f"org-{ACCOUNT}"
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_BORN = "2016-02-29"


@cache
def ink() -> str:
    """A signature with ink in it, as a data URL."""
    picture = Image.new("L", (60, 30), 255)
    ImageDraw.Draw(picture).line((5, 5, 50, 25), fill=0, width=3)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


class Small:
    """Rows of the host and records of the vendor of one account."""

    def __init__(self, account: str = ACCOUNT, *, ids_from: int = 1) -> None:
        self.account = account
        self.ids_from = ids_from
        tables = ("agency", "client", "staff", "staff_agency", "authorization", "appointment")
        self.host: dict[str, list[dict[str, Any]]] = {table: [] for table in tables}
        self.vendor: dict[str, list[dict[str, Any]]] = {
            feed: [] for feed in ("sites", "students", "users_feed", "notes")
        }

    # The host.

    def agency(self, name: str = "Northside", zone: str = EAST, **more: Any) -> int:
        return self._row("agency", name=name, time_zone=zone, **more)

    def client(
        self, name: str = "Amir Haddad", born: str = _BORN, *, agency: int = 1, **more: Any
    ) -> int:
        """A client with more hours than their notes can use up."""
        first, last = _names(name)
        client = self._row(
            "client",
            agency_id=agency,
            first_name=first,
            last_name=last,
            date_of_birth=date.fromisoformat(born),
            **more,
        )
        year = {"starts_on": date(2026, 1, 1), "ends_on": date(2026, 12, 31)}
        self._row("authorization", client_id=client, number=f"A-{client}", hours=999.0, **year)
        return client

    def staff(
        self,
        name: str = "Jo Keller",
        email: str = "jo@clinic.example",
        *,
        agencies: tuple[int, ...] = (1,),
        **more: Any,
    ) -> int:
        first, last = _names(name)
        staff = self._row("staff", first_name=first, last_name=last, email=email, **more)
        self.host["staff_agency"] += [{"staff_id": staff, "agency_id": one} for one in agencies]
        return staff

    def appointment(
        self,
        start: str = "13:00",
        end: str = "14:00",
        day: date = DAY,
        *,
        client: int = 1,
        staff: int = 1,
        agency: int = 1,
        **more: Any,
    ) -> int:
        return self._row(
            "appointment",
            agency_id=agency,
            client_id=client,
            staff_id=staff,
            date=day,
            start=time.fromisoformat(start),
            end=time.fromisoformat(end),
            **more,
        )

    # The vendor.

    def site(self, name: str = "Northside", **more: Any) -> str:
        return self._record("sites", "site", name=name, active=True, **more)

    def student(
        self,
        name: str = "Amir Haddad",
        born: str = _BORN,
        *,
        site: str = "site-1",
        zone: str = EAST,
        active: bool = True,
        **more: Any,
    ) -> str:
        first, last = _names(name)
        facts = {"siteId": site, "firstName": first, "lastName": last, "dateOfBirth": born}
        return self._record("students", "student", **facts, timeZone=zone, active=active, **more)

    def user(
        self,
        name: str = "Jo Keller",
        email: str = "jo@clinic.example",
        *,
        sites: tuple[str, ...] = ("site-1",),
        type: str = "Employee",
        active: bool = True,
        **more: Any,
    ) -> str:
        first, last = _names(name)
        facts = {"type": type, "siteIds": list(sites), "firstName": first, "lastName": last}
        return self._record("users_feed", "user", **facts, email=email, active=active, **more)

    def note(self, start: str = "13:00", end: str = "14:00", day: date = DAY, **more: Any) -> str:
        """A published note; see `draft` for what can be said."""
        return self._record("notes", "note", version=1, **draft(start, end, day, **more))

    def trio(self, *, client: bool = True, staff: bool = True) -> None:
        """Agency and site, client and student, staff and user, equal each."""
        self.agency()
        self.site()
        if client:
            self.client()
        self.student()
        if staff:
            self.staff()
        self.user()

    def _row(self, table: str, **columns: Any) -> int:
        rows = self.host[table]
        row = {"id": self.ids_from + len(rows), **columns}
        if table != "authorization":
            row["account_id"] = self.account
        if table in ("client", "staff", "appointment"):
            row["updated_at"] = _LONG_AGO.replace(tzinfo=None)
        rows.append(row)
        return int(row["id"])

    def _record(self, feed: str, noun: str, **members: Any) -> str:
        records = self.vendor[feed]
        number = len(records) + 1
        changed = _LONG_AGO + timedelta(minutes=number)
        records.append({"id": f"{noun}-{number}", "modifiedAt": _moment(changed), **members})
        return str(records[-1]["id"])


def draft(
    start: str = "13:00",
    end: str = "14:00",
    day: date | str = DAY,
    *,
    student: str = "student-1",
    user: str = "user-1",
    site: str = "site-1",
    status: str = "published",
    text: str = "Went well.",
    signature: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What a therapist writes: a note without version and times of change."""
    signed = {"image": ink() if signature is None else signature}
    fields = (
        ("Date", "date", str(day)),
        ("Start Time", "time", start),
        ("End Time", "time", end),
        ("Notes", "text", text),
        ("Location", "location", {"latitude": 40.7, "longitude": -74.0}),
        ("Therapist Signature", "signature", signed),
    )
    return {
        "siteId": site,
        "studentId": student,
        "userId": user,
        "status": status,
        "template": "SOAP",
        "publishedAt": _moment(_LONG_AGO),
        "fields": [{"name": name, "type": type, "value": value} for name, type, value in fields],
        **more,
    }


def _names(name: str) -> tuple[str, str]:
    """ "Amir Haddad" as first and last name; the last may have several words."""
    first, _, last = name.partition(" ")
    return first, last


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
