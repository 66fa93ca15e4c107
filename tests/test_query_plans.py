"""Automap comes in by the indices that are there for it, in passes over few notes and over all, on
both databases and with both hosts.
"""

from __future__ import annotations

import random
import uuid
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from demo.data import World
from demo.host.models import Appointment, Client
from ensora_plugin.automap.outcome import last_of_run
from ensora_plugin.automap.people import automap_named
from ensora_plugin.automap.recheck import touch_changed
from ensora_plugin.host import directory
from ensora_plugin.host.changes import bring_up_to_date, touch_changed_appointments
from ensora_plugin.host.port import Entity
from ensora_plugin.kinds import NOTE, STUDENT
from ensora_plugin.models import (
    Connection,
    Directory,
    DirectoryAgency,
    Feed,
    Mapping,
    Membership,
    Note,
    Run,
    Student,
)
from tests.hands import Hands
from tests.other_models import Kid, Visit
from tests.plans import Plans, Step, plans, statements
from tests.practices import Practice, open_demo
from tests.servers import keep, restore
from tests.small import ACCOUNT, OTHER

#: By these a statement is one of the notes'.
TEMPORARY = ("ensora_tried", "ensora_left", "ensora_verdict")
#: What stands beside sites, students and users, and is looked up for each of them.
BESIDE = ("ensora_mapping", "ensora_membership", "ensora_directory_agency", "ensora_rejected")
#: The tables that grow with an account.
LARGE = (
    ("ensora_note",),
    ("ensora_mapping",),
    ("ensora_student",),
    ("appointment", "visits"),
)
#: Naive UTC, long before the others.
_LONG_AGO = datetime(2020, 1, 1)  # noqa: DTZ001
#: So much stands there already, all of it mapped.
STUDENTS, NOTES = 2_000, 20_000
#: What a step is found by; the account and the kind alone are no more than a whole table.
NARROW = ("vendor_id", "host_id", "rowid", "id =", "(key", "touched", "why", "date")
NARROWER = ("run_id", "match_key", "picked", "student_id", "on_day", "client_id", "kid_key")


@pytest.fixture
def full(practice: Practice) -> Practice:
    """A practice of years, of which PostgreSQL knows how much there is; SQLite does not ask."""
    engine = practice.state.engine
    if engine.dialect.name != "postgresql":
        practice.run(ACCOUNT, "pull", "automap")
        return practice
    kept = _FULL.get(type(practice.state.host))
    if kept is None:
        practice.run(ACCOUNT, "pull", "automap")
        fill(practice)
    url = engine.url.render_as_string(hide_password=False)
    # Nobody may be connected to what is copied.
    practice.session.close()
    engine.dispose()
    if kept is None:
        _FULL[type(practice.state.host)] = keep(url)
    else:
        restore(url, kept)
    return practice


#: Filled databases of each host, by which the next test need not fill its own.
_FULL: dict[type, Any] = {}


def fill(practice: Practice) -> None:
    session, key = practice.session, {"account_id": practice.account_id(ACCOUNT)}
    students = [f"old-student-{n}" for n in range(STUDENTS)]
    told = [{"vendor_id": one, "match_key": one, "why": None} for one in students]
    copies(session, Student, STUDENTS, lambda n: told[n])
    # All of one site and one agency, as in a practice of any size.
    copies(session, Membership, STUDENTS, lambda n: {"vendor_id": students[n]}, kind="student")
    for model, own in ((Directory, ("match_key", "name_key", "last_fact")), (DirectoryAgency, ())):
        keys = [dict.fromkeys(("host_id", *own), one) for one in students]
        copies(session, model, STUDENTS, keys.__getitem__, entity="client")
    copies(session, Note, NOTES, lambda n: _old_note(n, students))
    at = session.scalar(select(Mapping.at).limit(1))
    stand = {"unrendered": False, "state": "auto", "at": at, **key}
    pairs = [("student", one) for one in students] + [("note", f"old-{n}") for n in range(NOTES)]
    other = session.scalar(text("SELECT to_regclass('visits')"))
    rows = [
        {"kind": kind, "vendor_id": one, "host_id": str(uuid.uuid4() if other else 100_000 + n)}
        | stand
        for n, (kind, one) in enumerate(pairs)
    ]
    session.execute(insert(Mapping), rows)
    if other:
        copies(session, Visit, NOTES, lambda n: {"key": uuid.uuid4(), "on_day": _day(n)})
    else:
        copies(session, Appointment, NOTES, _old_appointment)
    session.execute(text("ANALYZE"))
    session.commit()


def copies(session: Any, model: Any, count: int, changes: Any, **which: str) -> None:
    """Insert copies of one row, each with changes of its own."""
    table = model.__table__
    row = dict(session.execute(select(table).filter_by(**which).limit(1)).mappings().one())
    if table.name.startswith("ensora_"):
        row.pop("id", None)
    session.execute(insert(table), [row | changes(n) for n in range(count)])


def _day(n: int) -> date:
    # A day each: among so few rows an index is worth its while only where it tells them apart.
    return date(1970, 1, 1) + timedelta(days=n)


def _old_appointment(n: int) -> dict[str, Any]:
    return {"id": 100_000 + n, "date": _day(n), "updated_at": _LONG_AGO}


def _old_note(n: int, students: list[str]) -> dict[str, Any]:
    student = random.Random(n).choice(students)
    # Older than what was pulled, which stands at the end of the table then.
    told = {"id": n - NOTES, "vendor_id": f"old-{n}", "student_id": student, "date": _day(n)}
    return told | {"touched": 0, "why": None}


def plans_of(practice: Practice, which: Any) -> Plans:
    """The plans of a pass over the notes under a condition."""
    session = practice.session
    generation = select(Connection.generation).where(Connection.account == ACCOUNT)
    session.execute(update(Note).where(which).values(touched=generation.scalar_subquery()))
    session.commit()
    with plans(practice.state.engine) as found:
        practice.run(ACCOUNT, "automap")
    return found


def plans_of_few(practice: Practice) -> Plans:
    """The plans of a pass over three touched notes."""
    few = select(Note.vendor_id).where(Note.why.is_(None), Note.status == "published")
    notes = practice.session.scalars(few.order_by(Note.vendor_id.desc()).limit(3)).all()
    return plans_of(practice, Note.vendor_id.in_(notes))


def of_notes(found: Plans, *tables: str) -> list[Step]:
    """The steps that read some tables in the statements of the notes' pass; there are some."""
    steps = [
        step
        for step in found.steps
        if step.table in tables and any(name in step.statement for name in TEMPORARY)
    ]
    assert steps, tables
    return steps


def narrow(step: Step) -> bool:
    return any(word in step.by for word in (*NARROW, *NARROWER))


def test_a_pass_over_few_notes_reads_no_table_whole(full: Practice) -> None:
    found = plans_of_few(full)
    for tables in LARGE:
        assert [step for step in of_notes(found, *tables) if not narrow(step)] == []
    # One row of any kind may be looked for from the beginning.
    notes = [step for step in found.read("ensora_note") if "LIMIT" not in step.statement]
    assert [step for step in notes if not narrow(step)] == []


def test_a_pass_over_all_notes_reads_no_table_whole_again_and_again(full: Practice) -> None:
    found = plans_of(full, Note.id == Note.id)
    once = full.state.engine.dialect.name == "postgresql"
    for tables in LARGE:
        whole = [step for step in of_notes(found, *tables) if not narrow(step)]
        # A hash join reads a table whole, but once.
        assert [step for step in whole if step.again or not once] == []


@pytest.mark.parametrize("kind", ["site", "student", "user"])
def test_people_are_mapped_by_the_indices_of_what_stands_beside_them(
    full: Practice, kind: str
) -> None:
    found = plans_of_few(full)
    own = [
        step
        for step in found.steps
        if f"ensora_{kind}.match_key" in step.statement and "ensora_tried" not in step.statement
    ]
    assert {step.table for step in own} >= {f"ensora_{kind}", "ensora_mapping", "ensora_directory"}
    if full.state.engine.dialect.name == "sqlite":
        assert [step for step in own if step.table in BESIDE and not narrow(step)] == []
        records = (f"ensora_{kind}", "ensora_directory")
        assert [step for step in own if step.table in records and not step.by] == []
    else:
        # Those of no more than a page are read whole.
        large = [step for step in own if step.table in ("ensora_mapping", "ensora_student")]
        assert [step for step in large if step.again and not narrow(step)] == []


def test_equal_facts_are_looked_up_by_their_keys_on_both_sides(full: Practice) -> None:
    found, sides = plans_of_few(full), ("ensora_student", "ensora_directory")
    pairs = [step for step in found.steps if "equal_pair" in step.statement]
    own = [step for step in pairs if sides[0] in step.statement and step.table in sides]
    assert {step.table for step in own} == set(sides)
    assert [step for step in own if "match_key" not in step.by] == []


def test_who_shares_an_agency_is_looked_up_pair_by_pair(full: Practice) -> None:
    found = plans_of_few(full)
    beside = ("ensora_membership", "ensora_directory_agency")
    own = [
        step
        for step in found.steps
        if "equal_pair" in step.statement
        and "ensora_student" in step.statement
        and step.table in beside
    ]
    assert {step.table for step in own} == set(beside)
    assert [step for step in own if not step.by] == []


def test_a_rendering_pass_reads_only_the_notes_that_may_have_something_to_render(
    full: Practice,
) -> None:
    full.run(ACCOUNT, "render")
    # PostgreSQL looks at what changed much by itself, some time after.
    full.session.execute(text("ANALYZE"))
    full.session.commit()
    with plans(full.state.engine) as found:
        full.run(ACCOUNT, "render")
    assert [step for step in found.read("ensora_note") if not narrow(step)] == []
    mappings = [step for step in found.read("ensora_mapping") if "unrendered" in step.statement]
    assert mappings
    assert [step for step in mappings if not step.by] == []


def test_the_nearest_entities_are_found_by_their_names_and_facts(full: Practice) -> None:
    session = full.session
    session.execute(update(Student).values(suggested_by=None))
    with plans(full.state.engine) as found:
        automap_named(session, full.account_id(ACCOUNT), STUDENT, _a_run(full))
    session.rollback()
    near = [step for step in found.read("ensora_directory") if _WITH_FACTS in step.statement]
    assert len(near) >= 2
    assert [step for step in near if not _named(step, "name_key", "last_fact")] == []
    for table, key in (("directory_agency", "host_id"), ("membership", "vendor_id")):
        own = f"SELECT ensora_{table}."
        beside = [one for one in found.read(f"ensora_{table}") if one.statement.startswith(own)]
        assert beside
        assert [step for step in beside if not _named(step, key)] == []
    # What persons rejected is few, and read once.
    rejected = [one for one in found.steps if one.statement.startswith("SELECT ensora_rejected.")]
    assert len(rejected) == 1


def test_what_became_of_appointments_is_looked_up_by_the_days_of_the_unmapped_notes(
    full: Practice,
) -> None:
    session, account_id = full.session, full.account_id(ACCOUNT)
    # Which of a host's indices tells most, SQLite knows only where somebody let it look.
    session.execute(text("ANALYZE"))
    session.commit()
    appointment = full.state.host.appointments(ACCOUNT).subquery("appointment")
    with plans(full.state.engine) as found:
        touch_changed(session, account_id, appointment, date.min)
    session.rollback()
    asked = [step for step in found.steps if "holder_mapping" in step.statement]
    for tables in LARGE:
        own = [step for step in asked if step.table in tables]
        assert own, tables
        # Students may be read whole, once, by a hash join of PostgreSQL.
        once = tables == ("ensora_student",) and session.get_bind().dialect.name == "postgresql"
        assert [one for one in own if not narrow(one) and (one.again or not once)] == []


@pytest.mark.parametrize("entity", ["agency", "client", "staff", "appointment"])
def test_what_the_host_says_it_changed_is_read_by_its_id(full: Practice, entity: Entity) -> None:
    more_clients(full)
    session, hands = full.session, Hands(full)
    # So many, that an index of the account's rows looks cheaper to SQLite than as many ids.
    ids = [hands.id(entity, number) for number in range(1, 11)]
    told = full.account_id(ACCOUNT), ACCOUNT, full.state.host, entity, ids
    with plans(full.state.engine) as found:
        bring_up_to_date(session, *told)
    session.rollback()
    large = ["ensora_directory", "ensora_directory_agency", "ensora_note"]
    large += ["client", "kids", "appointment", "visits"]
    own = [step for step in found.steps if step.table in large]
    assert own
    assert [step for step in own if not narrow(step)] == []


def test_appointments_that_changed_are_read_by_when_and_their_notes_by_them(
    full: Practice,
) -> None:
    full.session.execute(text("ANALYZE"))
    full.session.commit()
    hands = Hands(full)
    hands.change("appointment", 1, start=time(6), end=time(7))
    told = full.account_id(ACCOUNT), ACCOUNT, full.state.host
    with plans(full.state.engine) as found:
        touch_changed_appointments(full.session, *told)
    full.session.rollback()
    notes = [step for step in found.steps if step.table in ("ensora_note", "ensora_mapping")]
    # Nothing tells in the other host what changed.
    assert bool(notes) == hands.is_demo
    assert [step for step in notes if not narrow(step)] == []
    asked = found.read("appointment")
    assert bool(asked) == hands.is_demo
    assert [step for step in asked if not _named(step, "updated_at", "rowid", "id =")] == []


def test_a_directory_refresh_reads_what_changed_or_each_table_once(full: Practice) -> None:
    more_clients(full)
    told = full.session, full.account_id(ACCOUNT), ACCOUNT, full.state.host
    directory.refresh(*told)
    full.session.execute(text("ANALYZE"))
    full.session.commit()
    hands = Hands(full)
    hands.change("client", 1, first_name="Renamed")
    with plans(full.state.engine) as found:
        assert directory.refresh(*told) == 1
    full.session.rollback()
    clients = [step for step in found.steps if step.table in ("client", "kids")]
    clients = [step for step in clients if "count(" not in step.statement]
    assert clients
    if hands.is_demo:
        assert [step for step in clients if not _named(step, "updated_at", "rowid", "id =")] == []
        entries = [one for one in found.read("ensora_directory") if "count(" not in one.statement]
        told_of_clients = [one for one in entries if _named(one, "host_id")]
        assert told_of_clients
    else:
        # Nothing tells there what changed.
        assert len(clients) == 1
    agencies = [one for one in found.read("ensora_directory_agency") if "DELETE" in one.statement]
    assert agencies
    assert [step for step in agencies if not _named(step, "host_id")] == []


#: How the statements begin that read entries for being near, and not for being new.
_WITH_FACTS = "SELECT ensora_directory.host_id, ensora_directory.facts, "


def test_the_last_mapping_of_a_run_is_found_among_its_own(full: Practice) -> None:
    session, account_id, run_id = full.session, full.account_id(ACCOUNT), _a_run(full)
    # A run that mapped the people, and was handed over before it came to the notes.
    session.execute(update(Mapping).where(Mapping.kind == "note").values(run_id=None))
    session.execute(update(Mapping).where(Mapping.kind == "student").values(run_id=run_id))
    session.execute(text("ANALYZE ensora_mapping"))
    session.commit()
    with plans(full.state.engine) as found:
        assert last_of_run(session, account_id, NOTE, run_id) == 0
    assert [step for step in found.read("ensora_mapping") if "run_id" not in step.by] == []
    assert last_of_run(session, account_id, STUDENT, run_id) > 0


def _named(step: Step, *words: str) -> bool:
    return any(word in step.by for word in words)


def _a_run(practice: Practice) -> int:
    return practice.session.scalars(select(func.max(Run.id))).one()


def more_clients(practice: Practice) -> None:
    """Give the host as many clients as a practice of years has; the directory has to follow."""
    session = practice.session
    if practice.state.engine.dialect.name == "postgresql":
        if Hands(practice).is_demo:
            old = {"updated_at": _LONG_AGO}
            copies(session, Client, STUDENTS, lambda n: {"id": 100_000 + n, **old})
        else:
            copies(session, Kid, STUDENTS, lambda n: {"key": uuid.uuid4()})
        session.execute(text("ANALYZE"))
    session.commit()


def unknown(practice: Practice) -> None:
    """Give an account notes after the database has looked at those of another one alone."""
    session = practice.session
    practice.run(ACCOUNT, "pull")
    other = {"account_id": practice.account_id(OTHER)}
    copies(session, Note, NOTES, lambda n: {"vendor_id": f"other-{n}"} | other)
    mine = Note.account_id == practice.account_id(ACCOUNT)
    one = session.scalar(select(func.min(Note.vendor_id)).where(mine))
    session.execute(update(Note).where(mine, Note.vendor_id == one).values(template="kept"))
    session.execute(delete(Note).where(mine, Note.vendor_id != one))
    session.execute(text("ANALYZE ensora_note"))
    told = {"touched": 0, "why": None}
    new = [told | {"vendor_id": f"new-{n}", "date": _day(n)} for n in range(NOTES)]
    copies(session, Note, NOTES, new.__getitem__, template="kept")
    session.execute(delete(Feed))
    session.commit()


def test_what_stands_of_a_page_is_looked_up_by_its_ids_whatever_is_known_of_the_account(
    practice: Practice,
) -> None:
    unknown(practice)
    with plans(practice.state.engine) as found:
        practice.run(ACCOUNT, "pull")
    steps = [step for step in found.read("ensora_note") if "AS aside" in step.statement]
    assert steps
    assert [step.by for step in steps if "vendor_id" not in step.by] == []


def test_postgres_looks_at_an_account_that_it_knows_nothing_of_before_notes_are_mapped(
    postgres_url: str, small_world: World
) -> None:
    with open_demo(postgres_url, small_world) as practice:
        # Nobody but the run itself looks.
        quiet = "ALTER TABLE ensora_note SET (autovacuum_enabled = false)"
        practice.session.execute(text(quiet))
        unknown(practice)
        account_id = practice.account_id(ACCOUNT)
        explain = f"EXPLAIN (FORMAT JSON) SELECT FROM ensora_note WHERE account_id = {account_id}"

        def believed() -> int:
            ((plan,),) = practice.session.execute(text(explain)).all()
            rows: int = plan[0]["Plan"]["Plan Rows"]
            practice.session.rollback()
            return rows

        assert believed() < 100
        practice.run(ACCOUNT, "automap")
        assert NOTES / 2 < believed() < NOTES * 2
        # What is known well enough is not looked at again.
        with statements(practice.state.engine) as sent:
            practice.run(ACCOUNT, "automap")
        assert sent
        assert [one for one in sent if one.startswith("ANALYZE") and "ensora_note" in one] == []


def test_a_step_that_reads_a_table_whole_is_seen(full: Practice) -> None:
    with plans(full.state.engine) as found:
        full.session.execute(select(Note.id).where(Note.template == "none")).all()
        full.session.rollback()
    assert [(step.table, narrow(step)) for step in found.steps] == [("ensora_note", False)]
