"""How often each way of a note's finding its appointment, or not, happens in a world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from . import ways
from .bookings import Meeting, NobodyFree
from .desk import Desk


@dataclass(frozen=True)
class Recipe:
    """One way. `share`: of a thousand notes; `notes`: how many one turn writes."""

    share: float
    write: ways.Write
    notes: int = 1
    #: Whether the user and the student are to be mapped.
    staff: bool = True
    child: bool = True
    #: The host has nothing against the session itself, so that the planted fault is the only one.
    clean: bool = True
    guardian: bool | None = None
    tomorrow: bool = False
    #: The one refusal that the session itself has to meet.
    blemish: str | None = None

    def accepts(self, meeting: Meeting) -> bool:
        """Tell whether the fault can be planted in this meeting."""
        if self.guardian is not None and self.guardian != meeting.clinic.guardian_must_sign:
            return False
        if self.blemish is not None:
            return meeting.blemishes == {self.blemish}
        if not self.clean:
            return len(meeting.blemishes) <= 1
        return not meeting.blemishes and meeting.child.in_zone

    def turn(self, desk: Desk) -> None:
        """Book a meeting that fits and write its notes; where it lacks a partner, book another."""
        pool = desk.mapped if self.staff else desk.unmapped
        days = [desk.today + timedelta(days=1)] if self.tomorrow else None
        while True:
            meeting = desk.diary.book(pool, self.child, self.accepts, days)
            try:
                return self.write(desk, meeting)
            except NobodyFree:
                continue


PLAIN = Recipe(0, ways.plain, clean=False)

RECIPES: tuple[Recipe, ...] = (
    Recipe(4, ways.at_the_edge),
    Recipe(15, ways.without("therapist_signature_missing", therapist=None)),
    Recipe(8, ways.without("guardian_signature_missing", guardian=None), guardian=True),
    Recipe(1, ways.both_signatures_missing, guardian=True),
    Recipe(4, ways.without("notes_required", notes=None)),
    Recipe(1, ways.without("notes_required", notes=" \u00a0\n")),
    Recipe(1, ways.without("not_over_yet"), tomorrow=True),
    Recipe(3, ways.broken_signature),
    Recipe(2, ways.broken_guardian, guardian=False),
    Recipe(1, ways.blank_signature),
    Recipe(1, ways.text_not_needed),
    Recipe(2, ways.locked),
    Recipe(2, ways.overlapping),
    Recipe(2, ways.two_appointments),
    Recipe(1, ways.between_two),
    Recipe(1, ways.chain, notes=2),
    Recipe(3, ways.nearest_wins, notes=2),
    Recipe(1.5, ways.tie, notes=2),
    Recipe(38, ways.unmapped_people("no_client_mapping"), child=False, clean=False),
    Recipe(20, ways.unmapped_people("no_staff_mapping"), staff=False, clean=False),
    Recipe(
        5,
        ways.unmapped_people("no_client_and_no_staff_mapping"),
        staff=False,
        child=False,
        clean=False,
    ),
    Recipe(16, ways.no_appointment),
    Recipe(8, ways.other_staff),
    Recipe(2, ways.other_site),
    Recipe(20, ways.outside),
    Recipe(4, ways.just_outside),
    Recipe(10, ways.ineligible(status="cancelled")),
    Recipe(3, ways.ineligible(kind="meeting")),
    Recipe(6, ways.taken_back("unpublished")),
    Recipe(4, ways.taken_back("deleted")),
    Recipe(3, ways.over_midnight),
    Recipe(2, ways.backwards),
    Recipe(3, ways.unreadable),
)


#: What the host has against sessions by themselves happens by chance; this makes sure of one each.
CERTAIN: tuple[Recipe, ...] = tuple(
    Recipe(0, ways.plain, blemish=code)
    for code in (
        "period_locked",
        "staff_inactive",
        "client_terminated",
        "no_authorization",
        "authorization_hours_used_up",
    )
)


def write_sessions(desk: Desk, notes: int, recipes: Sequence[Recipe]) -> None:
    """Write exactly `notes` notes and somewhat more appointments: each recipe by its share, once at
    least.
    """
    todo = [
        recipe
        for recipe in recipes
        for _ in range(max(1, round(notes * recipe.share / 1000 / recipe.notes)))
    ]
    missing = notes - sum(recipe.notes for recipe in todo)
    if missing < 0:
        raise ValueError(f"a world of {notes} notes is too small to hold every case")
    todo += [PLAIN] * missing
    desk.rng.shuffle(todo)
    for recipe in todo:
        recipe.turn(desk)
    _without_notes(desk, notes)


def _without_notes(desk: Desk, notes: int) -> None:
    """Appointments that nobody wrote about: forgotten, still to come, completed by hand."""

    def book(day: int | None = None) -> Meeting:
        days = None if day is None else [desk.today + timedelta(days=day)]
        return desk.diary.book(desk.mapped, True, lambda meeting: not meeting.blemishes, days)

    for _ in range(round(notes * 0.04)):
        desk.appointment(book())
    for _ in range(round(notes * 0.03)):
        desk.appointment(book(desk.rng.randint(2, 9)))
    for _ in range(max(2, round(notes * 0.003))):
        desk.rendered_by_hand(book())
