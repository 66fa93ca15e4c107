"""Runs that leave nothing behind, so that the children of this process find its statements built.

SQLAlchemy keeps on the engine what it built of a statement, and a forked child inherits that. Each
run has a child of its own: without this each would build all its statements, which costs more than
a small account's run.
"""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Any, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.engine import Connection as Link
from sqlalchemy.orm import Session

from ..clock import utcnow
from ..config import Settings
from ..crypto import Sealer
from ..database import IMMEDIATE
from ..host.port import HostAdapter
from ..models import Connection
from ..vendor.deadline import trusted
from ..vendor.pages import Page
from ..vendor.records import read_record
from .runs import Ending, claim, create_run, end_run
from .sync import OpenVendor, Services, do_steps

#: No host gives an account this name, and nobody else ever sees it.
_NAME = "ensora warms up"


def warm_up(link: Link, host: HostAdapter, settings: Settings, sealer: Sealer) -> bool:
    """Do runs of a passing account with one record of each kind, and take all of them back.

    `link` is a connection without a transaction. Returns False where there is no account yet whose
    name the host knows, or no key to seal with.
    """
    trusted()
    if not sealer.ready:
        return False
    link = link.execution_options(**{IMMEDIATE: True})
    with link.begin() as all_of_it:
        # Each commit of the run only ends a savepoint in it.
        with Session(link, join_transaction_mode="create_savepoint") as session:
            known = session.scalar(
                select(Connection.account).order_by(Connection.id.desc()).limit(1)
            )
            if known is not None:
                vendor = cast(OpenVendor, _OneOfEach)
                _run(Services(session, host, settings, sealer, vendor), known)
        all_of_it.rollback()
    return known is not None


def _run(services: Services, known: str) -> None:
    """Do a run with new records and one with the same; the host is asked for the rows of a `known`
    account.
    """
    session = services.session
    passing = Connection(account=_NAME, state="connected", failures=0)
    session.add(passing)
    session.commit()
    for _ in range(2):
        run_id = create_run(session, passing.id, cause="command", by=_NAME)
        claimed = claim(session, run_id, services.settings.lease_seconds)
        if claimed is None:
            raise RuntimeError("a run that nobody else can see was taken")
        do_steps(services, replace(claimed, account=known))
        end_run(session, claimed, Ending("done", None, None, services.settings.interval_minutes))


class _OneOfEach:
    """A vendor with one record of each kind, none of which equals anything in a host."""

    def __init__(self, _connection: Connection) -> None:
        moment = utcnow().isoformat() + "Z"
        self._records = {kind: told | {"modifiedAt": moment} for kind, told in _RECORDS.items()}

    def __enter__(self) -> _OneOfEach:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    def whose(self) -> None:
        """Answer as the passing account's connection has it."""

    def page(self, kind: str, cursor: str | None, _size: int) -> Page[Any]:
        """Return a feed's only page."""
        raw = msgspec.Raw(msgspec.json.encode(self._records[kind]))
        return Page([read_record(raw, kind, lambda: kind)], cursor or _NAME, False)


_PERSON = {"firstName": _NAME, "lastName": _NAME, "active": True}
_OF = {"siteId": "site", "studentId": "student", "userId": "user"}
_RECORDS: dict[str, dict[str, Any]] = {
    "site": {"id": "site", "name": _NAME, "active": True},
    "student": {
        **_PERSON,
        "id": "student",
        "siteId": "site",
        "dateOfBirth": "1900-01-01",
        "timeZone": "America/New_York",
    },
    "user": {**_PERSON, "id": "user", "type": "Employee", "siteIds": ["site"], "email": _NAME},
    "note": {
        **_OF,
        "id": "note",
        "version": 1,
        "status": "published",
        "template": _NAME,
        "appointmentId": _NAME,
        "fields": [
            {"name": "Date", "type": "date", "value": "1900-01-01"},
            {"name": "Start Time", "type": "time", "value": "12:00"},
            {"name": "End Time", "type": "time", "value": "13:00"},
        ],
    },
}
