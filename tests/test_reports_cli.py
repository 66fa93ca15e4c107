"""`flask ensora report`: each report as a file for scripts, and what is said where it cannot be."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import select

from demo.data import World
from ensora_plugin.models import History
from ensora_plugin.reports.spec import REPORTS
from tests.practices import Practice, open_demo, open_other

BRIGHT = "bright-steps"


@pytest.fixture(scope="module", params=["demo", "other"])
def practice(
    request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Practice]:
    url = f"sqlite:///{tmp_path_factory.mktemp('reports') / 'host.db'}"
    with {"demo": open_demo, "other": open_other}[request.param](url, world) as practice:
        practice.run(BRIGHT, "pull", "automap")
        with practice.outside():
            yield practice


def say(practice: Practice, *words: str) -> Result:
    return practice.app.test_cli_runner().invoke(args=["ensora", "report", *words])


@pytest.mark.parametrize("slug", REPORTS)
def test_a_report_comes_in_each_format(practice: Practice, slug: str) -> None:
    wide = (slug, BRIGHT, "--since", "2026-01-01", "--until", "2026-12-31")
    told = say(practice, *wide)
    assert told.exit_code == 0, told.output
    lines = list(csv.DictReader(io.StringIO(told.stdout_bytes.decode(), newline="")))
    assert len(lines) > 5
    objects = json.loads(say(practice, *wide, "--format", "json").stdout)
    assert len(objects) == len(lines)
    assert objects == json.loads(say(practice, *wide, "--json").stdout)
    book = zipfile.ZipFile(io.BytesIO(say(practice, *wide, "--format", "xlsx").stdout_bytes))
    assert book.read("xl/worksheets/sheet1.xml").count(b"<row ") == len(lines) + 1
    with practice.app.app_context():
        rows = practice.session.scalars(
            select(History).where(History.action == "export").order_by(History.id.desc()).limit(4)
        ).all()
    assert {(row.by, row.after["report"], row.after["rows"]) for row in rows} == {
        ("command line", slug, len(lines))
    }


def test_an_address_of_the_page_chooses_what_is_written(practice: Practice, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    choice = "?side=host&show=to-map&columns=host_last_name,why"
    told = say(practice, "clients", BRIGHT, "--choice", choice, "--output", str(file))
    assert (told.exit_code, told.stdout) == (0, "")
    with file.open(encoding="utf-8", newline="") as written:
        lines = list(csv.reader(written))
    assert lines[0] == ["Client last name", "Why not mapped"]
    assert {line[1] for line in lines[1:]} == {"No student stands for it"}


def test_an_account_that_is_not_named_or_not_there_is_told(practice: Practice) -> None:
    told = say(practice, "clients")
    assert told.exit_code == 1
    assert "Name the account whose report is wanted." in told.output
    assert json.loads(say(practice, "clients", "nobody", "--json").stdout)["error"] == (
        "needs_connection"
    )
