"""The files of the reports: no text becomes a formula, cells have types, memory stays small."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import date, datetime, time
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.listing_world import build
from bench.measure import in_child
from bench.report import write_whole
from ensora_plugin.reports import files
from ensora_plugin.reports.cells import Value
from ensora_plugin.reports.files import safe_text, write_csv, write_json, write_xlsx
from ensora_plugin.reports.table import Head

HEADS = [
    Head("name", "Name", "text", 20),
    Head("born", "Born", "day", 12),
    Head("start", "Start", "time", 10),
    Head("at", "At (UTC)", "moment", 18),
    Head("apart", "Apart", "number", 10),
    Head("signed", "Signed", "text", 10),
]
LINE: list[Value] = [
    'Zoë "Z", O\'Neil\nJr',
    date(2016, 2, 29),
    time(9, 5),
    datetime.fromisoformat("2026-11-20 13:00:01"),
    -5,
    True,
]
EMPTY: list[Value] = [None] * len(HEADS)
FORMULAS = (
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "|cmd", "＝1", "－1"),
    *('=HYPERLINK("http://x")', "-2+3+cmd|' /C calc'!A0", "＠x"),
)
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
#: What a file may cost above one of 500 rows, in MB: far less than all rows at once.
MOST_MB = 12


def test_csv_is_rfc_4180_in_utf_8() -> None:
    out = io.BytesIO()
    assert write_csv(out, HEADS, iter([LINE, EMPTY])) == 2
    assert out.getvalue().decode("utf-8") == (
        '"Name","Born","Start","At (UTC)","Apart","Signed"\r\n'
        '"Zoë ""Z"", O\'Neil\nJr","2016-02-29","09:05","2026-11-20 13:00:01","-5","Yes"\r\n'
        '"","","","","",""\r\n'
    )


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_becomes_a_formula(text: str) -> None:
    out = io.BytesIO()
    write_csv(out, HEADS[:1], iter([[text]]))
    read = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    assert read[1] in ([f"'{text}"], [f"'{text[0]}'{text[1:]}"])
    (cell,) = cells_of(HEADS[:1], [[text]])[1:]
    assert cell.find(f"{SHEET}f") is None
    assert cell.get("t") in ("inlineStr", "s")


@given(st.text(st.sampled_from("ab=+-@;,\t\r\n \"'\u200b\xa0＝|") | st.characters()))
def test_no_text_has_a_sign_where_any_separator_lets_a_cell_begin(text: str) -> None:
    safe = safe_text(text)
    assert safe.replace("'", "") == text.replace("'", "")
    assert safe[:1] not in ("\t", "\r", "\n")
    for cell in re.split("[;\t\r\n]", safe):
        assert cell.strip(' "\u200b\xa0')[:1] not in tuple("=+-@|＝"), safe


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Lee;=1+1", "Lee;'=1+1"),
        ('Lee; "+1', "Lee;' \"+1"),
        ("Lee\r\n@SUM(A1)", "Lee\r\n'@SUM(A1)"),
        ("\u200b=1", "'\u200b=1"),
        ("\xa0-1", "'\xa0-1"),
        ("\tLee", "'\tLee"),
    ],
)
def test_a_formula_behind_another_separator_becomes_none(text: str, safe: str) -> None:
    assert safe_text(text) == safe


def test_names_that_are_no_formulas_stay_as_they_are() -> None:
    for name in ("O'Neil", "Anna-Lena", "a=b", "Lee; Ann", "Lee, -Ann", "名前", "'quoted", ""):
        assert safe_text(name) == name


def book(heads: list[Head], lines: list[list[Value]]) -> zipfile.ZipFile:
    out = io.BytesIO()
    assert write_xlsx(out, heads, iter(lines)) == len(lines)
    return zipfile.ZipFile(out)


def sheet_of(made: zipfile.ZipFile, number: int = 1) -> ElementTree.Element:
    return ElementTree.fromstring(made.read(f"xl/worksheets/sheet{number}.xml"))  # noqa: S314


def cells_of(heads: list[Head], lines: list[list[Value]]) -> list[ElementTree.Element]:
    return list(sheet_of(book(heads, lines)).iter(f"{SHEET}c"))


def test_a_workbook_has_types_a_frozen_head_a_filter_and_widths() -> None:
    made = book(HEADS, [LINE, EMPTY])
    sheet = sheet_of(made)
    pane = next(sheet.iter(f"{SHEET}pane"))
    assert (pane.get("state"), pane.get("ySplit")) == ("frozen", "1")
    assert next(sheet.iter(f"{SHEET}autoFilter")).get("ref") == "A1:F3"
    widths = [float(column.get("width", 0)) for column in sheet.iter(f"{SHEET}col")]
    assert widths[0] > 20
    row = [cell for cell in sheet.iter(f"{SHEET}c") if cell.get("r", "").endswith("2")]
    # Days and times are numbers with a format; texts stand in the cell.
    assert [cell.get("t") for cell in row] == ["inlineStr", None, None, None, None, "inlineStr"]
    values = [cell.findtext(f"{SHEET}v") for cell in row[1:5]]
    assert float(values[0] or 0) == 42429
    assert float(values[1] or 0) == pytest.approx((9 * 60 + 5) / 1440)
    assert float(values[3] or 0) == -5
    styles = made.read("xl/styles.xml").decode()
    assert "yyyy-mm-dd hh:mm:ss" in styles
    assert not list(sheet.iter(f"{SHEET}f"))


def test_a_workbook_without_a_row_still_opens() -> None:
    assert len(cells_of(HEADS, [])) == len(HEADS)


def test_rows_beyond_a_sheet_stand_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SHEET_ROWS", 3)
    made = book(HEADS[:1], [[str(n)] for n in range(5)])
    rows = [len(list(sheet_of(made, number).iter(f"{SHEET}row"))) for number in (1, 2, 3)]
    assert rows == [3, 3, 2]


def test_json_is_an_array_with_days_in_iso_form() -> None:
    out = io.BytesIO()
    assert write_json(out, HEADS, iter([LINE])) == 1
    assert json.loads(out.getvalue()) == [
        {
            "name": LINE[0],
            "born": "2016-02-29",
            "start": "09:05:00",
            "at": "2026-11-20T13:00:01",
            "apart": -5,
            "signed": True,
        }
    ]
    out = io.BytesIO()
    assert write_json(out, HEADS, iter([])) == 0
    assert json.loads(out.getvalue()) == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """A practice with some ten thousand clients and as many session notes."""
    url = f"sqlite:///{tmp_path_factory.mktemp('large') / 'host.db'}"
    build(url, 20_000, 7)
    return url, 20_000


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_memory_does_not_grow_with_the_rows(large: tuple[str, int], form: str) -> None:
    url, rows = large
    (few, *_), little = in_child(write_whole, url, "appointments", form, 500)
    (many, size, _), much = in_child(write_whole, url, "appointments", form, None)
    assert few == 500
    assert many > rows * 0.9
    assert size > many * 40
    assert much - little < MOST_MB, (little, much)
