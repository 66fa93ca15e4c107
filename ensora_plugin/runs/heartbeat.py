"""The sign of life of a run: its lease goes on while the vendor or a long statement lets us wait.

A process that died or is stopped by force gives none, so that its run is taken over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..clock import utcnow
from ..database import begin_write, sqlstate
from ..log import log
from ..models import Run
from .runs import Claim

#: A lease is extended so often before it would end.
_BEATS = 3


@contextmanager
def beating(engine: Engine, claimed: Claim, lease_seconds: float) -> Iterator[None]:
    """Extend the lease under the claim's fence, from a thread, until the block ends."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(lease_seconds / _BEATS):
            try:
                if not _extend(engine, claimed, lease_seconds):
                    return
            except DBAPIError as error:
                # Whoever works meets the same trouble; the next beat tries again.
                log.warning("heartbeat_failed", run=claimed.run_id, code=sqlstate(error))

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _extend(engine: Engine, claimed: Claim, lease_seconds: float) -> bool:
    """Return False where the run is not ours any more."""
    with Session(engine) as session:
        begin_write(session)
        ours = session.execute(
            update(Run)
            .where(Run.id == claimed.run_id, Run.fence == claimed.fence, Run.state == "running")
            .values(lease_until=utcnow() + timedelta(seconds=lease_seconds))
            .returning(Run.id)
            .execution_options(synchronize_session=False)
        ).scalar()
        session.commit()
    return ours is not None
