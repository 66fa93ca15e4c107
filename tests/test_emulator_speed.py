"""What the emulator costs: filling in bulk, and a page that is as cheap at the end."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from demo.vendor import Store
from tests.emulator_world import ORGANIZATION, note, organization


def seconds(action: Callable[[], object], times: int) -> float:
    """The median of so many runs."""

    def once() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return statistics.median(once() for _ in range(times))


def test_20000_notes_with_signatures_of_10_kb_are_filled_within_2_seconds(tmp_path) -> None:
    signature = "data:image/png;base64," + "iVBORw0K" * 1250
    world = organization() | {"notes": [note(n, signature=signature) for n in range(1, 20_001)]}
    store = Store(tmp_path / "vendor.db")
    assert seconds(lambda: store.fill([world]), 1) < 2
    assert len(store.page(ORGANIZATION, "session-notes", None, 100).items) == 100
    store.close()


def test_a_page_costs_the_same_in_a_feed_of_any_length() -> None:
    small, large = Store(":memory:"), Store(":memory:")
    small.fill([organization(200)])
    large.fill([organization(100_000)])
    number = large.number(ORGANIZATION)
    late = large.cursors.write(number, 3, 99_000)

    def page(store: Store, cursor: str | None) -> Callable[[], object]:
        return lambda: store.page(ORGANIZATION, "session-notes", cursor, 100)

    floor = seconds(page(small, None), 200)
    assert seconds(page(large, late), 200) < 3 * floor
    plan = large.rows(
        "EXPLAIN QUERY PLAN SELECT seq, body FROM record WHERE organization = 1 "
        "AND feed = 'session-notes' AND seq > 5 ORDER BY seq LIMIT 101"
    )
    steps = [row[-1] for row in plan]
    assert len(steps) == 1
    assert "USING INDEX record_by_change (organization=? AND feed=? AND seq>?)" in steps[0]
