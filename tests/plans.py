"""Which statements are sent to a database, and which query plans it makes for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
#: "ensora_note AS sibling", and the JOIN and FROM of a table without another name.
_NAMED = re.compile(r'"?(\w+)"? AS "?(\w+)"?')


@dataclass
class Step:
    """How a table is read: whole, or by which terms of which index."""

    table: str
    by: str
    statement: str
    #: Whether it is read once for each row of something else, as far as the plan tells.
    again: bool = False


@dataclass
class Plans:
    steps: list[Step] = field(default_factory=list)

    def whole(self, *tables: str) -> list[Step]:
        """Return where one of the tables is read whole."""
        return [step for step in self.steps if step.table in tables and not step.by]

    def read(self, table: str) -> list[Step]:
        return [step for step in self.steps if step.table == table]


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that reach the database."""
    sent: list[str] = []

    def keep(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    with _before_each(engine, keep):
        yield sent


@contextmanager
def plans(engine: Engine) -> Iterator[Plans]:
    """Collect the plans of the statements that are sent meanwhile, each before it is done."""
    found = Plans()
    explain = {"sqlite": _sqlite, "postgresql": _postgres}[engine.dialect.name]

    def keep(
        connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        if statement.lstrip().startswith(_VERBS):
            cursor = connection.connection.cursor()
            found.steps += explain(cursor, statement, parameters[0] if many else parameters)
            cursor.close()

    with _before_each(engine, keep):
        yield found


@contextmanager
def _before_each(engine: Engine, keep: Callable[..., None]) -> Iterator[None]:
    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", keep)


def _sqlite(cursor: Any, statement: str, parameters: Any) -> Iterator[Step]:
    names = {alias: table for table, alias in _NAMED.findall(statement)}
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    for *_, told in cursor.fetchall():
        if match := re.match(r"(SCAN|SEARCH) (\w+)(.*)", told):
            how, name, by = match.groups()
            yield Step(names.get(name, name), by.strip() if how == "SEARCH" else "", statement)


def _postgres(cursor: Any, statement: str, parameters: Any) -> Iterator[Step]:
    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    told = cursor.fetchone()[0]
    yield from _nodes((told if isinstance(told, list) else json.loads(told))[0]["Plan"], statement)


def _nodes(plan: dict[str, Any], statement: str, again: bool = False) -> Iterator[Step]:
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        by = plan.get("Index Cond") or plan.get("Recheck Cond") or ""
        yield Step(plan["Relation Name"], by, statement, again)
    for part in plan.get("Plans", ()):
        inner = plan["Node Type"] == "Nested Loop" and part["Parent Relationship"] == "Inner"
        kept = part["Node Type"] in ("Materialize", "Hash")
        yield from _nodes(part, statement, (again or inner) and not kept)
