"""What is made once and kept as long as it stands."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

#: Stands for what is not kept, since None may be.
_NOTHING = object()


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
        return self.get_all([key], stamp, lambda _: make())[0]

    def get_all(self, keys: Sequence[Any], stamp: Any, make: Callable[[int], Any]) -> list[Any]:
        """Return what is kept under each of the keys with this stamp; `make` makes the one of a
        number of them.
        """
        with self._lock:
            kept = [self._kept.get(key) for key in keys]
        found = [one[1] if one is not None and one[0] == stamp else _NOTHING for one in kept]
        made = {at: make(at) for at, one in enumerate(found) if one is _NOTHING}
        if made:
            with self._lock:
                for at, one in made.items():
                    found[at] = one
                    self._kept[keys[at]] = stamp, one
                    self._kept.move_to_end(keys[at])
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return found
