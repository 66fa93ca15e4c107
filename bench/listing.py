"""The pages of the Synchronization window: a tab, a page far behind, a search, one mapping saved.

Through the whole application of the demo host, layout included, in this process.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Select, bindparam, event, func, or_, select, update

from demo.host import create_app
from demo.host.adapter import DemoHost
from ensora_plugin import Ensora
from ensora_plugin.kinds import BY_SLUG, NOTE, STUDENT, Kind
from ensora_plugin.listing.listing import PAGE, write_cursor
from ensora_plugin.models import Mapping, Note, Student
from ensora_plugin.plugin import state_of

from .databases import databases, temporary_folder
from .listing_peers import peers
from .listing_world import BOUND, EVERYWHERE, PASSWORD, SEEN, build
from .measure import Measurement, in_child

TABS = ("clients", "appointments")
#: A page this far behind the first, or the last one where there are not as many.
DEEP = 1000
#: What is typed: the beginning of many names, of some, of one, and of none.
SEARCHES = ("first", "first77", "first777 last777", "nobody")
#: The page of the peers that one of ours is compared with, where its name is another.
_LIKE = {"page 1,000": "deep", f"search {SEARCHES[1]}": "search"}
_ROUNDS = 25
#: How statements begin that are not the plugin's.
_OF_HOST = ("BEGIN", "SELECT login.", "SELECT account.", "SELECT agency.")
_PREFIX = "/synchronization"
_KEY = "bench:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


@dataclass
class Told:
    """What a way of asking cost: median seconds, queries, bytes; and whether it was right."""

    seconds: float
    queries: int
    raw: int
    zipped: int
    correct: bool
    #: What the database takes for a change of one row and nothing else.
    floor: float | None = None

    def in_words(self) -> str:
        kept = f"{self.raw / 1000:.1f} KB, {self.zipped / 1000:.1f} gzipped"
        return f"{self.queries} queries, {kept}"


def measure(rows: int, db: str, seed: int) -> Iterator[Measurement]:
    """Measure the tabs of a practice with `rows` clients and as many session notes."""
    with temporary_folder() as folder, databases(db, folder) as empty:
        url = empty()
        in_child(build, url, rows, seed)
        others = peers(url, rows)
        for login in (EVERYWHERE, BOUND):
            for tab in TABS:
                told, peak = in_child(pages, url, tab, login)
                first = told["page 1"].seconds
                # The peers list the clients, and know no agencies.
                beside = others if (tab, login) == (TABS[0], EVERYWHERE) else {}
                for name, one in told.items():
                    times = "" if name == "page 1" else f"{one.seconds / first:.2f} x page 1, "
                    yield Measurement(
                        f"list-{tab}-{login} {name}",
                        rows,
                        db,
                        one.seconds,
                        one.floor,
                        correct=one.correct,
                        peak_mb=peak,
                        peers=beside.get(_LIKE.get(name, name), {}),
                        note=times + one.in_words(),
                    )


def pages(url: str, tab: str, login: str) -> dict[str, Told]:
    """Ask for the pages of a tab as a person who is signed in."""
    person, kind = Person(url, login), BY_SLUG[tab]
    told = {"page 1": person.ask(f"/{tab}/", person.expected(kind, 0))}
    told["page 1, rows made anew"] = person.ask(
        f"/{tab}/", person.expected(kind, 0), before=state_of(person.app).printed.forget
    )
    behind = min(DEEP - 1, person.last_page(kind))
    after = person.cursor_before(kind, behind)
    deep = person.ask(f"/{tab}/?after={after}", person.expected(kind, behind))
    told[f"page {behind + 1:,}"] = deep
    for search in SEARCHES:
        found = person.expected(kind, 0, search)
        told[f"search {search}"] = person.ask(f"/{tab}/?q={search}", found)
    if kind is STUDENT:
        told["save"] = person.save()
    return told


class Person:
    """Somebody who is signed in to the demo host with the plugin over a database."""

    def __init__(self, url: str, login: str) -> None:
        config = {"SQLALCHEMY_DATABASE_URI": url, "SECRET_KEY": "bench", "ENSORA_KEYS": _KEY}
        self.app, self.login = create_app(config), login
        Ensora().init_app(self.app, DemoHost())
        with self.app.app_context():
            self.engine = state_of(self.app).engine
        self.http = self.app.test_client()
        form = {"csrf_token": self._token("/login"), "name": login, "password": PASSWORD}
        assert self.http.post("/login", data=form).status_code == 302

    def ask(
        self,
        path: str,
        expected: list[int],
        *,
        rounds: int = _ROUNDS,
        before: Callable[[], None] = lambda: None,
    ) -> Told:
        """Get a page again and again, after something else each time."""

        def get() -> Any:
            before()
            return self.http.get(_PREFIX + path)

        answer, seconds, queries = self.timed(get, rounds)
        found = list(map(int, re.findall(r'<tr id="row-(\d+)"', answer.text)))
        size = len(answer.data), len(gzip.compress(answer.data))
        return Told(seconds, queries, *size, found == expected)

    def save(self, *, rounds: int = _ROUNDS) -> Told:
        """Map one student after the other that is not mapped to the client of its own number."""
        seen = self._seen(STUDENT).where(Student.why.is_not(None)).limit(rounds + 2)
        with self.engine.connect() as connection:
            numbers = list(connection.scalars(seen))
        token, waiting = self._token("/settings/"), iter(numbers)

        def post() -> Any:
            number = next(waiting)
            path = f"{_PREFIX}/{STUDENT.slug}/{number}/map"
            headers = {"HX-Request": "true", "X-CSRFToken": token}
            return self.http.post(path, data={"host_id": number, "seen": 0}, headers=headers)

        answer, seconds, queries = self.timed(post, rounds)
        pairs = select(Mapping.vendor_id, Mapping.host_id).where(
            Mapping.kind == STUDENT.name, Mapping.state == "user"
        )
        with self.engine.connect() as connection:
            saved = {(row.vendor_id, row.host_id) for row in connection.execute(pairs)}
        correct = saved >= {(f"st{number}", str(number)) for number in numbers}
        size = len(answer.data), len(gzip.compress(answer.data))
        return Told(seconds, queries, *size, correct, self._least_save(rounds))

    def _least_save(self, rounds: int) -> float:
        """Return the median seconds of a transaction that changes one row of a mapping."""
        number = bindparam("number")
        change = update(Mapping).where(Mapping.id == number).values(version=Mapping.version + 1)
        took = []
        for each in range(1, rounds + 1):
            began = time.perf_counter()
            with self.engine.begin() as connection:
                connection.execute(change, {"number": each})
            took.append(time.perf_counter() - began)
        return median(took)

    def timed(self, do: Callable[[], Any], rounds: int) -> tuple[Any, float, int]:
        """Return the last answer, the median seconds, and how many queries of the plugin one sent.

        The first one warms what a running server has warm. Who is signed in, and what stands in the
        layout, is asked for by the host.
        """
        sent: list[str] = []
        took = []

        def keep(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            sent.append(statement)

        assert do().status_code == 200
        event.listen(self.engine, "before_cursor_execute", keep)
        answer = do()
        event.remove(self.engine, "before_cursor_execute", keep)
        for _ in range(rounds):
            began = time.perf_counter()
            answer = do()
            took.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
        return answer, median(took), len([one for one in sent if not one.startswith(_OF_HOST)])

    def expected(self, kind: Kind, behind: int, search: str = "") -> list[int]:
        """Return the ids of a page's rows, found the slow way."""
        rows = self._seen(kind)
        if search:
            model: Any = Student
            people = (Student.sort_key.startswith(search), Student.name_key.startswith(search))
            named = select(model.vendor_id).where(or_(*people))
            column = Note.student_id if kind is NOTE else model.vendor_id
            rows = rows.where(column.in_(named))
        with self.engine.connect() as connection:
            return list(connection.scalars(rows.offset(behind * PAGE).limit(PAGE)))

    def last_page(self, kind: Kind) -> int:
        """Return how many whole pages lie before the last one."""
        with self.engine.connect() as connection:
            rows = connection.scalar(select(func.count()).select_from(self._seen(kind).subquery()))
        return ((rows or 1) - 1) // PAGE

    def cursor_before(self, kind: Kind, behind: int) -> str:
        """Return the cursor of the last row before a page."""
        model = kind.model
        rows = self._seen(kind).add_columns(model.sort_key).offset(behind * PAGE - 1).limit(1)
        with self.engine.connect() as connection:
            row = connection.execute(rows).one()
        return write_cursor(row.sort_key, row.id, behind * PAGE)

    def _seen(self, kind: Kind) -> Select[Any]:
        """SELECT the ids of what the person sees of a tab, in its order."""
        model: Any = kind.model
        order = (model.sort_key, model.id)
        if kind is NOTE:
            order = tuple(column.desc() for column in order)
        rows = select(model.id).order_by(*order)
        return rows.where(model.site_id == SEEN) if self.login == BOUND else rows

    def _token(self, path: str) -> str:
        page = self.http.get(path).text
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found is not None, path
        return found[1]
