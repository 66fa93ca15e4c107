"""Peers of the list pages: Flask-Admin, with an editable foreign key and without, and the Django
admin where it is installed (`make bench-peers`), each over the same rows in a table of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from typing import Any

from .measure import in_child

#: Name of the page -> seconds, by the peer's name.
Found = dict[str, dict[str, float]]
_DEEP, _SEARCH = 1000, "first77"
_LEAST, _MOST = 3, 15
#: A peer's page is asked for at most so long, in seconds.
_PATIENCE = 6.0


def peers(url: str, rows: int) -> Found:
    """Return page -> peer -> seconds; says which peers are not installed."""
    last = min(_DEEP, rows // 50)
    found: Found = {}
    for name, (package, work, editing) in _PEERS.items():
        if find_spec(package) is None:
            print(
                f"{name} is skipped: {package} is not installed (make bench-peers)", file=sys.stderr
            )
            continue
        for page, seconds in in_child(work, url, last, editing)[0].items():
            found.setdefault(page, {})[name] = seconds
    return found


def flask_admin(url: str, last: int, editing: bool) -> dict[str, float]:
    """Ask Flask-Admin for its list of the rows."""
    from flask import Flask
    from flask_admin import Admin
    from flask_admin.contrib.sqla import ModelView
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy import Date, ForeignKey, Integer, String
    from sqlalchemy.orm import mapped_column, relationship

    app = Flask(__name__)
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SECRET_KEY="bench")  # noqa: S106
    db: Any = SQLAlchemy(app)

    class Choice(db.Model):
        __tablename__ = "bench_choice"
        id = mapped_column(Integer, primary_key=True)
        name = mapped_column(String(255))

        def __str__(self) -> str:
            return str(self.name)

    class Row(db.Model):
        __tablename__ = "bench_row"
        id = mapped_column(Integer, primary_key=True)
        first_name = mapped_column(String(255))
        last_name = mapped_column(String(255))
        date_of_birth = mapped_column(Date)
        site = mapped_column(String(64))
        state = mapped_column(String(8))
        choice_id = mapped_column(ForeignKey("bench_choice.id"))
        choice = relationship(Choice)

    class Rows(ModelView):
        page_size = 50
        column_list = ("first_name", "last_name", "date_of_birth", "site", "state", "choice")
        column_default_sort = "last_name"
        column_searchable_list = ("first_name", "last_name")
        column_editable_list = ("choice",) if editing else ()

    Admin(app).add_view(Rows(Row, db, endpoint="rows"))
    http = app.test_client()

    def get(query: str) -> None:
        answer = http.get(f"/admin/rows/{query}")
        assert answer.status_code == 200, answer.status
        assert answer.text.count('name="rowid"') >= 50

    return _asked(get, deep=f"?page={last - 1}", search=f"?search={_SEARCH}")


def django_admin(url: str, last: int, editing: bool) -> dict[str, float]:
    """Ask the Django admin for its list of the rows, with the choices by autocomplete."""
    from .listing_django import client

    http = client(url)

    def get(query: str) -> None:
        answer = http.get(f"/admin/bench/row/{query}")
        assert answer.status_code == 200, answer.status_code
        assert answer.content.count(b'name="_selected_action"') >= 50

    return _asked(get, deep=f"?p={last}", search=f"?q={_SEARCH}")


def _asked(get: Callable[[str], None], *, deep: str, search: str) -> dict[str, float]:
    return {
        "page 1": _seconds(get, ""),
        "deep": _seconds(get, deep),
        "search": _seconds(get, search),
    }


def _seconds(get: Callable[[str], None], query: str) -> float:
    """Return the median of some askings after a first one, fewer where they take long."""
    get(query)
    took: list[float] = []
    while len(took) < _LEAST or (len(took) < _MOST and sum(took) < _PATIENCE):
        began = time.perf_counter()
        get(query)
        took.append(time.perf_counter() - began)
    return median(took)


_PEERS: dict[str, tuple[str, Callable[..., dict[str, float]], bool]] = {
    "Flask-Admin, editable foreign key": ("flask_admin", flask_admin, True),
    "Flask-Admin, no editing": ("flask_admin", flask_admin, False),
    "Django admin, autocomplete": ("django", django_admin, True),
}
