"""Log lines that cannot carry health data: only known keys, only numbers and short codes.

A line is an event and its facts, as in `event=run_ended run=7 state=done`. It goes to the logger
"ensora", whose handlers are the host's business.
"""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

#: Ids of our own tables, counts, seconds, and codes out of fixed lists.
KEYS = frozenset(
    (
        "event",
        "run",
        "export",
        "account_id",
        "attempt",
        "code",
        "count",
        "seconds",
        "pid",
        "status",
        "workers",
        "job",
        "where",
    )
)
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}( [A-Za-z0-9_]{1,40})?", re.ASCII)


def only_known(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Drop unknown keys; of text keep what can be a code, so that no line break gets in."""
    return {key: _plain(value) for key, value in event.items() if key in KEYS}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if value is None or isinstance(value, int):
        return value
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "?"


log = structlog.wrap_logger(
    logging.getLogger("ensora"),
    processors=[
        structlog.stdlib.filter_by_level,
        only_known,
        structlog.processors.KeyValueRenderer(
            key_order=["event"], drop_missing=True, repr_native_str=False
        ),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
)
