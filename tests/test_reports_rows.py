"""What the reports show: either side, in the bounds of a person's agencies, with reasons that lead
on; in both hosts and on both databases.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select

from demo.data import World
from ensora_plugin.access import Scope
from ensora_plugin.host.port import ALL, Actor
from ensora_plugin.kinds import NOTE, SITE, STUDENT, USER
from ensora_plugin.models import Directory, History, Mapping, Note, Student, User
from ensora_plugin.reports.choice import Choice
from ensora_plugin.reports.exporting import write_file
from ensora_plugin.reports.grouping import groups_of
from ensora_plugin.reports.sides import Source, all_rows, count_of, page_of
from ensora_plugin.reports.spec import REPORTS, Report, _columns
from ensora_plugin.reports.summary import summary_of
from ensora_plugin.reports.table import heads_of, lines_of
from tests.conftest import TODAY
from tests.practices import Practice, open_demo, open_other
from tests.servers import fresh_database

BRIGHT = "bright-steps"
WIDE = {"since": "2026-01-01", "until": "2026-12-31"}


@pytest.fixture(
    scope="module", params=["demo-sqlite", "demo-postgres", "other-sqlite", "other-postgres"]
)
def pulled(
    request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Practice]:
    """Both accounts pulled, mapped and rendered, once each host and database for all tests here."""
    host, database = request.param.split("-")
    with ExitStack() as stack:
        if database == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('reports') / 'host.db'}"
        else:
            server = request.getfixturevalue("postgres_server")
            url = str(stack.enter_context(fresh_database(server)))
        practice = stack.enter_context(OPEN[host](url, world))
        practice.run(BRIGHT)
        practice.run("harbor-kids")
        yield practice


OPEN = {"demo": open_demo, "other": open_other}


def source(
    practice: Practice, choice: Choice, *, account: str = BRIGHT, agencies: Any = ALL
) -> Source:
    actor = Actor("1", "ada", agencies, frozenset({"report", "view"}))
    scope = Scope.of(practice.account_id(account), account, actor)
    return Source(practice.session, scope, practice.state.host, choice.report.kind, choice.side)


def chosen(slug: str, **asked: str) -> Choice:
    return Choice.read(REPORTS[slug], WIDE | asked, TODAY)


def table(practice: Practice, choice: Choice, **whose: Any) -> list[dict[str, Any]]:
    """All lines of a choice, with every column there is."""
    choice = replace(choice, own=tuple(choice.report.by_name))
    names = [head.name for head in heads_of(choice)]
    return [
        dict(zip(names, line, strict=True))
        for line in lines_of(source(practice, choice, **whose), choice)
    ]


def northside(practice: Practice) -> Any:
    """Bo's agency in the host's own type of ids."""
    agency = next(
        row["id"]
        for row in practice.world.host["agency"]
        if row["account_id"] == BRIGHT and row["name"] == "Northside Clinic"
    )
    told = practice.host_id("site", agency)
    kind = practice.state.host.agencies(BRIGHT).selected_columns.id.type.python_type
    return kind(told) if not isinstance(told, kind) else told


def test_the_vendors_side_lists_every_record_mapped_or_not(pulled: Practice) -> None:
    for slug, model, kind in (("clients", Student, STUDENT), ("staff", User, USER)):
        lines = table(pulled, chosen(slug, inactive="1"))
        mine = model.account_id == pulled.account_id(BRIGHT)
        shown = {} if kind is STUDENT else {"type": "Employee"}
        ids = pulled.session.scalars(select(model.vendor_id).where(mine).filter_by(**shown)).all()
        assert Counter(line["vendor_id"] for line in lines) == Counter(ids)
        pairs = {line["vendor_id"]: line["host_id"] for line in lines if line["mapped"]}
        assert pairs == {id: at for id, at in pulled.mapped(BRIGHT, kind.name).items() if id in ids}
        whys = pulled.whys(BRIGHT, model)
        open_lines = [line for line in lines if not line["mapped"] and line["status"] == "active"]
        assert open_lines
        assert all(whys[line["vendor_id"]] and line["why"] for line in open_lines)


def test_names_agencies_and_birth_dates_of_a_mapped_pair_are_those_of_the_world(
    pulled: Practice,
) -> None:
    clients = {pulled.host_id("student", row["id"]): row for row in pulled.world.host["client"]}
    agencies = {row["id"]: row["name"] for row in pulled.world.host["agency"]}
    lines = [line for line in table(pulled, chosen("clients")) if line["mapped"]]
    assert len(lines) > 20
    for line in lines:
        client = clients[int(line["host_id"]) if line["host_id"].isdecimal() else line["host_id"]]
        assert line["host_first_name"] == client["first_name"]
        assert line["host_date_of_birth"] == client["date_of_birth"]
        assert line["agency"] == agencies[client["agency_id"]]
        assert (line["mapping"], line["mapped_by"]) == ("Auto", "Automap")


def test_the_hosts_side_lists_clients_that_no_student_stands_for(pulled: Practice) -> None:
    lines = table(pulled, chosen("clients", side="host", inactive="1"))
    wanted = {
        str(pulled.host_id("student", row["id"]))
        for row in pulled.world.host["client"]
        if row["account_id"] == BRIGHT
    }
    assert Counter(line["host_id"] for line in lines) == Counter(wanted)
    taken = set(pulled.mapped(BRIGHT, "student").values())
    free = [line for line in lines if line["host_id"] not in taken]
    assert free
    for line in free:
        assert (line["mapped"], line["vendor_id"]) == (False, None)
        assert line["why"] == "No student stands for it"
    only = table(pulled, chosen("clients", side="host", inactive="1", show="to-map"))
    assert only == free


def test_appointments_of_both_sides_meet_in_the_same_pairs(pulled: Practice) -> None:
    vendor = table(pulled, chosen("appointments"))
    host = table(pulled, chosen("appointments", side="host"))
    pairs = {(line["vendor_id"], line["host_id"]) for line in vendor if line["mapped"]}
    assert len(pairs) > 100
    assert pairs == {(line["vendor_id"], line["host_id"]) for line in host if line["mapped"]}
    first = next(line for line in vendor if line["mapped"])
    other = next(line for line in host if line["vendor_id"] == first["vendor_id"])
    # The same row, found from the other end.
    assert {k: v for k, v in other.items() if k != "remark"} == {
        k: v for k, v in first.items() if k != "remark"
    }
    assert {line["rendered"] for line in vendor} >= {"Rendered", "Refused", None}
    assert all(line["refusals"] for line in vendor if line["rendered"] == "Refused")
    assert any(line["start_apart"] or line["end_apart"] for line in vendor)


@pytest.mark.parametrize("side", ["vendor", "host"])
@pytest.mark.parametrize("slug", REPORTS)
def test_a_person_of_one_agency_gets_that_agency_alone(
    pulled: Practice, slug: str, side: str
) -> None:
    choice = chosen(slug, side=side, inactive="1")
    mine = table(pulled, choice, agencies=frozenset({northside(pulled)}))
    every = table(pulled, choice)
    assert 0 < len(mine) < len(every)
    assert {line["agency"] for line in mine if line["agency"]} == {"Northside Clinic"}
    sites = {line["site"] for line in mine if line.get("site")}
    assert sites <= {"Northside Clinic"}
    assert table(pulled, choice, agencies=frozenset()) == []
    other = table(pulled, choice, account="harbor-kids")
    ids = "vendor_id" if side == "vendor" else "host_id"
    assert {line[ids] for line in every}.isdisjoint({line[ids] for line in other})


@pytest.mark.parametrize("side", ["vendor", "host"])
@pytest.mark.parametrize("slug", REPORTS)
@pytest.mark.parametrize("sort", ["", "other"])
def test_pages_forwards_and_back_are_all_rows_in_their_order(
    pulled: Practice, slug: str, side: str, sort: str
) -> None:
    names = {"": "", "other": {"appointments": "date"}.get(slug, "-first")}
    choice = chosen(slug, side=side, sort=names[sort])
    at = source(pulled, choice)
    whole = [row.host_id or row.vendor_id for row in all_rows(at, choice.filters)]
    assert len(whole) == len(set(whole)) == count_of(at, choice.filters)
    found, filters, pages = [], choice.filters, []
    while True:
        page = page_of(at, filters, SIZE[slug])
        ids = [row.host_id or row.vendor_id for row in page.rows]
        assert page.first == len(found) + 1
        found += ids
        pages.append((page.previous, ids))
        if not page.next:
            break
        filters = replace(choice.filters, after=page.next)
    assert found == whole
    assert len(pages) > 2
    back = page_of(at, replace(choice.filters, before=pages[2][0]), SIZE[slug])
    assert [row.host_id or row.vendor_id for row in back.rows] == pages[1][1]


@pytest.mark.parametrize("side", ["vendor", "host"])
def test_groups_and_summary_add_up_to_the_rows(pulled: Practice, side: str) -> None:
    for slug, report in REPORTS.items():
        choice = chosen(slug, side=side)
        rows = table(pulled, choice)
        for group in choice.groups:
            told = groups_of(source(pulled, choice), replace(choice, group=group))
            assert sum(one.records for one in told) == len(rows), (slug, group)
            for one in told:
                narrowed = Choice.read(report, choice.address() | one.narrower, TODAY)
                if one.narrower:
                    assert len(table(pulled, narrowed)) == one.records, (slug, group, one)
        summary = summary_of(source(pulled, choice), choice)
        assert summary.records == len(rows)
        states = Counter((line["mapping"] or "").lower() for line in rows)
        assert {bar.narrower["show"]: bar.count for bar in summary.states}.items() >= {
            (name, count) for name, count in states.items() if name
        }
        for bar in summary.reasons + summary.refusals:
            narrowed = Choice.read(report, choice.address() | bar.narrower, TODAY)
            assert len(table(pulled, narrowed)) == bar.count, (slug, bar)
        if slug == "appointments" and side == "vendor":
            assert summary.reasons
            assert summary.refusals
            hours = sum(week.minutes["rendered"] for week in summary.weeks)
            lines = [line for line in rows if line["rendered"] == "Rendered"]
            assert hours == sum(_minutes(line) for line in lines) > 0


#: Of pages that are read, so that each report has some.
SIZE = {"staff": 3, "clients": 7, "appointments": 40}


def _minutes(line: dict[str, Any]) -> int:
    start, end = line["start"], line["end"]
    return (end.hour - start.hour) * 60 + end.minute - start.minute


def test_a_file_holds_what_the_screen_shows_and_leaves_a_row_of_history(pulled: Practice) -> None:
    choice = chosen("clients", show="to-map", columns="vendor_last_name,why,vendor_id", q="a")
    at = source(pulled, choice)
    with write_file(at, choice, "csv", by="ada") as file:
        rows = list(csv.reader(io.StringIO(file.read().decode(), newline="")))
    assert rows[0] == ["Student last name", "Why not mapped", "Student id"]
    shown = [column.cell for column in choice.columns]
    assert rows[1:] == [
        [str(cell(row) or "") for cell in shown] for row in page_of(at, choice.filters).rows
    ]
    assert len(rows) > 1
    with write_file(at, choice, "json", by="ada") as file:
        assert [list(told.values()) for told in json.load(file)] == rows[1:]
    told = pulled.session.scalars(select(History).where(History.action == "export")).all()
    assert [(row.by, row.after["format"], row.after["rows"]) for row in told] == [
        ("ada", "csv", len(rows) - 1),
        ("ada", "json", len(rows) - 1),
    ]
    # A name that was searched for has no place in the history.
    assert told[0].after["filter"]["q"] == "a search"
    assert told[0].after["filter"]["show"] == "to-map"


def test_a_further_report_is_one_more_value(pulled: Practice) -> None:
    agencies = Report("agencies", "Agencies", SITE, _columns(SITE))
    for side in ("vendor", "host"):
        choice = Choice.read(agencies, {"side": side}, TODAY)
        lines = list(lines_of(source(pulled, choice), choice))
        assert len(lines) >= 6
        summary = summary_of(source(pulled, choice), choice)
        assert summary.records == len(lines)
    assert agencies.name("My Host") == "Ensora Data Collection- My Host Agencies"


def test_the_directory_stands_behind_the_hosts_side(pulled: Practice) -> None:
    count = pulled.session.scalar(
        select(func.count()).where(
            Directory.account_id == pulled.account_id(BRIGHT), Directory.entity == "staff"
        )
    )
    choice = chosen("staff", side="host", inactive="1")
    assert count_of(source(pulled, choice), choice.filters) == count


def test_appointments_have_a_range_of_days_where_nobody_asks_for_one() -> None:
    choice = Choice.read(REPORTS["appointments"], {}, TODAY)
    assert (choice.filters.since, choice.filters.until) == (date(2026, 10, 21), TODAY)
    assert choice.kept(TODAY)["days"] == "30"
    later = Choice.read(REPORTS["appointments"], choice.kept(TODAY), date(2027, 1, 30))
    assert (later.filters.since, later.filters.until) == (date(2026, 12, 31), date(2027, 1, 30))
    fixed = Choice.read(REPORTS["appointments"], WIDE, TODAY)
    assert fixed.kept(TODAY)["since"] == "2026-01-01"
    for wild in ("99999", "x", "-1"):
        assert Choice.read(REPORTS["appointments"], {"days": wild}, TODAY).filters.since <= TODAY


def test_an_ignored_record_says_so(pulled: Practice) -> None:
    note = pulled.session.scalars(
        select(Note).where(Note.account_id == pulled.account_id(BRIGHT), Note.why.is_not(None))
    ).first()
    assert note is not None
    ignored = Mapping(
        account_id=note.account_id,
        kind=NOTE.name,
        vendor_id=note.vendor_id,
        state="ignored",
        reason="A test",
        by="ada",
        at=note.modified_at,
    )
    pulled.session.add(ignored)
    pulled.session.flush()
    # Before the transaction ends, so that nobody else sees it.
    choice = chosen("appointments", show="ignored")
    (row,) = page_of(source(pulled, choice), choice.filters).rows
    line = {name: column.cell(row) for name, column in choice.report.by_name.items()}
    pulled.session.rollback()
    assert (line["mapping"], line["why"], line["mapped"]) == ("Ignored", "Ignored: A test", False)
