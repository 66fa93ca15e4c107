"""Every way in which a session note finds its appointment or does not: what is written for one
meeting.
"""

from __future__ import annotations

from collections.abc import Callable

from .bookings import Meeting, clock
from .desk import Desk
from .signatures import blank, broken

Write = Callable[[Desk, Meeting], None]


def plain(desk: Desk, meeting: Meeting) -> None:
    """Start and end on time or up to five minutes beside; now and then with a hint."""
    appointment, rng = desk.appointment(meeting), desk.rng
    shift = (0, 0) if rng.random() < 0.5 else (rng.randint(-5, 5), rng.randint(-5, 5))
    hint = appointment if rng.random() < 0.03 else None
    desk.mapped_note(meeting, appointment, shift=shift, hint=hint)


def at_the_edge(desk: Desk, meeting: Meeting) -> None:
    """Five minutes and 59 seconds late are five minutes: inside."""
    times = {"start": meeting.start + 5, "end": meeting.end + 5}
    late = {edge: f"{clock(minute):%H:%M}:59" for edge, minute in times.items()}
    desk.mapped_note(meeting, desk.appointment(meeting), **late)


def without(code: str, **facts: object) -> Write:
    """A mapped note in which `facts` are so empty that the host refuses with `code`."""

    def write(desk: Desk, meeting: Meeting) -> None:
        desk.mapped_note(meeting, desk.appointment(meeting), code, **facts)

    return write


def both_signatures_missing(desk: Desk, meeting: Meeting) -> None:
    codes = ("therapist_signature_missing", "guardian_signature_missing")
    desk.mapped_note(meeting, desk.appointment(meeting), *codes, therapist=None, guardian=None)


def broken_signature(desk: Desk, meeting: Meeting) -> None:
    """The picture is refused, the text has to land all the same."""
    signature = desk.signed(None, desk.rng.choice(broken()))
    appointment = desk.appointment(meeting)
    desk.mapped_note(meeting, appointment, "therapist_signature_missing", therapist=signature)


def broken_guardian(desk: Desk, meeting: Meeting) -> None:
    """The guardian's picture is refused where nobody demands one."""
    signature = desk.signed(None, desk.rng.choice(broken()))
    desk.mapped_note(meeting, desk.appointment(meeting), guardian=signature)


def blank_signature(desk: Desk, meeting: Meeting) -> None:
    signature = desk.signed(None, blank())
    appointment = desk.appointment(meeting)
    desk.mapped_note(meeting, appointment, "therapist_signature_missing", therapist=signature)


def text_not_needed(desk: Desk, meeting: Meeting) -> None:
    desk.mapped_note(meeting, desk.appointment(meeting, notes_required=False), notes=None)


def locked(desk: Desk, meeting: Meeting) -> None:
    desk.mapped_note(meeting, desk.appointment(meeting, locked=True), "locked")


def overlapping(desk: Desk, meeting: Meeting) -> None:
    """The session ends in one with another child that was rendered by hand; both stay in their
    slot.
    """
    other = desk.diary.stand_in(meeting, desk.diary.neighbours(meeting.child))
    desk.rendered_by_hand(other, shift=15)
    desk.mapped_note(meeting, desk.appointment(meeting), "overlap")


def two_appointments(desk: Desk, meeting: Meeting) -> None:
    """The nearer of two close appointments wins; the other keeps waiting."""
    near, _far = desk.appointment(meeting), desk.appointment(meeting, 4)
    desk.mapped_note(meeting, near, shift=(1, 1))


def between_two(desk: Desk, meeting: Meeting) -> None:
    """Just as far from both appointments."""
    desk.appointment(meeting)
    desk.appointment(meeting, 4)
    desk.unmapped_note(meeting, "ambiguous", shift=(2, 2))


def chain(desk: Desk, meeting: Meeting) -> None:
    """Both notes are nearer to the first appointment; the one that loses it finds the second.

    Both are unsigned: were one rendered, the other appointment would overlap it.
    """
    first, second = desk.appointment(meeting), desk.appointment(meeting, 4)
    desk.mapped_note(meeting, first, "therapist_signature_missing", therapist=None)
    desk.mapped_note(meeting, second, "therapist_signature_missing", therapist=None, shift=(1, 1))


def nearest_wins(desk: Desk, meeting: Meeting) -> None:
    appointment = desk.appointment(meeting)
    desk.mapped_note(meeting, appointment, shift=(0, 1))
    desk.unmapped_note(meeting, "taken", shift=(3, 4))


def tie(desk: Desk, meeting: Meeting) -> None:
    """Two notes three minutes away, each in its own way."""
    desk.appointment(meeting)
    desk.unmapped_note(meeting, "ambiguous", shift=(2, 1))
    desk.unmapped_note(meeting, "ambiguous", shift=(-1, 2))


def unmapped_people(reason: str) -> Write:
    """The host may know the session, but not that these are its people."""

    def write(desk: Desk, meeting: Meeting) -> None:
        if meeting.child.client is not None and meeting.therapist.staff is not None:
            desk.appointment(meeting)
        desk.unmapped_note(meeting, reason)

    return write


def no_appointment(desk: Desk, meeting: Meeting) -> None:
    desk.unmapped_note(meeting, "no_appointment_that_day")


def other_staff(desk: Desk, meeting: Meeting) -> None:
    """The host has the session with another therapist."""
    desk.appointment(desk.diary.stand_in(meeting, desk.mapped))
    desk.unmapped_note(meeting, "no_appointment_that_day")


def other_site(desk: Desk, meeting: Meeting) -> None:
    """The note was written at a site that is not the appointment's agency."""
    desk.appointment(meeting)
    elsewhere = [site for site in desk.sites if site != meeting.clinic.site["id"]]
    desk.unmapped_note(meeting, "no_appointment_that_day", site=desk.rng.choice(elsewhere))


def outside(desk: Desk, meeting: Meeting) -> None:
    """From six minutes on, at one end or at both; some say which appointment they mean."""
    appointment, minutes = desk.appointment(meeting), desk.rng.randint(6, 40)
    shift = desk.rng.choice(((-minutes, 0), (0, minutes), (minutes, minutes), (-6, -6)))
    hint = appointment if desk.rng.random() < 0.2 else None
    desk.unmapped_note(meeting, "outside_the_grace", shift=shift, hint=hint)


def just_outside(desk: Desk, meeting: Meeting) -> None:
    """Six minutes to the second are too many, were it at one end only."""
    desk.appointment(meeting)
    start, end = desk.rng.choice(((-6, 0), (0, 6), (0, -6), (6, 0)))
    times = {"start": meeting.start + start, "end": meeting.end + end}
    written = {edge: f"{clock(minute):%H:%M}:00" for edge, minute in times.items()}
    desk.unmapped_note(meeting, "outside_the_grace", **written)


def ineligible(**columns: str) -> Write:
    def write(desk: Desk, meeting: Meeting) -> None:
        desk.appointment(meeting, **columns)
        desk.unmapped_note(meeting, "appointment_cancelled")

    return write


def taken_back(status: str) -> Write:
    def write(desk: Desk, meeting: Meeting) -> None:
        desk.appointment(meeting)
        desk.unmapped_note(meeting, "unpublished", status=status)

    return write


def over_midnight(desk: Desk, meeting: Meeting) -> None:
    desk.appointment(meeting)
    desk.unmapped_note(meeting, "unreadable_date_or_time", start="23:30", end="00:15")


def backwards(desk: Desk, meeting: Meeting) -> None:
    """The end is the start, or both were swapped."""
    desk.appointment(meeting)
    shift = desk.rng.choice((0, meeting.end - meeting.start))
    desk.unmapped_note(
        meeting, "unreadable_date_or_time", shift=(shift, meeting.start - meeting.end)
    )


def unreadable(desk: Desk, meeting: Meeting) -> None:
    desk.appointment(meeting)
    slip = desk.rng.choice(
        (
            {"start": "half past nine"},
            {"end": "25:10"},
            {"date": None},
            {"date": "2026-02-30"},
            {"end": None},
        )
    )
    desk.unmapped_note(meeting, "unreadable_date_or_time", **slip)
