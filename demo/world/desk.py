"""Writes session notes and appointments of one account, and beside them what has to come of each
note.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from . import signatures, soap
from .bookings import Diary, Meeting, clock
from .maker import Maker
from .model import Child, Clinic, Expected, Row, Therapist

RELATIONSHIPS = ("Mother", "Father", "Grandmother", "Foster parent", "Aunt")


class Desk:
    """The notes, appointments and truth of one account, while they grow."""

    def __init__(
        self,
        maker: Maker,
        clinics: Sequence[Clinic],
        children: Sequence[Child],
        therapists: Sequence[Therapist],
    ) -> None:
        self.rng: Random = maker.rng
        self.today: date = maker.today
        self.diary = Diary(maker.rng, maker.today, children)
        self.sites = [clinic.site["id"] for clinic in clinics]
        at_work = [person for person in therapists if person.clinics]
        self.mapped = [person for person in at_work if person.reason is None]
        self.unmapped = [person for person in at_work if person.reason is not None]
        self.notes: list[Row] = []
        self.appointments: list[Row] = []
        self.truth: dict[str, Expected] = {}
        self._maker, self._ids = maker, maker.ids

    def appointment(self, meeting: Meeting, shift: int = 0, **columns: Any) -> Row:
        """Plan the meeting at the host, `shift` minutes later; `columns` stand instead of the usual
        ones.
        """
        child, staff = meeting.child, meeting.therapist.staff
        if child.client is None or staff is None:
            raise ValueError("only people whom the host knows have appointments")
        planned = datetime.combine(meeting.day - timedelta(days=35), time(9))
        row = {
            "id": self._ids.next("appointment"),
            "account_id": child.client["account_id"],
            "agency_id": meeting.clinic.agency["id"],
            "client_id": child.client["id"],
            "staff_id": staff["id"],
            "date": meeting.day,
            "start": clock(meeting.start + shift),
            "end": clock(meeting.end + shift),
            "kind": "service",
            "status": "scheduled",
            "notes_required": True,
            "locked": False,
            "rendered_at": None,
            "render_location": "",
            "results_notes": "",
            "updated_at": planned,
        }
        self.appointments.append(row | columns)
        return self.appointments[-1]

    def rendered_by_hand(self, meeting: Meeting, shift: int = 0) -> Row:
        """Plan a meeting that somebody completed at the host, without a session note."""
        done = datetime.combine(meeting.day + timedelta(days=1), time(16))
        text = "Completed by the front desk from the paper sheet."
        columns = {"status": "rendered", "rendered_at": done, "updated_at": done}
        return self.appointment(meeting, shift, results_notes=text, **columns)

    def unmapped_note(self, meeting: Meeting, reason: str, **how: Any) -> None:
        """Write a note that finds no appointment, for `reason`."""
        self.truth[self._note(meeting, **how)] = Expected(reason=reason)

    def mapped_note(self, meeting: Meeting, appointment: Row, *codes: str, **how: Any) -> None:
        """Write the note of an appointment; `codes`: why the host will refuse to render, beside the
        meeting's own.
        """
        refusals = meeting.blemishes.union(codes)
        self.truth[self._note(meeting, **how)] = Expected(
            str(appointment["id"]), rendered=not refusals, refusals=refusals
        )

    def _note(
        self,
        meeting: Meeting,
        *,
        shift: tuple[int, int] = (0, 0),
        status: str = "published",
        hint: Row | None = None,
        site: str | None = None,
        **facts: Any,
    ) -> str:
        """Write a note, start and end `shift` minutes beside the meeting's; `facts` overrule."""
        start = self._instant(meeting, meeting.start + shift[0])
        end = self._instant(meeting, meeting.end + shift[1])
        at = self._written_at(end)
        template = self._template(meeting)
        written = self._facts(meeting, start, end, at, template) | facts
        note = {
            "id": self._maker.vendor_id("note"),
            "version": 1 if status == "published" else 2,
            "status": status,
            "siteId": site or meeting.clinic.site["id"],
            "studentId": meeting.child.student["id"],
            "userId": meeting.therapist.user["id"],
            "appointmentId": str(hint["id"]) if hint else None,
            "template": template,
            "publishedAt": _stamp(at),
            "modifiedAt": _stamp(at),
            # Of a deleted note the vendor keeps nothing that was written.
            "fields": [] if status == "deleted" else soap.fields(self.rng, template, written),
        }
        self.notes.append(note)
        return note["id"]

    def _written_at(self, end: datetime) -> datetime:
        """Return a moment soon after the session; a session of tomorrow was written down ahead."""
        today = datetime.combine(self.today, time(), tzinfo=UTC)
        return min(end.astimezone(UTC) + timedelta(minutes=self.rng.randint(4, 200)), today)

    def _template(self, meeting: Meeting) -> str:
        asked = meeting.clinic.guardian_must_sign
        return self.rng.choice(soap.WITH_GUARDIAN if asked else tuple(soap.TEMPLATES))

    def _facts(
        self, meeting: Meeting, start: datetime, end: datetime, at: datetime, template: str
    ) -> Row:
        """What an orderly note says, by meaning."""
        rng = self.rng
        guardian = template in soap.WITH_GUARDIAN
        guardian_signs = meeting.clinic.guardian_must_sign or (guardian and rng.random() < 0.7)
        name = f"{rng.choice(('Alex', 'Sam', 'Jo', 'Kim'))} {meeting.child.student['lastName']}"
        return {
            "date": start.date().isoformat(),
            "start": self._time(start),
            "end": self._time(end),
            "notes": soap.text(rng),
            "therapist": self.signed(at),
            "guardian_name": name if guardian_signs else None,
            "relationship": rng.choice(RELATIONSHIPS) if guardian_signs else None,
            "guardian": self.signed(at) if guardian_signs else None,
            "location": soap.location(rng),
        }

    def signed(self, at: datetime | None, image: str | None = None) -> Row:
        """Return a signature of that moment, by default a legible one."""
        picture = image or self.rng.choice(signatures.drawn())
        return {"image": picture} | ({"signedAt": _stamp(at)} if at else {})

    def _time(self, at: datetime) -> str:
        """Write a time as devices do; the seconds of some of them have to be dropped."""
        if self.rng.random() < 0.8:
            return f"{at:%H:%M}"
        return f"{at:%H:%M}:{self.rng.randrange(60):02d}"

    @staticmethod
    def _instant(meeting: Meeting, minutes: int) -> datetime:
        """Return a minute of the meeting's day at the clinic as the student's clock shows it."""
        here = datetime.combine(meeting.day, clock(minutes), tzinfo=ZoneInfo(meeting.clinic.zone))
        if meeting.child.in_zone:
            return here
        return here.astimezone(ZoneInfo(meeting.child.student["timeZone"]))


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
