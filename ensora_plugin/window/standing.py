"""Where an account stands at a request: its connection, its latest run, and what is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import aliased

from ..access import open_sites_of
from ..database import AnySession
from ..models import Connection, History, Run, RunCount


@dataclass(frozen=True)
class Standing:
    """What every request needs to know of an account, read in one statement."""

    connection: Connection
    #: The latest run, None where there was none yet.
    run: Run | None
    #: Sites that nobody has settled; they close the other tabs.
    open_sites: int
    #: Changes whenever records or mappings may have changed.
    stamp: tuple[Any, ...]


def standing(session: AnySession, account: str) -> Standing | None:
    """Return where an account stands, None for one that has not the feature."""
    row = session.execute(_STANDING, {"account": account}).first()
    if row is None:
        return None
    run = row.Run
    stamp = (row.history, run and run.id, run and run.state, run and run.step, row.fetched)
    return Standing(row.Connection, run, row.open_sites, stamp)


def _latest(model: Any) -> Any:
    of_account = aliased(model)
    own = select(func.max(of_account.id)).where(of_account.account_id == Connection.id)
    return own.correlate(Connection).scalar_subquery()


def _fetched() -> Any:
    """What the latest run fetched so far; it grows with every page."""
    return (
        select(func.sum(RunCount.fetched))
        .where(RunCount.run_id == Run.id)
        .correlate(Run)
        .scalar_subquery()
    )


#: Every request sends it: built once, since that costs more than its answer.
_STANDING = (
    select(
        Connection,
        Run,
        open_sites_of(Connection.id).label("open_sites"),
        _latest(History).label("history"),
        _fetched().label("fetched"),
    )
    .outerjoin(Run, Run.id == _latest(Run))
    .where(Connection.account == bindparam("account"))
)
