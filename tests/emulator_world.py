"""A small organization for the emulator's tests, and a client that is connected to it."""

from __future__ import annotations

from typing import Any

import httpx2

from demo.vendor import Store, create_app

ORGANIZATION = "org-north"
ADMIN = {"username": "admin@north.example", "password": "admin-demo", "application": "tests"}
FEEDS = ("sites", "students", "users", "session-notes")
NEW_STUDENT = {
    "siteId": "site-1",
    "firstName": "Nora",
    "lastName": "Ny",
    "dateOfBirth": "2016-02-29",
    "gender": "F",
    "timeZone": "America/Chicago",
}
NEW_USER = {
    "siteIds": ["site-1", "site-2"],
    "firstName": "Tom",
    "lastName": "Tau",
    "email": "tom@north.example",
    "phone": "555-0100",
    "address": "1 Main Street",
}


def moment(number: int) -> str:
    """A time of change that grows with the number."""
    return f"2024-05-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"


def note(number: int, *, signature: str = "data:image/png;base64,iVBORw0KGgo=") -> dict[str, Any]:
    """A published note, version 1."""
    return {
        "id": f"note-{number}",
        "version": 1,
        "status": "published",
        "siteId": "site-1",
        "studentId": "stu-1",
        "userId": "usr-1",
        "appointmentId": None,
        "template": "Daily SOAP",
        "publishedAt": moment(number),
        "modifiedAt": moment(number),
        "fields": [
            {"name": "Date", "type": "date", "value": "2024-05-01"},
            {"name": "Start Time", "type": "time", "value": "09:00"},
            {"name": "End Time", "type": "time", "value": "10:00"},
            {"name": "Notes", "type": "text", "value": f"Séance {number}"},
            {
                "name": "Location",
                "type": "location",
                "value": {"latitude": 41.9, "longitude": -87.6},
            },
            {"name": "Signature", "type": "signature", "value": {"image": signature}},
        ],
    }


SITES = [
    {"id": f"site-{n}", "name": f"Site {n}", "active": True, "modifiedAt": moment(n)}
    for n in (1, 2)
]
STUDENTS = [
    {
        "id": f"stu-{n}",
        "siteId": "site-1",
        "firstName": "José",
        "lastName": f"Number {n}",
        "dateOfBirth": "2015-01-02",
        "timeZone": "America/Chicago",
        "active": True,
        "modifiedAt": moment(n),
    }
    for n in (1, 2, 3)
]
USERS = [
    {
        "id": f"usr-{n}",
        "type": kind,
        "siteIds": ["site-1"],
        "firstName": "Ursula",
        "lastName": kind,
        "email": f"{kind.lower()}@north.example",
        "active": True,
        "modifiedAt": moment(n),
    }
    for n, kind in ((1, "Employee"), (2, "Parent"))
]
LOGINS = [
    {"id": f"usr-{role}", "username": name, "email": name, "password": password, "role": role}
    for name, password, role in (
        ("admin@north.example", "admin-demo", "Admin"),
        ("aide@north.example", "aide-demo", "Therapist"),
    )
]


def organization(notes: int = 25, **members: Any) -> dict[str, Any]:
    """Two sites, three students, two users, one of them a parent, and so many notes."""
    filled = {"users": LOGINS, "sites": SITES, "students": STUDENTS, "users_feed": USERS}
    made = [note(number) for number in range(1, notes + 1)]
    return {"id": ORGANIZATION, "name": "North", **filled, "notes": made, **members}


def fields_of(answer: httpx2.Response) -> list[str]:
    """The fields that a 422 names."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]


class Emulated:
    """A filled store, the app over it, and a client that is connected in process."""

    def __init__(self, notes: int = 25, *, page_limit: int = 100) -> None:
        self.store = Store(":memory:")
        other = organization(3, id="org-south", name="South", users=[])
        self.store.fill([organization(notes), other])
        app = create_app(self.store, page_limit=page_limit)
        self.scenario, self.journal = (
            app.extensions["emulator"].scenario,
            app.extensions["emulator"].journal,
        )
        self.client = httpx2.Client(
            transport=httpx2.WSGITransport(app=app), base_url="http://vendor.test"
        )
        self.token = self.client.post("/v1/tokens", json=ADMIN).json()["token"]
        self.client.auth = httpx2.BasicAuth(ORGANIZATION, self.token)
        self.journal.clear()

    def play(self, fault: str, match: dict[str, Any] | None = None, **rule: Any) -> None:
        """Play one rule."""
        times = rule.pop("times", None)
        rule = {"match": match or {}, "fault": fault, "times": times, "args": rule}
        self.scenario.play([rule])

    def page(self, feed: str, **query: Any) -> dict[str, Any]:
        """A page of a feed as it was answered, which must be 200."""
        answer = self.client.get(f"/v1/{feed}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def whole(self, feed: str, **query: Any) -> list[dict[str, Any]]:
        """Every record of a feed, read to its end."""
        page = self.page(feed, **query)
        records = page["items"]
        while page["hasMore"]:
            page = self.page(feed, **query, cursor=page["cursor"])
            records += page["items"]
        return records
