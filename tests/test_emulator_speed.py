"""What the emulator costs, in steps of SQLite's machine: filling grows with the records alone, and
a page is as cheap at the end of a long feed.
"""

from __future__ import annotations

from collections.abc import Callable

from demo.vendor import Store
from tests.emulator_world import ORGANIZATION, organization


def cost(store: Store, action: Callable[[], object]) -> tuple[int, list[str]]:
    """How many steps SQLite's machine takes for an action, and the transactions that it opens."""
    steps, said = 0, []

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    store._db.set_progress_handler(step, 1)
    store._db.set_trace_callback(said.append)
    action()
    store._db.set_progress_handler(None, 0)
    store._db.set_trace_callback(None)
    return steps, [statement for statement in said if statement.startswith("BEGIN")]


def filled(notes: int) -> tuple[Store, int, list[str]]:
    store = Store(":memory:")
    return store, *cost(store, lambda: store.fill([organization(notes)]))


def test_filling_takes_one_transaction_and_as_much_for_each_note() -> None:
    costs = []
    for notes in (1000, 2000, 4000):
        store, steps, transactions = filled(notes)
        assert transactions == ["BEGIN IMMEDIATE"]
        costs.append(steps)
        store.close()
    assert costs[2] - costs[1] == 2 * (costs[1] - costs[0])


def test_a_page_costs_the_same_in_a_feed_of_any_length() -> None:
    small, large = filled(200)[0], filled(20_000)[0]
    number = large.number(ORGANIZATION)
    late = large.cursors.write(number, 3, 19_000)

    def page(store: Store, cursor: str | None) -> int:
        return cost(store, lambda: store.page(ORGANIZATION, "session-notes", cursor, 100))[0]

    first = page(small, None)
    assert page(large, None) == first
    assert page(large, late) == first
    small.close()
    large.close()
