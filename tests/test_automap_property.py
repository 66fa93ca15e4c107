"""Automap on random small worlds against a slow matcher that was written from the rules alone.

`ENSORA_EXAMPLES` says how many worlds each test looks at, and makes them other ones each time.
"""

from __future__ import annotations

import os
import random
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ensora_plugin.kinds import BY_NAME
from tests.opened import open_small
from tests.plain_delivery import Delivery
from tests.plain_worlds import batch_of, halves
from tests.practices import Practice
from tests.slow_automap import Automap
from tests.slow_world import World

#: Random worlds take longer than a test of one rule.
pytestmark = pytest.mark.timeout(600)
_EXAMPLES = os.environ.get("ENSORA_EXAMPLES")
PROFILE = settings(
    max_examples=int(_EXAMPLES or 3),
    derandomize=_EXAMPLES is None,
    database=None,
    # A smaller seed is no smaller world.
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
#: Worlds are made by a seed: drawn one by one, their parts would be alike in most of them.
SEEDS = st.integers(0, 2**40)
#: (kind, record) -> entity, None where ignored, and -> why it does not map.
Outcome = tuple[dict[Any, Any], dict[Any, Any]]


def check_once(practice: Practice, worlds: list[World]) -> None:
    grace, delivery = worlds[0].grace, Delivery(practice)
    delivery.settings(worlds[0])
    for world in worlds:
        delivery.host(world)
        delivery.records(world)
        delivery.persons(world)
    delivery.automap(grace)
    before = outcome(delivery)
    assert apart(before, answer(worlds)) == {}
    for since in (None, date.min):
        assert delivery.automap(grace, since) == 0
        assert apart(outcome(delivery), before) == {}
    assert delivery.differ() == []


def check_in_two_steps(practice: Practice, worlds: list[World], chance: random.Random) -> None:
    grace, delivery = worlds[0].grace, Delivery(practice)
    delivery.settings(worlds[0])
    cut = [halves(world, chance) for world in worlds]
    for there, _ in cut:
        delivery.host(there)
        delivery.records(there)
        delivery.persons(there)
    delivery.automap(grace)
    for there, _ in cut:
        delivery.meddle(there, chance)
    for _, later in cut:
        delivery.host(later)
        delivery.records(later)
    stood, by_persons = delivery.mappings(), delivery.mappings("user", "ignored")
    rejected = delivery.rejected()
    delivery.automap(grace, date.min)
    made = delivery.mappings("auto")
    assert delivery.mappings("user", "ignored") == by_persons
    assert not rejected & {(*key, host) for key, host in made.items()}
    assert stood.items() <= delivery.mappings().items()
    hosts = [(kind, host) for (kind, _), host in delivery.mappings().items() if host]
    assert len(hosts) == len(set(hosts))
    for world in worlds:
        own = {(kind, id) for kind in BY_NAME for id in world.records(kind)}
        world.mappings = {key: host for key, host in stood.items() if key in own}
        world.rejected = {one for one in rejected if one[:2] in own}
    assert apart(outcome(delivery), answer(worlds)) == {}
    assert delivery.differ() == []


def outcome(delivery: Delivery) -> Outcome:
    return delivery.mappings(), delivery.whys()


def apart(one: Outcome, other: Outcome) -> dict[Any, Any]:
    """Of which records two outcomes say something else, and what."""
    keys = {key for told in (*one, *other) for key in told}
    told = {key: [[side.get(key, "-") for side in both] for both in (one, other)] for key in keys}
    return {key: both for key, both in sorted(told.items()) if both[0] != both[1]}


def answer(worlds: list[World]) -> Outcome:
    """What the slow matcher says of worlds that have nothing in common but who is suggested."""
    told = [Automap(world, (other for other in worlds if other is not world)) for world in worlds]
    mappings = {key: host for one in told for key, host in one.mappings.items()}
    return mappings, {key: why for one in told for key, why in one.whys.items()}


def test_automap_is_equal_to_the_slow_matcher_and_a_second_run_changes_nothing(
    database_url: str,
) -> None:
    with open_small(database_url) as practice:

        @PROFILE
        @given(SEEDS)
        def holds(seed: int) -> None:
            try:
                check_once(practice, batch_of(seed))
            finally:
                practice.session.rollback()

        holds()


def test_what_comes_in_two_steps_with_a_persons_changes_between_keeps_to_the_rules(
    database_url: str,
) -> None:
    with open_small(database_url) as practice:

        @PROFILE
        @given(SEEDS)
        def holds(seed: int) -> None:
            try:
                check_in_two_steps(practice, batch_of(seed), random.Random(seed))
            finally:
                practice.session.rollback()

        holds()
