"""Which note belongs to which appointment, and how far apart two sessions are."""

from __future__ import annotations

import itertools
from datetime import date

import pytest

from ensora_plugin.automap.matching import Edge, Span, changes_that_day, minutes_apart, solve, zone

#: The United States put their clocks forward on this day of 2026 at 02:00, and back on that one.
FORWARD, BACK, PLAIN = date(2026, 3, 8), date(2026, 11, 1), date(2026, 11, 19)
EAST, CENTRAL, DETROIT = "America/New_York", "America/Chicago", "America/Detroit"
ARIZONA, UTC = "America/Phoenix", "UTC"


def edges(text: str) -> list[Edge]:
    """Edges written as "a1:3 a2:0": note, appointment, minutes apart."""
    return [Edge(word[0], word[1], int(word[3:])) for word in text.split()]


def pairs(
    text: str, fixed: dict[str, str] | None = None, holders: dict[str, str] | None = None
) -> str:
    made = solve(edges(text), fixed=fixed or {}, holders=holders or {})
    return " ".join(sorted(edge.note + edge.appointment for edge in made))


CASES = [
    ("nothing", "", ""),
    ("one pair", "a1:5", "a1"),
    ("the nearest of two appointments", "a1:3 a2:0", "a2"),
    ("the nearest of two notes", "a1:3 b1:1", "b1"),
    ("two appointments equally near", "a1:2 a2:2", ""),
    ("two notes equally near", "a1:2 b1:2", ""),
    ("crosswise nearest", "a1:0 a2:4 b1:4 b2:0", "a1 b2"),
    ("the nearest, then what is left", "a1:1 b1:2 b2:4", "a1 b2"),
    ("a chain of three", "a1:1 b1:2 b2:3 c2:4 c3:5", "a1 b2 c3"),
    # b would be nearest to 1, which a holds more strictly; for 2 both b and c are left.
    ("a tie that is left after the nearest", "a1:1 b1:2 b2:4 c2:4", "a1"),
    ("a tie that the nearest dissolves", "a1:1 a2:3 b2:3 b3:9", "a1 b2"),
    ("nearest for one side only", "a1:2 a2:1 b2:0", "a1 b2"),
    ("four in a ring of ties", "a1:1 a2:1 b1:1 b2:1", ""),
    ("a tie beside a clear pair", "a1:1 a2:1 b3:0", "b3"),
    ("a tie above a nearer pair", "a1:2 a2:2 b1:0", "a2 b1"),
]


@pytest.mark.parametrize(
    ("text", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_pairs_are_strictly_the_nearest_for_both_sides_and_so_on(text: str, expected: str) -> None:
    for order in itertools.islice(itertools.permutations(text.split()), 24):
        assert pairs(" ".join(order)) == expected


@pytest.mark.parametrize(
    ("text", "fixed", "expected"),
    [
        # Taken by a note that is strictly nearer: what is left goes on.
        ("a1:1 b1:2 b2:4", {"a": "1"}, "b2"),
        # Taken by one that is farther: 1 still counts for b, so 2 is not its nearest.
        ("a1:3 b1:2 b2:4", {"a": "1"}, ""),
        ("a1:2 b1:2 b2:4", {"a": "1"}, ""),
        # Taken from outside the grace: still counts.
        ("b1:2 b2:4", {"a": "1"}, ""),
        ("b1:4 b2:2", {"a": "1"}, "b2"),
        ("b1:2 b2:2", {"a": "1"}, ""),
        # A mapped note counts as a rival for other appointments, unless its own is nearer.
        ("a1:0 a2:3 b2:4", {"a": "1"}, "b2"),
        ("a1:5 a2:3 b2:4", {"a": "1"}, ""),
        ("a2:3 b2:4", {"a": "9"}, ""),
        ("a2:4 b2:3", {"a": "9"}, "b2"),
    ],
)
def test_what_is_taken_still_counts_unless_its_holder_is_strictly_nearer(
    text: str, fixed: dict[str, str], expected: str
) -> None:
    holders = {appointment: note for note, appointment in fixed.items()}
    assert pairs(text, fixed, holders) == expected


@pytest.mark.parametrize("text", [case[1] for case in CASES])
def test_a_second_pass_over_what_the_first_one_made_makes_nothing(text: str) -> None:
    made = solve(edges(text), fixed={}, holders={})
    fixed = {edge.note: edge.appointment for edge in made}
    assert pairs(text, fixed, {host: note for note, host in fixed.items()}) == ""


def apart(
    note: tuple[str, str, str], appointment: tuple[str, str, str], *days: date
) -> tuple[int, int] | None:
    first, last = days[0], days[-1]

    def span(day: date, start: str, end: str, where: str) -> Span:
        at = [int(text[:2]) * 60 + int(text[3:]) for text in (start, end)]
        return Span(day, at[0], at[1], where)

    return minutes_apart(span(first, *note), span(last, *appointment))


@pytest.mark.parametrize(
    ("note", "appointment", "days", "expected"),
    [
        # Equal zones: wall clocks of the same date.
        (("13:00", "14:05", EAST), ("13:00", "14:00", EAST), [PLAIN], (0, 5)),
        (("12:55", "13:58", EAST), ("13:00", "14:00", EAST), [PLAIN], (5, 2)),
        (("13:00", "14:00", EAST), ("13:00", "14:00", EAST), [PLAIN, BACK], None),
        # Other zones: instants, whatever their dates.
        (("12:00", "13:00", CENTRAL), ("13:00", "14:00", EAST), [PLAIN], (0, 0)),
        (("13:00", "14:00", CENTRAL), ("13:00", "14:00", EAST), [PLAIN], (60, 60)),
        (
            ("23:10", "23:50", CENTRAL),
            ("00:10", "00:50", EAST),
            [PLAIN, date(2026, 11, 20)],
            (0, 0),
        ),
        (("13:00", "14:00", DETROIT), ("13:03", "14:00", EAST), [PLAIN], (3, 0)),
        # Winter and summer differ between zones with and without daylight saving.
        (("11:00", "12:00", ARIZONA), ("13:00", "14:00", EAST), [PLAIN], (0, 0)),
        (("10:00", "11:00", ARIZONA), ("13:00", "14:00", EAST), [date(2026, 7, 1)], (0, 0)),
        # A gap: the time never was.
        (("02:30", "03:30", EAST), ("02:30", "03:30", EAST), [FORWARD], None),
        (("01:30", "02:30", EAST), ("01:30", "03:30", EAST), [FORWARD], None),
        (("02:30", "03:30", EAST), ("07:30", "08:30", UTC), [FORWARD], None),
        (("01:30", "03:30", EAST), ("06:30", "07:30", UTC), [FORWARD], (0, 0)),
        # An overlap: wall clocks in one zone agree; instants only where both readings do.
        (("01:30", "02:30", EAST), ("01:30", "02:30", EAST), [BACK], (0, 0)),
        (("01:30", "02:30", EAST), ("05:30", "07:30", UTC), [BACK], None),
        (("01:30", "02:30", EAST), ("06:30", "07:30", UTC), [BACK], None),
        (("01:30", "02:30", DETROIT), ("01:30", "02:30", EAST), [BACK], (0, 0)),
        (("00:30", "02:30", EAST), ("04:30", "07:30", UTC), [BACK], (0, 0)),
        # Zones that nobody knows.
        (("13:00", "14:00", "Mars/Base"), ("13:00", "14:00", "Mars/Base"), [PLAIN], None),
        (("13:00", "14:00", EAST), ("13:00", "14:00", ""), [PLAIN], None),
        (("13:00", "14:00", "../../etc/passwd"), ("13:00", "14:00", EAST), [PLAIN], None),
    ],
)
def test_sessions_are_compared_as_the_zones_allow(
    note: tuple[str, str, str],
    appointment: tuple[str, str, str],
    days: list[date],
    expected: tuple[int, int] | None,
) -> None:
    assert apart(note, appointment, *days) == expected


@pytest.mark.parametrize(
    ("day", "name", "changes"),
    [
        (FORWARD, EAST, True),
        (BACK, EAST, True),
        (PLAIN, EAST, False),
        (FORWARD, ARIZONA, False),
        (FORWARD, UTC, False),
    ],
)
def test_days_on_which_clocks_change_are_known(day: date, name: str, changes: bool) -> None:
    where = zone(name)
    assert where is not None
    assert changes_that_day(day, where) is changes


def test_only_the_names_of_real_zones_are_zones() -> None:
    assert [zone(name) for name in ("", "EST5", "/etc/localtime", "America", "Nowhere")] == [
        None
    ] * 5
