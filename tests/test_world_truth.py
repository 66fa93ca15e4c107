"""What the world says of itself is what the rules say: held against the plain, slow reference."""

from __future__ import annotations

from datetime import date

import pytest

from tests.reference import Matcher, match
from tests.reference_rendering import Replay
from tests.test_world import TODAY, world

ACCOUNTS = ("bright-steps", "harbor-kids")


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize(
    ("notes", "seed", "today"),
    [
        (300, 1, TODAY),
        (300, 2, TODAY),
        (300, 3, TODAY),
        # The last thirty days hold the day on which clocks go back, or forward.
        (300, 4, date(2026, 11, 20)),
        (300, 5, date(2026, 3, 30)),
        (800, 7, TODAY),
    ],
)
def test_what_was_planted_is_what_the_rules_say(
    account: str, notes: int, seed: int, today: date
) -> None:
    planted = world(notes, seed, today).truth[account]
    slow = match(world(notes, seed, today), account)
    assert planted.sites == slow.sites
    assert planted.students == slow.students
    assert planted.users == slow.users
    assert {id: (one.host_id, one.reason) for id, one in planted.notes.items()} == {
        id: (one.host_id, one.reason) for id, one in slow.notes.items()
    }


@pytest.mark.parametrize("grace", [4, 6])
def test_the_worlds_have_notes_on_both_sides_of_the_grace(grace: int) -> None:
    planted = world().truth["bright-steps"].notes
    other = Matcher(world(), "bright-steps", grace).truth().notes
    changed = [id for id, one in planted.items() if one.host_id != other[id].host_id]
    assert changed
    # Within a wider grace more is found, within a narrower one less.
    assert all((other[id].host_id is None) == (grace < 5) for id in changed)


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_planted_is_what_the_host_renders(account: str, seed: int) -> None:
    planted = world(300, seed).truth[account].notes
    expected = {id: one.refusals for id, one in planted.items() if one.host_id}
    assert Replay(world(300, seed), account).run() == expected
    assert all(one.rendered == (not one.refusals) for one in planted.values() if one.host_id)
    assert not any(one.rendered or one.refusals for one in planted.values() if one.reason)
