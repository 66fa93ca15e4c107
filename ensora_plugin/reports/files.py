"""The files of a report: CSV, XLSX and JSON, written line by line.

Names come from people, so a text that a spreadsheet would take for a formula must not become one.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from typing import IO, Any

import msgspec
import xlsxwriter

from .cells import Value, plain_text
from .table import Head

#: What a spreadsheet begins a formula with, also in its wide forms.
_SIGNS = re.compile(r"[=+\-@|＝＋－＠\t\r\n]")
#: Where it may begin one: at the beginning of a text, and behind what it takes for the end of a
#: cell where another separator is usual, since there the quotes of RFC 4180 are none. Before a sign
#: it skips spaces, seen or not, and quotes.
_FORMULA = re.compile(
    r"""\A(?=[\t\r\n])|(\A|[;\t\r\n])(?=(?:[^\S\t\r\n]|[\0"\u200b-\u200f\u2060\ufeff])*[=+\-@|＝＋－＠])"""
)
#: The most rows of a sheet, and the most characters of a cell.
_SHEET_ROWS, _CELL_CHARACTERS = 1_048_576, 32_767
#: The form of a column -> how a spreadsheet shows its values.
_FORMATS = {"day": "yyyy-mm-dd", "time": "hh:mm", "moment": "yyyy-mm-dd hh:mm:ss", "number": "0"}

Lines = Iterable[list[Value]]


def safe_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; an apostrophe says that it is text."""
    return _FORMULA.sub(r"\1'", text) if _SIGNS.search(text) else text


def write_csv(out: IO[bytes], heads: Sequence[Head], lines: Lines) -> int:
    """Write RFC 4180: UTF-8, CRLF, all cells quoted. Return how many lines there were."""
    wrapped = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    writer = csv.writer(wrapped, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow([safe_text(head.words) for head in heads])
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - the last one is returned
        writer.writerow(
            [safe_text(cell) if isinstance(cell, str) else plain_text(cell) for cell in line]
        )
    wrapped.detach()
    return count


def write_json(out: IO[bytes], heads: Sequence[Head], lines: Lines) -> int:
    """Write an array of objects, one a line; days and times in ISO form."""
    names, count = [head.name for head in heads], 0
    for count, line in enumerate(lines, 1):
        out.write(b"[\n" if count == 1 else b",\n")
        out.write(msgspec.json.encode(dict(zip(names, line, strict=True))))
    out.write(b"\n]\n" if count else b"[]\n")
    return count


def write_xlsx(out: IO[bytes], heads: Sequence[Head], lines: Lines) -> int:
    """Write a workbook with typed cells, a frozen head, a filter and widths, a row at a time."""
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "tmpdir": folder,
        }
        book = xlsxwriter.Workbook(out, options)
        count = _fill(book, heads, lines)
        book.close()
    return count


def _fill(book: Any, heads: Sequence[Head], lines: Lines) -> int:
    formats = {form: book.add_format({"num_format": told}) for form, told in _FORMATS.items()}
    bold, sheet, row, count = book.add_format({"bold": True}), None, 0, 0
    for line in lines:
        if sheet is None or row == _SHEET_ROWS:
            _end_sheet(sheet, heads, row)
            sheet, row = _sheet(book, heads, bold), 1
        for at, (head, cell) in enumerate(zip(heads, line, strict=True)):
            _write(sheet, row, at, cell, formats.get(head.form))
        row, count = row + 1, count + 1
    _end_sheet(sheet or _sheet(book, heads, bold), heads, max(row, 1))
    return count


def _sheet(book: Any, heads: Sequence[Head], bold: Any) -> Any:
    sheet = book.add_worksheet()
    for at, head in enumerate(heads):
        sheet.set_column(at, at, max(head.characters, len(head.words) + 4))
        sheet.write_string(0, at, head.words, bold)
    sheet.freeze_panes(1, 0)
    return sheet


def _end_sheet(sheet: Any, heads: Sequence[Head], rows: int) -> None:
    if sheet is not None and heads:
        sheet.autofilter(0, 0, rows - 1, len(heads) - 1)


def _write(sheet: Any, row: int, at: int, cell: Value, form: Any) -> None:
    match cell:
        case None:
            return
        case bool():
            sheet.write_string(row, at, plain_text(cell))
        case int():
            sheet.write_number(row, at, cell, form)
        case datetime() | date() | time():
            sheet.write_datetime(row, at, cell, form)
        case _:
            sheet.write_string(row, at, cell[:_CELL_CHARACTERS])


Writer = Callable[[IO[bytes], Sequence[Head], Lines], int]
#: Format -> how it is written, and its media type.
FORMATS: dict[str, tuple[Writer, str]] = {
    "csv": (write_csv, "text/csv"),
    "xlsx": (
        write_xlsx,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "json": (write_json, "application/json"),
}
