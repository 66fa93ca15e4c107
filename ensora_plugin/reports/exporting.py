"""A report as a file: whole, or not at all; every file leaves a row in the history."""

from __future__ import annotations

import re
import tempfile
from datetime import date
from typing import IO

from ..database import begin_write
from ..history import lock_account, write_history
from .choice import Choice
from .files import FORMATS
from .sides import Source
from .table import heads_of, lines_of


def write_table(source: Source, choice: Choice, form: str, out: IO[bytes]) -> int:
    """Write a choice as a file of a format; return how many rows it has."""
    return FORMATS[form][0](out, heads_of(choice), lines_of(source, choice))


def write_file(source: Source, choice: Choice, form: str, *, by: str) -> IO[bytes]:
    """Return the file of a choice, on disk and without a name there, to be read from its beginning;
    commits its row of history.
    """
    out = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    try:
        rows = write_table(source, choice, form, out)
        remember(source, choice, form, rows, by=by)
        out.seek(0)
    except BaseException:
        out.close()
        raise
    return out


def remember(source: Source, choice: Choice, form: str, rows: int, *, by: str) -> None:
    """Write down who took a report with them, by what filter, and how many rows; commits."""
    begin_write(source.session)
    lock_account(source.session, source.scope.account_id)
    told = {"report": choice.report.slug, "format": form, "rows": rows, "filter": choice.facts()}
    write_history(source.session, source.scope.account_id, action="export", by=by, after=told)
    source.session.commit()


def file_name(name: str, form: str, today: date) -> str:
    """Return the name of a file that every system takes."""
    return f"{re.sub(r'[^-A-Za-z0-9._ ]', '_', name)} {today}.{form}"
