"""Our text ids, as the values that a host's own columns hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, String, column, func, select

from ..database import AnySelect, AnySession
from ..dialect import as_host_id, pinned_join


def native_ids(column: ColumnElement[Any], ids: Iterable[str]) -> list[Any]:
    """Return our text ids as values that a host's column compares with; what is no id of it is
    left out.
    """
    found = (_native(column.type.python_type, one) for one in ids)
    return [one for one in found if one is not None]


def _native(kind: type, text: str) -> Any:
    try:
        native = kind(text)
    except ValueError:
        return None
    # " 12" and "012" are 12 to Python, but not to the unique constraint.
    if str(native) != text or (isinstance(native, int) and abs(native) >= 2**63):
        return None
    return native


def of_ids(session: AnySession, rows: Any, ids: Iterable[str]) -> AnySelect:
    """SELECT those of a host's rows, a subquery, that have one of our text ids.

    Without statistics SQLite reads the whole account where there are more than a few: it is told
    to look each of them up.
    """
    native = native_ids(rows.c.id, ids)
    if session.get_bind().dialect.name != "sqlite":
        return select(rows).where(rows.c.id.in_(native))
    texts = func.json_each(json.dumps([str(one) for one in native]))
    given = texts.table_valued(column("value", String), name="given")
    same = rows.c.id == as_host_id(given.c.value, rows.c.id)
    return select(rows).select_from(pinned_join(given, rows, same))
