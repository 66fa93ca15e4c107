"""The reports of a large practice: first page, summary, and the whole of it as a file.

Pages and summaries through the whole application of the demo host, layout included.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice
from typing import Any

from sqlalchemy import text

from demo.host import create_app
from demo.host.adapter import DemoHost
from ensora_plugin import Ensora
from ensora_plugin.access import Scope
from ensora_plugin.host.port import ALL, Actor
from ensora_plugin.kinds import Kind
from ensora_plugin.listing.listing import PAGE
from ensora_plugin.plugin import state_of
from ensora_plugin.reports.choice import Choice
from ensora_plugin.reports.files import FORMATS
from ensora_plugin.reports.sides import Source, count_of
from ensora_plugin.reports.spec import REPORTS, SIDES
from ensora_plugin.reports.table import heads_of, lines_of

from .databases import databases, temporary_folder
from .listing import Person, Told
from .listing_peers import peers
from .listing_world import BOUND, EVERYWHERE, SEEN, SEEN_AGENCY, build
from .measure import Measurement, held_mb, in_child
from .worlds import ACCOUNT

#: All days of the made sessions.
DAYS = "since=2026-01-01&until=2030-01-01"
_FORMS = ("csv", "xlsx")
#: The page that the peers' is compared with, where there are rows enough for them to search.
_LEAST_OF_PEERS = 10_000
_COMPARED = (EVERYWHERE, "clients vendor page")
#: Which rows somebody sees who sees one agency.
_SEEN = {
    "ensora_user": "vendor_id IN (SELECT vendor_id FROM ensora_membership "
    f"WHERE kind = 'user' AND site_id = '{SEEN}')",
    "ensora_student": f"site_id = '{SEEN}'",
    "ensora_note": f"site_id = '{SEEN}'",
    "staff": f"id IN (SELECT staff_id FROM staff_agency WHERE agency_id = {SEEN_AGENCY})",
    "client": f"agency_id = {SEEN_AGENCY}",
    "appointment": f"agency_id = {SEEN_AGENCY}",
}


def measure(rows: int, db: str, seed: int) -> Iterator[Measurement]:
    """Measure the reports of a practice with `rows` clients and as many session notes."""
    with temporary_folder() as folder, databases(db, folder) as empty:
        url = empty()
        in_child(build, url, rows, seed)
        others = peers(url, rows) if rows >= _LEAST_OF_PEERS else {"page 1": {}}
        for login in (EVERYWHERE, BOUND):
            told, peak = in_child(pages, url, login)
            for name, one in told.items():
                yield Measurement(
                    f"report-{login} {name}",
                    rows,
                    db,
                    one.seconds,
                    correct=one.correct,
                    peak_mb=peak,
                    # The peers list the clients, and know no agencies.
                    peers=others["page 1"] if (login, name) == _COMPARED else {},
                    note=one.in_words(),
                )
        for slug in ("clients", "appointments"):
            for form in _FORMS:
                began = time.perf_counter()
                (count, size, idle), peak = in_child(write_whole, url, slug, form, None)
                seconds = time.perf_counter() - began
                yield Measurement(
                    f"report {slug} as {form}",
                    count,
                    db,
                    seconds,
                    correct=count > 0,
                    peak_mb=peak,
                    note=f"{size / 1e6:.1f} MB, its process included; of the memory "
                    f"{peak - idle:.0f} MB are the file's, the rest the idle application's",
                )


def pages(url: str, login: str, rounds: int = 9) -> dict[str, Told]:
    """Ask for the first page and the summary of each report, as a person who is signed in."""
    person = Person(url, login)
    told = {}
    counted = state_of(person.app).counted
    for slug, report in REPORTS.items():
        for side in SIDES:
            query = f"?side={side}&{DAYS}"
            truth = _truth(person, report.kind, side)
            page, summary = f"/reports/{slug}/{query}", f"/reports/{slug}/summary{query}"
            told[f"{slug} {side} page"] = _ask(person, page, rounds, truth)
            # Counted anew each time, as it is once after each change.
            told[f"{slug} {side} summary"] = _ask(person, summary, rounds, truth, counted.forget)
            told[f"{slug} {side} summary again"] = _ask(person, summary, rounds, truth)
    person.engine.dispose()
    return told


def _truth(person: Person, kind: Kind, side: str) -> int:
    """Count the rows that a person gets, in the tables themselves."""
    table = kind.model.__tablename__ if side == "vendor" else kind.entity
    seen = _SEEN[table] if person.login == BOUND else "true"
    with person.engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table} WHERE {seen}")) or 0)


def _ask(
    person: Person,
    path: str,
    rounds: int,
    truth: int,
    before: Callable[[], None] = lambda: None,
) -> Told:
    """Ask again and again; it is right where it has the page's rows, or tells of how many there
    are.
    """

    def get() -> Any:
        before()
        return person.http.get(f"/synchronization{path}")

    answer, seconds, queries = person.timed(get, rounds)
    if "/summary" in path:
        correct = f"{truth:,}" in answer.text
    else:
        table = answer.text.partition('id="ensora-table"')[2]
        lines = len(re.findall(r"<tr>", table.partition("<tbody>")[2]))
        correct = lines == min(truth, PAGE)
    return Told(seconds, queries, len(answer.data), len(gzip.compress(answer.data)), correct)


def write_whole(url: str, slug: str, form: str, most: int | None) -> tuple[int, int, float]:
    """Write a report as a file, at most so many rows; return rows, bytes, and the memory that the
    application held before, in MB, when it had served one row.
    """
    app = create_app({"SQLALCHEMY_DATABASE_URI": url, "SECRET_KEY": "bench"})
    Ensora().init_app(app, DemoHost())
    asked = dict(pair.split("=") for pair in DAYS.split("&"))
    choice = Choice.read(REPORTS[slug], asked, date(2026, 1, 1))
    with app.app_context(), tempfile.TemporaryFile() as out:
        state = state_of(app)
        scope = Scope.of(1, ACCOUNT, Actor("1", "bench", ALL, frozenset({"report"})))
        source = Source(state.session, scope, state.host, choice.report.kind, choice.side)
        FORMATS[form][0](io.BytesIO(), heads_of(choice), islice(lines_of(source, choice), 1))
        idle = held_mb()
        lines = islice(lines_of(source, choice), most)
        count = FORMATS[form][0](out, heads_of(choice), lines)
        assert most is not None or count == count_of(source, choice.filters)
        size = out.seek(0, os.SEEK_END)
        state.session.close()
        state.engine.dispose()
    return count, size, idle
