"""What a page of a report costs: no more than a page of a tab, on both databases."""

from __future__ import annotations

import pytest

from bench.listing_world import BOUND, EVERYWHERE, build
from bench.report import pages
from tests.test_window_cost import QUERIES, RAW, ZIPPED

ROWS = 3_000


@pytest.mark.parametrize("login", [EVERYWHERE, BOUND])
def test_a_page_and_a_summary_cost_few_statements_and_few_bytes(
    database_url: str, login: str
) -> None:
    build(database_url, ROWS, 7)
    for name, told in pages(database_url, login, rounds=1).items():
        assert told.correct, name
        assert 0 < told.queries <= QUERIES, name
        if name.endswith("summary"):
            # Where the account stands, and one pass over what is counted.
            assert told.queries == 2, name
        if name.endswith("page"):
            assert told.raw < RAW, (name, told)
            assert told.zipped < ZIPPED, (name, told)
