"""Every route of the plugin x every login, signed out, another account, with and without a CSRF
token.

A route without an entry fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from demo.data import World
from ensora_plugin.models import Mapping, Note, RenderingRow, Student
from tests.practices import Practice
from tests.window import PREFIX, Person, open_window, record

PEOPLE = ("ada", "bo", "cy", "dee", "eve")

#: Nobody's; those of one person are nobody else's, which the tests of reports look at.
_NO_SUCH = dict(ada=404, bo=404, cy=404, dee=403, eve=404)
_REPORTS = dict(ada=200, bo=200, cy=200, dee=403, eve=200)
#: Endpoint -> method, path, and what each person gets. {own}: a student of Northside Clinic, bo's
#: agency, who is mapped; {other}: a student of another agency of the account; {mapped} and {open}:
#: one of those who is mapped, and who is not. So are the notes, and the appointments in which they
#: stand. A posted form is empty, so that 422 means: allowed, but nothing was said.
MATRIX: dict[str, list[tuple[str, str, dict[str, int]]]] = {
    "window": [("GET", "/", dict(ada=302, bo=302, cy=302, dee=302, eve=302))],
    "tab": [
        ("GET", "/agencies/", dict(ada=200, bo=200, cy=200, dee=404, eve=200)),
        ("GET", "/clients/", dict(ada=200, bo=200, cy=200, dee=200, eve=200)),
        ("GET", "/staff/", dict(ada=200, bo=200, cy=200, dee=200, eve=200)),
        ("GET", "/appointments/", dict(ada=200, bo=200, cy=200, dee=200, eve=200)),
        ("GET", "/nothing/", dict(ada=404, bo=404, cy=404, dee=404, eve=404)),
    ],
    "rows": [
        ("GET", "/agencies/rows", dict(ada=200, bo=200, cy=200, dee=404, eve=200)),
        ("GET", "/clients/rows", dict(ada=200, bo=200, cy=200, dee=200, eve=200)),
    ],
    "states": [("GET", "/clients/states", dict(ada=200, bo=200, cy=200, dee=200, eve=200))],
    "tabs": [("GET", "/tabs", dict(ada=200, bo=200, cy=200, dee=200, eve=200))],
    "progress_panel": [("GET", "/progress", dict(ada=200, bo=200, cy=200, dee=200, eve=200))],
    "connect_again": [("GET", "/connect", dict(ada=200, bo=403, cy=403, dee=403, eve=200))],
    "connect_now": [("POST", "/connect", dict(ada=422, bo=422, cy=422, dee=422, eve=422))],
    "sync_now": [("POST", "/sync", dict(ada=200, bo=200, cy=403, dee=403, eve=200))],
    "stop_run": [("POST", "/stop", dict(ada=200, bo=200, cy=403, dee=403, eve=200))],
    "runs": [("GET", "/runs/", dict(ada=200, bo=403, cy=200, dee=403, eve=200))],
    "history": [("GET", "/history/", dict(ada=200, bo=403, cy=200, dee=403, eve=200))],
    "settings": [("GET", "/settings/", dict(ada=200, bo=403, cy=403, dee=403, eve=200))],
    "save_settings": [
        ("POST", "/settings/", dict(ada=302, bo=403, cy=403, dee=403, eve=302)),
    ],
    "soap_templates": [
        ("GET", "/settings/templates", dict(ada=200, bo=403, cy=403, dee=403, eve=200)),
    ],
    "review": [("GET", "/clients/suggestions", dict(ada=200, bo=200, cy=403, dee=200, eve=200))],
    "confirm_suggestions": [
        ("POST", "/clients/suggestions", dict(ada=200, bo=200, cy=403, dee=200, eve=200)),
    ],
    "undo_suggestions": [
        ("POST", "/clients/suggestions/undo", dict(ada=200, bo=200, cy=403, dee=200, eve=200)),
    ],
    "held": [("GET", "/held", dict.fromkeys(PEOPLE, 200))],
    "agree_to_held": [("POST", "/held", dict(ada=409, bo=403, cy=403, dee=403, eve=409))],
    "row_options": [
        ("GET", "/clients/{own}/options", dict(ada=200, bo=200, cy=403, dee=404, eve=404)),
        ("GET", "/clients/{other}/options", dict(ada=200, bo=404, cy=403, dee=404, eve=404)),
        ("GET", "/clients/999999/options", dict(ada=404, bo=404, cy=403, dee=404, eve=404)),
    ],
    "map_row": [
        ("POST", "/clients/{own}/map", dict(ada=422, bo=422, cy=403, dee=404, eve=404)),
        ("POST", "/clients/{other}/map", dict(ada=422, bo=404, cy=403, dee=404, eve=404)),
    ],
    "unmap_row": [
        ("POST", "/clients/{own}/unmap", dict(ada=422, bo=422, cy=403, dee=404, eve=404)),
        ("POST", "/clients/{other}/unmap", dict(ada=422, bo=404, cy=403, dee=404, eve=404)),
    ],
    "row_alone": [
        ("GET", "/clients/{own}/row", dict(ada=200, bo=200, cy=200, dee=404, eve=404)),
        ("GET", "/clients/{other}/row", dict(ada=200, bo=404, cy=200, dee=404, eve=404)),
    ],
    "row_why": [
        ("GET", "/clients/{own}/why", dict(ada=200, bo=200, cy=200, dee=404, eve=404)),
        ("GET", "/clients/{other}/why", dict(ada=200, bo=404, cy=200, dee=404, eve=404)),
    ],
    "edit_entity": [
        ("GET", "/clients/{mapped}/edit", dict(ada=302, bo=404, cy=403, dee=404, eve=404)),
        ("GET", "/clients/{own}/edit", dict(ada=302, bo=302, cy=403, dee=404, eve=404)),
    ],
    "create_entity": [
        ("GET", "/clients/{open}/create", dict(ada=302, bo=404, cy=403, dee=404, eve=404)),
        ("GET", "/clients/{own}/create", dict(ada=403, bo=403, cy=403, dee=404, eve=404)),
    ],
    "undo_row": [
        ("POST", "/clients/{own}/undo", dict(ada=422, bo=422, cy=403, dee=404, eve=404)),
        ("POST", "/clients/{other}/undo", dict(ada=422, bo=404, cy=403, dee=404, eve=404)),
    ],
    "ignore_question": [
        ("GET", "/clients/{own}/ignore", dict(ada=200, bo=200, cy=403, dee=404, eve=404)),
        ("GET", "/clients/{other}/ignore", dict(ada=200, bo=404, cy=403, dee=404, eve=404)),
    ],
    "ignore_row": [
        ("POST", "/clients/{own}/ignore", dict(ada=422, bo=422, cy=403, dee=404, eve=404)),
        ("POST", "/clients/{other}/ignore", dict(ada=422, bo=404, cy=403, dee=404, eve=404)),
    ],
    "unignore_row": [
        ("POST", "/clients/{own}/unignore", dict(ada=422, bo=422, cy=403, dee=404, eve=404)),
        ("POST", "/clients/{other}/unignore", dict(ada=422, bo=404, cy=403, dee=404, eve=404)),
    ],
    "render_row": [
        (
            "POST",
            "/appointments/{own_note}/render",
            dict(ada=200, bo=200, cy=403, dee=403, eve=404),
        ),
        (
            "POST",
            "/appointments/{other_note}/render",
            dict(ada=200, bo=404, cy=403, dee=403, eve=404),
        ),
    ],
    "evidence_sheet": [
        ("GET", "/evidence/{own_visit}", dict(ada=200, bo=200, cy=200, dee=404, eve=404)),
        ("GET", "/evidence/{other_visit}", dict(ada=200, bo=404, cy=200, dee=404, eve=404)),
    ],
    "reports": [("GET", "/reports/", dict(ada=302, bo=302, cy=302, dee=403, eve=302))],
    "report": [
        ("GET", "/reports/clients/", _REPORTS),
        ("GET", "/reports/nothing/", dict(ada=404, bo=404, cy=404, dee=403, eve=404)),
    ],
    "report_columns": [("GET", "/reports/clients/columns", _REPORTS)],
    "report_summary": [("GET", "/reports/clients/summary", _REPORTS)],
    "report_print": [("GET", "/reports/staff/print", _REPORTS)],
    "report_export": [
        ("POST", "/reports/clients/export", dict(ada=422, bo=422, cy=422, dee=403, eve=422)),
    ],
    "export": [("GET", "/reports/exports/999999/", _NO_SUCH)],
    "export_progress": [("GET", "/reports/exports/999999/progress", _NO_SUCH)],
    "export_file": [("GET", "/reports/exports/999999/file", _NO_SUCH)],
    "view_save": [
        ("POST", "/reports/clients/views", dict(ada=302, bo=302, cy=302, dee=403, eve=302)),
        ("POST", "/reports/nothing/views", _NO_SUCH),
    ],
    "view_delete": [("POST", "/reports/views/999999/delete", _NO_SUCH)],
    "view_default": [("POST", "/reports/views/999999/default", _NO_SUCH)],
    "created": [("GET", "/clients/created", dict(ada=302, bo=302, cy=403, dee=302, eve=302))],
    "static": [("GET", "/static/ensora.css", dict.fromkeys(PEOPLE, 200))],
}
CASES = [(name, *case) for name, cases in MATRIX.items() for case in cases]


@pytest.fixture(scope="module")
def practice(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder: Path = tmp_path_factory.mktemp("matrix")
    with open_window(f"sqlite:///{folder / 'host.db'}", world) as practice:
        yield practice


@pytest.fixture(scope="module")
def people(practice: Practice) -> dict[str, Person]:
    return {name: Person(practice.app, name) for name in PEOPLE}


@pytest.fixture(scope="module")
def ids(practice: Practice) -> dict[str, int]:
    sites = {site["name"]: site["id"] for site in practice.world.organizations[0]["sites"]}
    northside = sites["Northside Clinic"]
    auto = Student.vendor_id.in_(
        select(Mapping.vendor_id).where(Mapping.kind == "student", Mapping.state == "auto")
    )
    elsewhere = Student.site_id != northside
    found = {
        "own": record(practice, "clients", Student.site_id == northside, auto).id,
        "other": record(practice, "clients", elsewhere).id,
        "mapped": record(practice, "clients", elsewhere, auto).id,
        "open": record(practice, "clients", elsewhere, Student.why == "no_such_client").id,
    }
    with practice.app.app_context():
        for whose, condition in (
            ("own", Note.site_id == northside),
            ("other", Note.site_id != northside),
        ):
            note, visit = practice.session.execute(
                select(Note.id, RenderingRow.appointment_id)
                .join(RenderingRow, RenderingRow.note_id == Note.vendor_id)
                .where(Note.account_id == practice.account_id("bright-steps"), condition)
                .where(RenderingRow.account_id == Note.account_id, RenderingRow.applied)
                .order_by(Note.id)
            ).first()
            found |= {f"{whose}_note": note, f"{whose}_visit": int(visit)}
    return found


def test_every_route_has_an_entry(practice: Practice) -> None:
    rules = [
        rule for rule in practice.app.url_map.iter_rules() if rule.endpoint.startswith("ensora.")
    ]
    assert {rule.endpoint.removeprefix("ensora.") for rule in rules} == set(MATRIX)
    for rule in rules:
        assert rule.rule.startswith(PREFIX)
        assert rule.methods in ({"GET", "HEAD", "OPTIONS"}, {"POST", "OPTIONS"})


@pytest.mark.parametrize(("endpoint", "method", "path", "expected"), CASES)
def test_each_person_gets_what_the_table_says(
    people: dict[str, Person],
    ids: dict[str, int],
    endpoint: str,
    method: str,
    path: str,
    expected: dict[str, int],
) -> None:
    got = {}
    for name, person in people.items():
        address = path.format(**ids)
        answer = person.send(address) if method == "POST" else person.get(PREFIX + address)
        got[name] = answer.status_code
        answer.close()
    assert got == expected


@pytest.mark.parametrize(("endpoint", "method", "path", "expected"), CASES)
def test_nobody_signed_out_gets_in(
    practice: Practice,
    ids: dict[str, int],
    endpoint: str,
    method: str,
    path: str,
    expected: dict[str, int],
) -> None:
    stranger = practice.app.test_client()
    address = PREFIX + path.format(**ids)
    answer = stranger.open(address, method=method)
    if endpoint == "static":
        assert answer.status_code == 200
    elif method == "POST":
        assert answer.status_code == 400  # no token, before anything else
    else:
        assert answer.status_code == 302
        assert "/login" in answer.headers["Location"]
    answer.close()
    if method == "GET" and endpoint != "static":
        asked = stranger.open(address, method="GET", headers={"HX-Request": "true"})
        # Never a login page inside a table cell: the page itself says that the session ended.
        assert asked.status_code == 401
        assert b"<form" not in asked.data


@pytest.mark.parametrize(
    ("endpoint", "method", "path", "expected"), [case for case in CASES if case[1] == "POST"]
)
def test_nothing_changes_without_a_csrf_token(
    people: dict[str, Person],
    ids: dict[str, int],
    endpoint: str,
    method: str,
    path: str,
    expected: dict[str, int],
) -> None:
    for person in people.values():
        answer = person.send(path.format(**ids), csrf=False)
        # The page gets a new token and stays as it is, with what was typed in it.
        assert answer.status_code == 400
        assert "ensora-token" in answer.headers["HX-Trigger"]


def test_every_answer_forbids_inline_code_and_framing(people: dict[str, Person]) -> None:
    for path in ("/clients/", "/clients/rows", "/progress", "/nothing/"):
        headers = people["ada"].get(PREFIX + path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["Cache-Control"] == "no-store"
