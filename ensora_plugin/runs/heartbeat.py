"""The sign of life of work under a lease, a run or an export: the lease goes on while the vendor, a
long statement or a long file lets us wait.

A process that died or is stopped by force gives none, so that its work is taken over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..database import sqlstate
from ..log import log

#: A lease is extended so often before it would end.
_BEATS = 3
#: What is ours: a run or an export.
Claimed = TypeVar("Claimed")


@contextmanager
def beating(
    engine: Engine,
    extend: Callable[[Session, Claimed, float], bool],
    claimed: Claimed,
    lease_seconds: float,
) -> Iterator[None]:
    """Extend a lease, from a thread, until the block ends.

    `extend` commits, and returns False where the work is not ours any more.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(lease_seconds / _BEATS):
            try:
                with Session(engine) as session:
                    if not extend(session, claimed, lease_seconds):
                        return
            except DBAPIError as error:
                # Whoever works meets the same trouble; the next beat tries again.
                log.warning("heartbeat_failed", code=sqlstate(error))

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
