"""What a page of the window costs: few statements, by their indices, few bytes; on both databases,
for those who see all agencies and for those who see one.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from bench.listing import TABS, Person
from bench.listing_world import BOUND, EVERYWHERE, build
from ensora_plugin.kinds import BY_SLUG, STUDENT
from tests.plans import plans

ROWS = 3_000
#: Of the plugin's own; who is signed in, and the layout around, is the host's.
QUERIES, SAVING = 3, 8
#: Sizes of a whole page, its layout included.
RAW, ZIPPED = 60_000, 8_000
PREFIX = "/synchronization"
#: What grows with an account, and is never read by the account alone.
LARGE = ("ensora_note", "ensora_student", "ensora_mapping", "client", "appointment")
#: By what a row of a page is found, or a page in its order.
NARROW = (
    "sort_key",
    "name_key",
    "vendor_id",
    "host_id",
    "rowid",
    "id =",
    "student_id",
    "student_id =",
)


@pytest.fixture(params=[EVERYWHERE, BOUND])
def person(request: pytest.FixtureRequest, database_url: str) -> Iterator[Person]:
    build(database_url, ROWS, 7)
    someone = Person(database_url, request.param)
    yield someone
    someone.engine.dispose()


@pytest.mark.parametrize("tab", TABS)
def test_a_page_costs_few_statements_and_few_bytes(person: Person, tab: str) -> None:
    told = person.ask(f"/{tab}/", person.expected(BY_SLUG[tab], 0), rounds=1)
    assert told.correct
    assert 0 < told.queries <= QUERIES
    assert 10_000 < told.raw < RAW
    assert told.zipped < ZIPPED


def test_saving_one_mapping_costs_few_statements(person: Person) -> None:
    told = person.save(rounds=1)
    assert told.correct
    assert 0 < told.queries <= SAVING


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("asked", ["", "?q=first7", "after"])
def test_a_page_reads_no_large_table_whole(person: Person, tab: str, asked: str) -> None:
    kind = BY_SLUG[tab]
    query = f"?after={person.cursor_before(kind, 3)}" if asked == "after" else asked
    person.http.get(f"{PREFIX}/{tab}/{query}")
    with plans(person.engine) as found:
        answer = person.http.get(f"{PREFIX}/{tab}/{query}")
    assert len(gzip.compress(answer.data)) > 1_000
    steps = [step for step in found.steps if step.table in LARGE and "page" in step.statement]
    assert {step.table for step in steps} >= {kind.model.__tablename__, "ensora_mapping"}
    if person.engine.dialect.name == "sqlite":
        own = [step for step in steps if not any(word in step.by for word in NARROW)]
        assert [(step.table, step.by) for step in own if not step.by or kind is STUDENT] == []
    else:
        again = [step.table for step in steps if step.again and not step.by]
        # Of a search one of two ways is taken; for the other, a small table is read as it comes.
        assert len(again) <= asked.startswith("?q=")
