"""What is made once and kept as long as it stands."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any


class Memory:
    """Keeps what was made under a key until its stamp changes; shared by threads."""

    def __init__(self, most: int = 500) -> None:
        self._kept: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def forget(self) -> None:
        """Make all anew from now on."""
        with self._lock:
            self._kept.clear()

    def get(self, key: Any, stamp: Any, make: Callable[[], Any]) -> Any:
        """Return what is kept under a key with this stamp, or make it."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        made = make()
        with self._lock:
            self._kept[key] = stamp, made
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made
