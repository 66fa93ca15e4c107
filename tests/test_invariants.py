"""The invariants see what is wrong: each kind of damage, done by hand, is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.chaos.counting import CountingHost, make_table
from tests.invariants import ALWAYS
from tests.meddling import hours
from tests.opened import open_small
from tests.practices import Practice

DAMAGE = [
    ("UPDATE ensora_run SET lease_until = ended_at", "I-13"),
    ("UPDATE ensora_run_count SET fetched = fetched + 1", "I-29"),
    ("INSERT INTO chaos_verb SELECT id + 99, account, appointment_id, note, version, did "
     "FROM chaos_verb WHERE note = 'note-1'", "I-01"),
    ("DELETE FROM ensora_rendering WHERE note_id = 'note-1'", "I-02"),
    ("DELETE FROM chaos_verb WHERE note = 'note-1'", "I-02"),
    ("DELETE FROM appointment_signature WHERE source = 'note-1'", "I-20"),
    ("INSERT INTO ensora_rejected SELECT account_id, kind, vendor_id, host_id, 'ada', at "
     "FROM ensora_mapping WHERE vendor_id = 'note-1'", "I-03"),
    ("UPDATE ensora_mapping SET \"by\" = 'ada', state = 'user' WHERE vendor_id = 'note-1'", "I-04"),
    ("UPDATE ensora_mapping SET run_id = 99 WHERE vendor_id = 'note-1'", "I-04"),
    ("UPDATE appointment SET account_id = 'harbor-kids' WHERE id = 1", "I-08"),
]  # fmt: skip


@pytest.fixture
def practice(database_url: str) -> Iterator[Practice]:
    with open_small(database_url, hours(2)) as practice:
        practice.state.host = CountingHost()
        make_table(practice.state.engine)
        practice.run()
        yield practice


def wrong(practice: Practice) -> set[str]:
    """Return the invariants that are broken as things stand; what was not committed is gone."""
    found = {
        number
        for number, _, question in ALWAYS
        if practice.session.execute(text(question)).first() is not None
    }
    practice.session.rollback()
    return found


def test_nothing_is_wrong_after_a_run_and_each_damage_is_seen(practice: Practice) -> None:
    assert wrong(practice) == set()
    for damage, invariant in DAMAGE:
        practice.session.execute(text(damage))
        assert invariant in wrong(practice), damage
