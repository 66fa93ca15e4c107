"""A plain replay of the demo host's validations, written from their list alone: which mapped notes
render.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from PIL import Image

from demo.data import World
from tests.reference import Matcher
from tests.reference_reading import field, read

Row = dict[str, Any]


class Replay:
    """Renders the mapped notes of one account in the order of date, start and vendor id, on the
    world's own day.
    """

    def __init__(self, world: World, account: str) -> None:
        self.matcher = Matcher(world, account)
        self.now = datetime.combine(world.today, time(12), tzinfo=UTC)
        self.rows = {
            table: {row["id"]: row for row in world.host[table]}
            for table in ("agency", "client", "staff", "appointment")
        }
        self.authorizations = world.host["authorization"]
        self.rendered = {
            row["id"] for row in self.matcher.appointments if row["status"] == "rendered"
        }

    def run(self) -> dict[str, frozenset[str]]:
        """Return the refusals of each mapped note; none at all where it was rendered."""
        truth = self.matcher.truth().notes
        students = {student["id"]: student for student in self.matcher.org["students"]}

        def order(note: Row) -> tuple[Any, ...]:
            reading = read(note, students[note["studentId"]])
            return reading.day, reading.start, note["id"]

        mapped = [note for note in self.matcher.org["notes"] if truth[note["id"]].host_id]
        found = {}
        for note in sorted(mapped, key=order):
            row = self.rows["appointment"][int(truth[note["id"]].host_id)]
            found[note["id"]] = frozenset(self._locks(row)) or frozenset(self._refusals(row, note))
            if not found[note["id"]]:
                self.rendered.add(row["id"])
        return found

    def _locks(self, row: Row) -> Iterable[str]:
        agency = self.rows["agency"][row["agency_id"]]
        if row["locked"]:
            yield "locked"
        for until in (agency["payroll_locked_until"], agency["billing_locked_until"]):
            if until is not None and row["date"] <= until:
                yield "period_locked"

    def _refusals(self, row: Row, note: Row) -> Iterable[str]:
        agency = self.rows["agency"][row["agency_id"]]
        client, staff = self.rows["client"][row["client_id"]], self.rows["staff"][row["staff_id"]]
        start, end = self._span(row)
        overlapped = any(
            start < self._span(other)[1] and self._span(other)[0] < end
            for other in self.matcher.appointments
            if other["id"] in self.rendered
            and other["staff_id"] == row["staff_id"]
            and abs(other["date"] - row["date"]) <= timedelta(days=1)
        )
        holds = {
            "notes_required": row["notes_required"] and not (field(note, "notes") or "").strip(),
            "therapist_signature_missing": not signed(note, "therapist"),
            "guardian_signature_missing": agency["guardian_signature_required"]
            and not signed(note, "guardian"),
            "not_over_yet": end > self.now,
            "overlap": overlapped,
            "client_terminated": client["terminated_on"] is not None
            and row["date"] > client["terminated_on"],
            "staff_inactive": staff["inactive_from"] is not None
            and row["date"] > staff["inactive_from"],
        }
        yield from (code for code, met in holds.items() if met)
        yield from self._hours(row)

    def _hours(self, row: Row) -> Iterable[str]:
        covering = [
            one
            for one in self.authorizations
            if one["client_id"] == row["client_id"]
            and one["starts_on"] <= row["date"] <= one["ends_on"]
        ]
        if not covering:
            yield "no_authorization"
        elif all(self._used(one) + self._hours_of(row) > one["hours"] for one in covering):
            yield "authorization_hours_used_up"

    def _used(self, authorization: Row) -> float:
        return sum(
            self._hours_of(row)
            for row in self.matcher.appointments
            if row["id"] in self.rendered
            and row["client_id"] == authorization["client_id"]
            and authorization["starts_on"] <= row["date"] <= authorization["ends_on"]
        )

    def _span(self, row: Row) -> tuple[datetime, datetime]:
        zone = ZoneInfo(self.rows["agency"][row["agency_id"]]["time_zone"])
        return tuple(
            datetime.combine(row["date"], row[edge], tzinfo=zone) for edge in ("start", "end")
        )

    def _hours_of(self, row: Row) -> float:
        start, end = self._span(row)
        return (end - start).total_seconds() / 3600


def signed(note: Row, who: str) -> bool:
    """Tell whether the note holds a legible signature."""
    value = field(note, who)
    return value is not None and legible(value["image"])


@cache
def legible(image: str) -> bool:
    """Tell whether a data: URL is a whole PNG or JPEG with ink in it."""
    head, _, body = image.partition(",")
    if head not in ("data:image/png;base64", "data:image/jpeg;base64"):
        return False
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(body, validate=True)))
        flat = Image.new("RGBA", picture.size, "white")
        flat.alpha_composite(picture.convert("RGBA"))
    except (OSError, SyntaxError, binascii.Error):
        return False
    darkest, _ = flat.convert("L").getextrema()
    return darkest < 128
