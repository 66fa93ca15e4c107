"""The floor of the pull: the very rows that it wrote, out of memory, into a database made the same
way, as many to a commit, by plain `executemany` of the driver. Nothing is downloaded or sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from ensora_plugin.models import Base

from .databases import engine_for
from .measure import Watch

#: So many rows are held in memory at once; reading them does not count.
_HELD = 10_000
#: Tables that are written in one commit.
_TOGETHER = (("site",), ("student", "membership"), ("user", "membership"), ("note", "content"))
#: Whose rows of the second table (b) belong to those of the first (o).
_BELONGS = {
    "membership": "b.vendor_id = o.vendor_id AND b.kind = '{}'",
    "content": "b.note_id = o.vendor_id",
}

Batch = list[tuple[str, Sequence[Any]]]


def floor_seconds(url: str, floor_url: str, page: int) -> float:
    """Write what stands in one database into another one; return the seconds of writing."""
    source, target, watch = engine_for(url), engine_for(floor_url), Watch()
    with source.connect() as read, target.connect() as write:
        for names in _TOGETHER:
            for held in _held(read, names):
                batches = list(_batches(held, names, page, write.dialect.name))
                with watch.running():
                    _write(write, batches)
    return watch.seconds


def _write(write: Connection, batches: list[Batch]) -> None:
    for batch in batches:
        with write.begin():
            for statement, rows in batch:
                write.exec_driver_sql(statement, rows)


def _held(read: Connection, names: Sequence[str]) -> Iterator[list[list[tuple[Any, ...]]]]:
    """Yield rows of tables that belong together, in the order in which they were written."""
    last = 0
    first = names[0]
    while True:
        upto = f"id > {last} AND id <= {last + _HELD}"
        held = [
            _rows(read, f"SELECT {_columns(first)} FROM ensora_{first} WHERE {upto} ORDER BY id")
        ]
        if not held[0]:
            return
        for name in names[1:]:
            order = (
                f"JOIN ensora_{first} AS o ON o.account_id = b.account_id "
                f"AND {_BELONGS[name].format(first)}"
            )
            columns = _columns(name, "b.")
            held.append(
                _rows(
                    read,
                    f"SELECT {columns} FROM ensora_{name} AS b {order} WHERE {upto} ORDER BY id",
                )
            )
        yield held
        last += _HELD


def _rows(read: Connection, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in read.exec_driver_sql(statement)]


def _columns(name: str, prefix: str = "") -> str:
    columns = Base.metadata.tables[f"ensora_{name}"].columns
    return ", ".join(f'{prefix}"{column.name}"' for column in columns if column.name != "id")


def _marks(name: str, mark: str) -> str:
    columns = Base.metadata.tables[f"ensora_{name}"].columns
    return ", ".join(mark for column in columns if column.name != "id")


def _batches(
    held: list[list[tuple[Any, ...]]], names: Sequence[str], page: int, dialect: str
) -> Iterator[Batch]:
    mark = "?" if dialect == "sqlite" else "%s"
    statements = [
        f"INSERT INTO ensora_{name} ({_columns(name)}) VALUES ({_marks(name, mark)})"
        for name in names
    ]
    for at in range(0, len(held[0]), page):
        # A user may have several sites or none: the last commit takes what is left.
        upto = at + page if at + page < len(held[0]) else None
        yield [
            (statement, rows[at:upto])
            for statement, rows in zip(statements, held, strict=True)
            if rows[at:upto]
        ]
