"""SELECTs that are built once: building one costs ten times what its answer does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .access import Scope
from .host.port import HostAdapter
from .memory import Memory

_KEPT = Memory(most=200)


def kept(scope: Scope, host: HostAdapter, key: tuple[Any, ...], build: Callable[[], Any]) -> Any:
    """Return the SELECT of a key, built where there is none; its values are sent beside it.

    The host's SELECTs may change with the time of day: they are asked for anew each minute.
    """
    # A host that stands beside its SELECT lives as long, so that no other one gets its id.
    whose = (id(host), scope.account_id, scope.account, scope.agencies, scope.may("map"))
    minute = int(time.monotonic() // 60)
    return _KEPT.get((*whose, *key), minute, lambda: (host, build()))[1]
