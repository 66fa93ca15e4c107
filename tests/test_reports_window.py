"""The pages of the reports: who sees what, saved views, files at once and by a worker, on paper."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from demo.data import World
from demo.host.models import Appointment
from ensora_plugin import Ensora
from ensora_plugin.clock import utcnow
from ensora_plugin.config import Settings
from ensora_plugin.errors import Fenced
from ensora_plugin.models import Export, ExportPart, History, Mapping, SavedView
from ensora_plugin.reports.exports import (
    MOST_ATTEMPTS,
    claim_export,
    end_exports,
    make_export,
    waiting_exports,
)
from ensora_plugin.reports.files import FORMATS
from ensora_plugin.runs.jobs import JobFailed, OutOfTime, work_export
from ensora_plugin.runs.processes import stopping
from tests.practices import Practice, open_demo
from tests.window import PREFIX, Person

REPORTS = f"{PREFIX}/reports"
NAMES = {
    "staff": "Ensora Data Collection- CodeMetro by Ensora Health Staff",
    "clients": "Ensora Data Collection- CodeMetro by Ensora Health Clients",
    "appointments": "Ensora Data Collection- CodeMetro by Ensora Health Appointments",
}


@pytest.fixture(scope="module")
def practice(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    url = f"sqlite:///{tmp_path_factory.mktemp('reports') / 'host.db'}"
    # So few that the clients of one account are more than a request writes.
    with open_demo(url, world, ENSORA_EXPORT_ROWS="40") as practice:
        for account in ("bright-steps", "harbor-kids"):
            practice.run(account)
        # A page of the host that asks for the address of a report.
        link = Ensora().report_url
        practice.app.add_url_rule("/probe", view_func=lambda: [link("clients")])
        with practice.outside():
            yield practice


@pytest.fixture
def ada(practice: Practice) -> Person:
    return Person(practice.app, "ada")


def lines(page: Any) -> list[list[str]]:
    """Return the cells of a report's table, without the link to the window."""
    body = page.text.partition('id="ensora-table"')[2].partition("<tbody>")[2]
    rows = body.partition("</tbody>")[0].split("<tr>")[1:]
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S) for row in rows]
    return [[unescape(re.sub("<.*?>", "", cell)).strip() for cell in row] for row in cells]


def export(person: Person, path: str, form: str = "csv") -> Any:
    answer = person.send(f"/reports/{path}", format=form)
    answer.get_data()
    answer.close()
    return answer


def rows_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.data.decode(), newline="")))


def forget_exports(practice: Practice) -> None:
    practice.session.execute(update(Export).values(ends_at=utcnow()))
    practice.session.commit()
    assert end_exports(practice.session)


def history(practice: Practice) -> list[History]:
    with practice.app.app_context():
        found = practice.session.scalars(
            select(History).where(History.action == "export").order_by(History.id)
        ).all()
        practice.session.expunge_all()
        return list(found)


@pytest.mark.parametrize("slug", NAMES)
def test_each_report_has_its_name_and_its_place(ada: Person, slug: str) -> None:
    page = ada.get(f"{REPORTS}/{slug}/")
    assert NAMES[slug] in page.text
    assert f'href="{REPORTS}/" aria-current="page">Reports</a>' in page.text
    assert "Reports</a>" not in Person(ada.http.application, "dee").get(f"{PREFIX}/clients/").text


def test_the_hosts_own_page_leads_to_them() -> None:
    from wsgi import app, ensora  # the demo site as it is served

    with app.test_request_context():
        assert list(ensora.reports().values()) == list(NAMES.values())
    cards = app.extensions["host_menu"]["reports"]
    assert len(cards) == 3


def test_a_host_shows_links_to_those_alone_who_may_see_reports(practice: Practice) -> None:
    found = {name: Person(practice.app, name).get("/probe").json for name in ("ada", "cy", "dee")}
    there = f"{REPORTS}/clients/"
    assert found == {"ada": [there], "cy": [there], "dee": [None]}


@pytest.mark.parametrize(
    "path",
    [
        "staff/?",
        "clients/?show=to-map",
        "clients/?side=host&show=to-map",
        "clients/?columns=why,vendor_last_name,mapped_by,host_id&sort=-first&q=a",
        "appointments/?since=2026-11-10&until=2026-11-14&rendering=refused",
        "appointments/?group=week&since=2026-01-01",
        "clients/?group=state",
    ],
)
def test_a_file_is_what_the_screen_shows(ada: Person, path: str) -> None:
    shown = lines(ada.get(f"{REPORTS}/{path}"))
    slug, _, query = path.partition("/?")
    answer = export(ada, f"{slug}/export?{query}")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert NAMES[slug] in answer.headers["Content-Disposition"]
    told = rows_of(answer)[1:]
    assert 0 < len(shown) <= len(told)
    # Days are told in other words; what is compared is all else.
    day = re.compile(r"\d{4}-\d\d-\d\d|\d+ [A-Z][a-z]{2} \d{4}")
    for on_screen, in_file in zip(shown, told, strict=False):
        cells = [re.sub(r",(?=\d{3})", "", day.sub("", cell)).strip() for cell in on_screen]
        assert cells[: len(in_file)] == [day.sub("", cell).strip() for cell in in_file]


def test_each_row_leads_to_its_row_in_the_window(practice: Practice, ada: Person) -> None:
    page = ada.get(f"{REPORTS}/clients/?show=to-map")
    leads = re.findall(r'<a href="([^"]+)">Open', page.text)
    assert len(leads) == len(lines(page))
    for lead in leads[:3]:
        found = ada.get(unescape(lead))
        assert len(re.findall('<tr id="row-', found.text)) == 1


def test_reports_stay_open_while_a_site_is_to_be_mapped(practice: Practice, ada: Person) -> None:
    with practice.app.app_context():
        site = practice.session.scalars(select(Mapping).filter_by(kind="site").limit(1)).one()
        kept = {column.name: getattr(site, column.name) for column in Mapping.__table__.columns}
        practice.session.execute(delete(Mapping).where(Mapping.id == site.id))
        practice.session.commit()
    try:
        assert ada.get(f"{PREFIX}/clients/").status_code == 403
        assert ada.get(f"{REPORTS}/clients/").status_code == 200
    finally:
        with practice.app.app_context():
            practice.session.execute(Mapping.__table__.insert().values(kept))
            practice.session.commit()


def test_the_summary_names_numbers_and_leads_to_their_rows(ada: Person) -> None:
    page = ada.get(f"{REPORTS}/clients/summary?show=all")
    bars = re.findall(
        r'<th scope="row"><a href="([^"]+)">([^<]+)</a></th>.*?<td class="e-number">(\d+)',
        page.text,
        re.S,
    )
    assert ("No such client" in [words for _, words, _ in bars]) is True
    assert page.text.count("<rect") >= len(bars)
    for lead, words, count in bars:
        found = ada.get(unescape(lead))
        assert len(lines(found)) == int(count), words


def test_a_view_is_saved_found_and_made_the_first(practice: Practice) -> None:
    bo, cy = Person(practice.app, "bo"), Person(practice.app, "cy")
    asked = "show=to-map&columns=vendor_last_name%2Cwhy&sort=-last"
    saved = bo.send(f"/reports/clients/views?{asked}", name=" Mine  alone ", shared="")
    assert saved.status_code == 302
    assert "view=" in saved.headers["Location"]
    everybody = bo.send(f"/reports/clients/views?{asked}", name="For all", shared="1")
    number = int(everybody.headers["Location"].rpartition("view=")[2].partition("&")[0])
    page = bo.get(f"{REPORTS}/clients/?side=vendor").text
    assert "<bdi>Mine alone</bdi>" in page
    other = cy.get(f"{REPORTS}/clients/?side=vendor").text
    assert "<bdi>For all</bdi>" in other
    assert "Mine alone" not in other
    assert "by <bdi>bo</bdi>" in other.lower()
    # Anybody may begin with it, only its owner may delete it.
    assert cy.send(f"/reports/views/{number}/default", default="1").status_code == 302
    first = cy.get(f"{REPORTS}/clients/")
    assert first.status_code == 302
    assert "show=to-map" in first.headers["Location"]
    assert [len(row) for row in lines(cy.get(first.headers["Location"]))][:1] == [3]
    assert bo.get(f"{REPORTS}/clients/").status_code == 200
    assert cy.send(f"/reports/views/{number}/delete").status_code == 404
    eve = Person(practice.app, "eve")
    assert "For all" not in eve.get(f"{REPORTS}/clients/").text
    assert eve.send(f"/reports/views/{number}/default", default="1").status_code == 404
    assert eve.send(f"/reports/views/{number}/delete").status_code == 404
    assert bo.send(f"/reports/views/{number}/delete").status_code == 302
    assert cy.get(f"{REPORTS}/clients/").status_code == 200


def test_a_view_of_the_same_name_takes_its_place(practice: Practice, ada: Person) -> None:
    for show in ("auto", "user"):
        ada.send(f"/reports/staff/views?show={show}", name="Daily")
    with practice.app.app_context():
        views = practice.session.scalars(select(SavedView).filter_by(name="Daily")).all()
        assert [view.choice["show"] for view in views] == ["user"]
        number = views[0].id
    for turn, status in (("1", 302), ("0", 200)):
        ada.send(f"/reports/views/{number}/default", default=turn)
        assert ada.get(f"{REPORTS}/staff/").status_code == status


def test_a_full_shelf_takes_a_view_in_the_place_of_one_of_its_name(
    practice: Practice, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.send("/reports/staff/views?show=auto", name="The last one")
    with practice.app.app_context():
        own = select(func.count()).where(SavedView.report == "staff", SavedView.by == "ada")
        full = practice.session.scalar(own)
    assert full
    monkeypatch.setattr("ensora_plugin.reports.saved.MOST", full)
    told = f"You have {full} views of this report."
    ada.send("/reports/staff/views?show=user", name="The last one")
    assert told not in ada.get(f"{REPORTS}/staff/").text
    ada.send("/reports/staff/views?show=user", name="One more")
    assert told in ada.get(f"{REPORTS}/staff/").text


def test_a_shared_view_does_not_tell_whom_somebody_searched_for(
    practice: Practice, ada: Person
) -> None:
    for name, shared in (("For all", "1"), ("Mine", "")):
        ada.send("/reports/clients/views?q=Secretname&show=auto", name=name, shared=shared)
    assert "Secretname" in ada.get(f"{REPORTS}/clients/?side=vendor").text
    other = Person(practice.app, "bo").get(f"{REPORTS}/clients/?side=vendor").text
    assert "For all" in other
    assert "Secretname" not in other


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_view_without_a_name_is_not_saved(ada: Person, name: str) -> None:
    ada.send("/reports/staff/views?show=auto", name=name)
    assert "Give the view a name of up to 80 characters." in ada.get(f"{REPORTS}/staff/").text


def test_a_sheet_for_paper_holds_all_rows_and_is_written_down(
    practice: Practice, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(history(practice))
    page = ada.get(f"{REPORTS}/clients/print?inactive=1")
    assert page.text.count("<tr>") > 40
    row = history(practice)[before]
    assert (row.by, row.after["format"]) == ("Ada", "print") or row.by == "ada"
    assert row.after["rows"] == page.text.count("<tr>") - 1
    monkeypatch.setattr("ensora_plugin.reports.views.PRINTED", 20)
    told = ada.get(f"{REPORTS}/clients/print?inactive=1").text
    assert "holds at most 20 rows" in told
    # What to do instead stands beside it, for the same choice.
    assert 'action="/synchronization/reports/clients/export?show=all&amp;inactive=1' in told
    assert len(history(practice)) == before + 1


def test_counts_of_the_hosts_side_follow_what_its_people_change(
    practice: Practice, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{REPORTS}/appointments/{{}}?side=host&since=2026-01-01&until=2026-12-31"

    def told() -> tuple[int, int]:
        page, summary = ada.get(path.format("")).text, ada.get(path.format("summary")).text
        found = re.search(r" of ([\d,]+)</span>", page), re.search(r"<dd>([\d,]+)</dd>", summary)
        return tuple(int(one[1].replace(",", "")) for one in found if one)  # type: ignore[return-value]

    before = told()
    assert before[0] == before[1] > 100
    with practice.app.app_context():
        taken = list(practice.mapped("bright-steps", "note").values())
        one = practice.session.scalars(
            select(Appointment).where(
                Appointment.account_id == "bright-steps",
                Appointment.status == "scheduled",
                Appointment.kind == "service",
                Appointment.id.not_in([int(id) for id in taken]),
            )
        ).first()
        assert one is not None
        one.status = "cancelled"
        practice.session.commit()
        number = one.id
    later = utcnow() + timedelta(seconds=30)
    monkeypatch.setattr("ensora_plugin.reports.views.utcnow", lambda: later)
    assert told() == (before[0] - 1, before[1] - 1)
    with practice.app.app_context():
        practice.session.get_one(Appointment, number).status = "scheduled"
        practice.session.commit()


def test_a_large_file_is_made_by_a_worker_for_its_owner_alone(practice: Practice) -> None:
    cy, ada, bo = (Person(practice.app, name) for name in ("cy", "ada", "bo"))
    asked = export(cy, "clients/export?inactive=1&columns=vendor_id,why")
    assert asked.status_code == 303
    place = asked.headers["Location"]
    number = int(re.findall(r"\d+", place)[-1])
    waiting = cy.get(place)
    assert "Waiting for a worker" in waiting.text
    assert "hx-get" in waiting.text.partition('id="ensora-export"')[2][:300]
    assert cy.get(f"{place}file").status_code == 404
    before = len(history(practice))
    with practice.app.app_context():
        assert waiting_exports(practice.session) == [number]
        work_export(number)
        assert waiting_exports(practice.session) == []
        # Another bell for the same one finds nothing to do.
        work_export(number)
        sealed = practice.session.scalars(select(ExportPart.sealed)).all()
    made = cy.get(f"{place}progress").text
    assert "Download CSV" in made
    assert "hx-get" not in made
    answer = cy.get(f"{place}file")
    told = rows_of(answer)
    answer.close()
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert all(told[1][0].encode() not in piece for piece in sealed)
    (row,) = history(practice)[before:]
    assert row.after["rows"] == len(told) - 1 > 40
    for other in (ada, bo, Person(practice.app, "eve")):
        for path in (place, f"{place}progress", f"{place}file"):
            assert other.get(path).status_code == 404
    with practice.app.app_context():
        ended = utcnow() - timedelta(seconds=1)
        practice.session.execute(update(Export).values(ends_at=ended))
        practice.session.commit()
    assert cy.get(f"{place}file").status_code == 404
    with practice.app.app_context():
        assert end_exports(practice.session) == 1
        assert practice.session.scalars(select(ExportPart.number)).all() == []


def test_whoever_lost_an_agency_does_not_get_what_they_saw_in_it(practice: Practice) -> None:
    cy = Person(practice.app, "cy")
    asked = export(cy, "clients/export?inactive=1")
    number = int(re.findall(r"\d+", asked.headers["Location"])[-1])
    with practice.app.app_context():
        work_export(number)
        export_ = practice.session.get_one(Export, number)
        assert export_.agencies is None
        from demo.host.models import Login

        login = practice.session.scalars(select(Login).where(Login.name == "cy")).one()
        login.all_agencies = False
        practice.session.commit()
    try:
        assert cy.get(f"{asked.headers['Location']}file").status_code == 404
    finally:
        with practice.app.app_context():
            login = practice.session.scalars(select(Login).where(Login.name == "cy")).one()
            login.all_agencies = True
            practice.session.commit()


def test_a_large_file_of_a_person_of_one_agency_holds_that_agency(practice: Practice) -> None:
    bo = Person(practice.app, "bo")
    wide = "since=2026-01-01&columns=vendor_id,site"
    small = lines(bo.get(f"{REPORTS}/appointments/?{wide}&group=place"))
    assert [row[0] for row in small] == ["Northside Clinic"]
    asked = export(bo, f"appointments/export?{wide}")
    if asked.status_code == 303:
        with practice.app.app_context():
            work_export(int(re.findall(r"\d+", asked.headers["Location"])[-1]))
        asked = bo.get(f"{asked.headers['Location']}file")
        asked.get_data()
        asked.close()
    assert {row[1] for row in rows_of(asked)[1:]} == {"Northside Clinic"}


def test_an_export_that_fails_is_tried_again_and_then_given_up(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    cy = Person(practice.app, "cy")
    place = export(cy, "clients/export?inactive=1", "xlsx").headers["Location"]
    number = int(re.findall(r"\d+", place)[-1])

    def full(*_: object) -> int:
        raise OSError("no space left")

    monkeypatch.setitem(FORMATS, "xlsx", (full, ""))
    for left in ([number], [number], []):
        with practice.app.app_context():
            with pytest.raises(JobFailed, match="unexpected"):
                work_export(number)
            assert waiting_exports(practice.session) == left
    assert "could not be made" in cy.get(place).text
    with practice.app.app_context():
        forget_exports(practice)


@pytest.mark.parametrize("alarmed", [False, True], ids=["between batches", "by the alarm"])
def test_a_worker_that_is_asked_to_stop_gives_its_export_back_and_no_attempt_counts(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, alarmed: bool
) -> None:
    cy = Person(practice.app, "cy")
    place = export(cy, "clients/export?inactive=1", "xlsx").headers["Location"]
    number = int(re.findall(r"\d+", place)[-1])
    write_csv = FORMATS["csv"][0]

    def stopped(out: Any, heads: Any, lines_: Any) -> int:
        stopping.request()
        if alarmed:
            raise OutOfTime
        return write_csv(out, heads, lines_)

    monkeypatch.setitem(FORMATS, "xlsx", (stopped, ""))
    monkeypatch.setattr("ensora_plugin.reports.exports.BATCH", 10)
    with practice.app.app_context():
        for _ in range(MOST_ATTEMPTS + 1):
            work_export(number)
            stopping.requested = False
            assert waiting_exports(practice.session) == [number]
            assert practice.session.get_one(Export, number).attempt == 0
        assert practice.session.scalars(select(ExportPart.number)).all() == []
        forget_exports(practice)


def test_an_export_is_not_taken_over_while_its_file_is_closed(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    cy = Person(practice.app, "cy")
    place = export(cy, "clients/export?inactive=1").headers["Location"]
    number = int(re.findall(r"\d+", place)[-1])
    write_csv = FORMATS["csv"][0]
    leases = []

    def slow_to_close(out: Any, heads: Any, lines_: Any) -> int:
        rows = write_csv(out, heads, lines_)
        with practice.state.engine.connect() as connection:
            lease = select(Export.lease_until).where(Export.id == number)
            leases.append(connection.scalar(lease))
            while (beaten := connection.scalar(lease)) == leases[0]:
                connection.rollback()
                time.sleep(0.01)
            leases.append(beaten)
        return rows

    monkeypatch.setitem(FORMATS, "csv", (slow_to_close, ""))
    settings = replace(practice.state.settings, lease_seconds=0.3)
    monkeypatch.setattr(practice.state, "settings", settings)
    with practice.app.app_context():
        work_export(number)
        assert leases[1] > leases[0]
        assert practice.session.get_one(Export, number).state == "done"
        forget_exports(practice)


def test_a_worker_that_lost_an_export_writes_nothing_more(practice: Practice) -> None:
    cy = Person(practice.app, "cy")
    place = export(cy, "clients/export?inactive=1").headers["Location"]
    number = int(re.findall(r"\d+", place)[-1])
    with practice.app.app_context():
        state = practice.state

        class Slow(type(state.host)):  # type: ignore[misc]
            """While its rows are read, another worker takes the export over."""

            def clients(self, account: str) -> Any:
                practice.session.execute(update(Export).values(attempt=9))
                practice.session.commit()
                return super().clients(account)

        claimed = claim_export(state.session, number, 60)
        assert claimed is not None
        with pytest.raises(Fenced):
            make_export(state.session, Slow(), state.sealer, claimed)
        assert practice.session.scalars(select(ExportPart.number)).all() == []
        forget_exports(practice)


def test_a_forged_job_makes_nothing(practice: Practice) -> None:
    with practice.app.app_context(), pytest.raises(JobFailed, match="wrong_arguments"):
        work_export("1")  # type: ignore[arg-type]


def test_an_export_in_an_unknown_format_is_refused(ada: Person) -> None:
    assert export(ada, "clients/export", "exe").status_code == 422
    assert Settings().export_rows == 20_000
