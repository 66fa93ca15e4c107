"""Session matching: the appointment that the therapist picked is a sure suggestion, and maps by
itself where the account says so.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select, text, update

from ensora_plugin.access import Scope
from ensora_plugin.automap.trying import touch
from ensora_plugin.explain.explain import explain
from ensora_plugin.host.port import ALL, PERMISSIONS, Actor
from ensora_plugin.kinds import NOTE
from ensora_plugin.listing.listing import list_some
from ensora_plugin.listing.row_words import Nearest
from ensora_plugin.listing.rows import row_view
from ensora_plugin.models import Connection, Note
from ensora_plugin.window.account_settings import change_settings
from tests.hands import Hands
from tests.opened import by_person, open_small, outcome, reject
from tests.plans import plans
from tests.practices import Practice
from tests.small import ACCOUNT, DAY, Small
from tests.test_suggestions import offered

LATER = DAY + timedelta(days=3)


def nearest(practice: Practice) -> dict[str, str | None]:
    rows = practice.session.execute(select(Note.vendor_id, Note.nearest))
    return {row.vendor_id: row.nearest for row in rows}


def set_picks(practice: Practice, *, map_picked: bool) -> None:
    told: dict[str, Any] = {"interval": None, "grace": None, "by": "ada"}
    account_id, settings = practice.account_id(ACCOUNT), practice.state.settings
    change_settings(practice.session, account_id, settings, **told, map_picked=map_picked)
    practice.session.commit()


def pick(practice: Practice, note: str, appointment: str) -> None:
    """Let a therapist pick another appointment, as an edited note brings it."""
    own = Note.vendor_id == note
    practice.session.execute(update(Note).where(own).values(picked=appointment))
    touch(practice.session, practice.account_id(ACCOUNT), own)
    practice.session.commit()


def picks() -> Small:
    """Notes 1 to 7 of one client and therapist: 1 picks another day's appointment, 2 one of two
    that are as near, 3 one of another client, 4 a cancelled one, 5 and 6 the same, 7 no id at all.
    """
    small = Small()
    small.trio()
    small.client("Kim Other", "2012-05-05")
    small.appointment(day=LATER)
    small.note("09:00", "10:00", appointmentId="1")
    small.appointment("13:00", "14:00")
    small.appointment("13:04", "14:04")
    small.note("13:02", "14:02", appointmentId="3")
    small.appointment(client=2)
    small.note("15:00", "16:00", appointmentId="4")
    small.appointment("18:00", "19:00", status="cancelled")
    small.note("16:00", "17:00", appointmentId="5")
    small.appointment("10:00", "11:00", LATER)
    small.note("17:00", "18:00", appointmentId="6")
    small.note("18:30", "19:30", appointmentId="6")
    small.note("20:00", "21:00", appointmentId="' no id")
    return small


def test_what_was_picked_is_suggested_for_sure_and_waits_for_a_click(database_url: str) -> None:
    with open_small(database_url, picks()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        whys = outcome(practice, NOTE)
        assert whys["note-1"] == "outside_the_grace"
        assert whys["note-2"] == "ambiguous"
        assert not practice.mapped(ACCOUNT, "note")
        found = nearest(practice)
        assert (found["note-1"], found["note-2"]) == ("1", "3")
        assert {found[f"note-{n}"] for n in (3, 4)}.isdisjoint({"4", "5"})
        assert found["note-5"] == found["note-6"] == "6"
        assert offered(practice, NOTE) == {"note-1": True, "note-2": True}
        told = explain(
            practice.session,
            practice.account_id(ACCOUNT),
            ACCOUNT,
            practice.state.host,
            NOTE,
            "note-1",
            grace=5,
        )
        first, *others = told.candidates
        assert (first.host_id, first.name) == (
            "1",
            "22 Nov 2026, 13:00–14:00, picked by the therapist",
        )
        assert {one.host_id for one in others} == {"2", "3", "5"}
        actor = Actor(id="1", name="ada", agencies=ALL, permissions=frozenset(PERMISSIONS))
        scope = Scope.of(practice.account_id(ACCOUNT), ACCOUNT, actor)
        note = practice.session.scalars(select(Note).filter_by(vendor_id="note-1")).one()
        (row,) = list_some(practice.session, scope, practice.state.host, NOTE, [note.id])
        view = row_view(row, scope, NOTE, at="", pages=())
        assert view.nearest == Nearest("1", "22 Nov 2026, 13:00–14:00", "picked by the therapist")


def test_it_maps_by_itself_once_the_account_says_so(database_url: str) -> None:
    with open_small(database_url, picks()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        before = outcome(practice, NOTE)
        set_picks(practice, map_picked=True)
        run = practice.run(ACCOUNT, "automap")
        assert practice.mapped(ACCOUNT, "note") == {"note-1": "1", "note-2": "3"}
        assert practice.counts(run)["note"].mapped == 2
        after = outcome(practice, NOTE)
        assert {name: after[name] for name in after if name > "note-2"} == {
            name: before[name] for name in before if name > "note-2"
        }
        practice.run(ACCOUNT, "automap")
        assert outcome(practice, NOTE) == after


def test_a_pick_goes_before_what_is_nearer_and_never_over_a_person(sqlite_url: str) -> None:
    small = Small()
    small.trio()
    small.appointment("13:00", "14:00")
    small.appointment("15:00", "16:00")
    small.appointment("17:00", "18:00")
    small.note("13:00", "14:00", appointmentId="2")
    small.note("15:00", "16:00")
    small.note("17:00", "18:00", appointmentId="3")
    small.note("17:30", "18:30", appointmentId="1")
    small.note(status="unpublished", appointmentId="1")
    with open_small(sqlite_url, small) as practice:
        practice.session.execute(update(Connection).values(map_picked=True))
        practice.session.commit()
        practice.run(ACCOUNT, "pull")
        by_person(practice, "note", "note-4", None)
        reject(practice, "note", "note-3", 3)
        practice.run(ACCOUNT, "automap")
        assert practice.mapped(ACCOUNT, "note") == {"note-1": "2", "note-4": None}
        assert outcome(practice, NOTE)["note-2"] == "taken"
        assert outcome(practice, NOTE)["note-3"] == "rejected_by_a_person"
        assert outcome(practice, NOTE)["note-5"] == "unpublished"


def doubles() -> Small:
    """Notes 1 and 2 pick one appointment of another day; 3, of another client, picks it as well."""
    small = Small()
    small.trio()
    small.client("Kim Other", "2012-05-05")
    small.student("Kim Other", "2012-05-05")
    small.appointment("09:00", "10:00", LATER)
    small.appointment("11:00", "12:00", LATER)
    small.note("13:00", "14:00", appointmentId="1")
    small.note("15:00", "16:00", day=DAY - timedelta(days=1), appointmentId="1")
    small.note("17:00", "18:00", student="student-2", appointmentId="1")
    return small


def test_a_pick_left_to_one_note_alone_maps_at_the_next_pass(database_url: str) -> None:
    with open_small(database_url, doubles()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        set_picks(practice, map_picked=True)
        practice.run(ACCOUNT, "automap")
        assert not practice.mapped(ACCOUNT, "note")
        # One of the two is tried again: there are two still.
        touch(practice.session, practice.account_id(ACCOUNT), Note.vendor_id == "note-1")
        practice.session.commit()
        practice.run(ACCOUNT, "automap")
        assert not practice.mapped(ACCOUNT, "note")
        pick(practice, "note-2", "2")
        practice.run(ACCOUNT, "automap")
        assert practice.mapped(ACCOUNT, "note") == {"note-1": "1", "note-2": "2"}
        assert outcome(practice, NOTE)["note-3"] == "no_appointment_that_day"


def test_a_pick_that_is_not_sound_takes_nothing_from_one_that_is(database_url: str) -> None:
    with open_small(database_url, doubles()) as practice:
        practice.run(ACCOUNT, "pull")
        pick(practice, "note-2", "2")
        set_picks(practice, map_picked=True)
        practice.run(ACCOUNT, "automap")
        assert practice.mapped(ACCOUNT, "note") == {"note-1": "1", "note-2": "2"}


def test_what_becomes_of_a_picked_appointment_is_seen_without_a_word(database_url: str) -> None:
    with open_small(database_url, doubles()) as practice:
        hands = Hands(practice)
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice)["note-1"] == "1"
        hands.change("appointment", 1, stamped=False, status="cancelled")
        practice.run(ACCOUNT, "automap")
        assert nearest(practice)["note-1"] is None
        hands.change("appointment", 1, stamped=False, status="scheduled")
        practice.run(ACCOUNT, "automap")
        assert nearest(practice)["note-1"] == "1"


def test_a_pick_that_times_gave_to_another_note_is_no_more_suggested(database_url: str) -> None:
    with open_small(database_url, doubles()) as practice:
        practice.run(ACCOUNT, "pull", "automap")
        assert nearest(practice)["note-1"] == nearest(practice)["note-2"] == "1"
        moved = update(Note).where(Note.vendor_id == "note-2")
        practice.session.execute(moved.values(date=LATER, start=9 * 60, end=10 * 60, picked=None))
        touch(practice.session, practice.account_id(ACCOUNT), Note.vendor_id == "note-2")
        practice.session.commit()
        practice.run(ACCOUNT, "automap")
        assert practice.mapped(ACCOUNT, "note") == {"note-2": "1"}
        assert nearest(practice)["note-1"] is None
        assert offered(practice, NOTE) == {}


def test_a_pass_reads_the_picks_of_unmapped_notes_alone(practice: Practice) -> None:
    practice.run(ACCOUNT, "pull", "automap")
    engine = practice.state.engine
    if engine.dialect.name == "postgresql":
        # So few notes may well be read whole; that there is an index to read them by is asked.
        setting = f'ALTER DATABASE "{engine.url.database}" SET enable_seqscan = off'
        practice.session.execute(text(setting))
        practice.session.commit()
        practice.session.close()
        engine.dispose()
    with plans(engine) as found:
        practice.run(ACCOUNT, "automap")
    asked = [step for step in found.read("ensora_note") if "picked IS NOT NULL" in step.statement]
    by = ("picked", "touched", "rowid", "id =", "(id")
    assert len(asked) >= 2
    assert [step for step in asked if not any(word in step.by for word in by)] == []
