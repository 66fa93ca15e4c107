"""Many small accounts for the bench of fairness: a site, two students, a user and a few notes each.

The vendor is a server of its own with nothing behind it: what it costs is not what is measured.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

NOTES = 3
_MOMENT = "2026-01-05T12:00:00Z"
_FEEDS = ("sites", "students", "users", "session-notes")


def organization_of(number: int) -> str:
    """Return the vendor's id of an account's organization."""
    return f"org-{number}"


def records(organization: str, feed: str) -> list[dict[str, Any]]:
    """Make all records of a feed of an organization."""
    base = {"modifiedAt": _MOMENT}
    if feed == "sites":
        return [base | {"id": "site", "name": f"Site {organization}", "active": True}]
    name = {"firstName": "A", "lastName": organization, "active": True}
    if feed == "students":
        more = {"siteId": "site", "dateOfBirth": "2018-01-01", "timeZone": "America/New_York"}
        return [base | name | more | {"id": f"student-{n}"} for n in range(2)]
    if feed == "users":
        more = {"type": "Employee", "siteIds": ["site"], "email": f"{organization}@x.example"}
        return [base | name | more | {"id": "user"}]
    return [base | _note(number) for number in range(NOTES)]


def _note(number: int) -> dict[str, Any]:
    told = (
        ("Date", "date", "2026-01-05"),
        ("Start Time", "time", f"{9 + number:02}:00"),
        ("End Time", "time", f"{9 + number:02}:50"),
    )
    return {
        "id": f"note-{number}",
        "version": 1,
        "status": "published",
        "siteId": "site",
        "studentId": "student-0",
        "userId": "user",
        "template": "SOAP",
        "fields": [{"name": name, "type": kind, "value": value} for name, kind, value in told],
    }


@contextmanager
def vendor(slow: set[str], failing: set[str], seconds: float) -> Iterator[str]:
    """Serve every organization in a process of its own; yield the address.

    The `slow` ones take so many seconds for a page, the `failing` ones answer 500.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, slow, failing, seconds), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, slow: set[str], failing: set[str], seconds: float) -> None:
    class Vendor(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # The token is the organization's id: nobody is kept out here.
            organization = _who(self.headers["Authorization"])
            path = urlsplit(self.path)
            if path.path == "/v1/tokens/current":
                self._answer(200, {"organization": {"id": organization, "name": organization}})
                return
            if organization in failing:
                self._answer(500, {})
                return
            if organization in slow:
                time.sleep(seconds)
            fresh = "cursor" not in parse_qs(path.query)
            items = records(organization, path.path.rpartition("/")[2]) if fresh else []
            self._answer(200, {"items": items, "cursor": "end", "hasMore": False})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.daemon_threads = True
    pipe.send(server.server_address[1])
    server.serve_forever()


def _who(authorization: str) -> str:
    return base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")[0]
