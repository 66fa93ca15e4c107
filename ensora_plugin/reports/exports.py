"""Large exports: asked for by a person, made by a worker, kept sealed for their owner, then ended.

An export is a row that a worker claims for a while, as it does a run. What it writes while another
one has claimed it is refused.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any

from sqlalchemy import and_, case, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from ..access import Scope
from ..clock import utcnow
from ..crypto import Sealer
from ..database import AnySession, begin_write
from ..errors import Fenced
from ..history import lock_account, write_history
from ..host.port import ALL, Actor, HostAdapter
from ..models import Connection, Export, ExportPart
from .cells import Value
from .choice import Choice
from .files import FORMATS
from .sides import BATCH, Source
from .spec import REPORTS
from .table import heads_of, lines_of

#: An export that failed so often is given up.
MOST_ATTEMPTS = 3
_PIECE = 512 * 1024


def request_export(source: Source, choice: Choice, form: str, total: int, ends_at: datetime) -> int:
    """Ask for a file that a worker makes; return its id; commits."""
    scope, session = source.scope, source.session
    begin_write(session)
    export = Export(
        account_id=scope.account_id,
        owner=scope.actor.id,
        by=scope.actor.name,
        agencies=None if scope.agencies is None else sorted(scope.agencies),
        may_map=scope.may("map"),
        report=choice.report.slug,
        choice=choice.address(),
        form=form,
        state="due",
        total=total,
        ends_at=ends_at,
    )
    session.add(export)
    session.commit()
    return export.id


def own_export(session: AnySession, scope: Scope, export_id: int) -> Export | None:
    """Return an export of the person's own, as long as it has not ended and they still see all that
    it holds.
    """
    found = session.scalar(
        select(Export).where(
            Export.id == export_id,
            Export.account_id == scope.account_id,
            Export.owner == scope.actor.id,
            Export.ends_at > utcnow(),
        )
    )
    if found is None or scope.agencies is None:
        return found
    return found if set(found.agencies or [""]) <= scope.agencies else None


def pieces_of(session: AnySession, sealer: Sealer, export: Export) -> Iterator[bytes]:
    """Yield the file of an export that is done, piece by piece."""
    export_id, account_id = export.id, export.account_id
    for number in range(-(-export.size // _PIECE)):
        sealed = session.scalars(
            select(ExportPart.sealed).where(
                ExportPart.export_id == export_id, ExportPart.number == number
            )
        ).one()
        # Whoever downloads slowly must not hold a transaction open meanwhile.
        session.rollback()
        yield sealer.open(sealed, *place_of_part(account_id, export_id, number))


def waiting_exports(session: Session) -> list[int]:
    """Return the ids of the exports that any worker may take."""
    found = list(session.scalars(select(Export.id).where(_free(utcnow())).order_by(Export.id)))
    session.rollback()
    return found


def end_exports(session: Session) -> int:
    """Take away what has ended; return how many; commits."""
    begin_write(session)
    ended = select(Export.id).where(Export.ends_at <= utcnow())
    session.execute(delete(ExportPart).where(ExportPart.export_id.in_(ended)), **_ALONE)
    gone = session.execute(
        delete(Export).where(Export.ends_at <= utcnow()).returning(Export.id), **_ALONE
    ).all()
    session.commit()
    return len(gone)


_ALONE: Any = {"execution_options": {"synchronize_session": False}}


@dataclass(frozen=True)
class ExportClaim:
    """An export that is ours: until the lease ends, or another worker claims it."""

    export_id: int
    #: What an attempt before this one writes is refused.
    attempt: int


def claim_export(session: Session, export_id: int, lease_seconds: float) -> ExportClaim | None:
    """Take an export for a lease, None where it is not to be had; commits."""
    begin_write(session)
    now = utcnow()
    given_up = Export.attempt >= MOST_ATTEMPTS
    taken = session.execute(
        update(Export)
        .where(Export.id == export_id, _free(now))
        .values(
            state=case((given_up, "failed"), else_="running"),
            attempt=Export.attempt + 1,
            lease_until=now + timedelta(seconds=lease_seconds),
            rows=0,
        )
        .returning(Export.attempt, Export.state),
        **_ALONE,
    ).first()
    session.commit()
    return ExportClaim(export_id, taken.attempt) if taken and taken.state == "running" else None


def extend_export(session: Session, claimed: ExportClaim, lease_seconds: float) -> bool:
    """Extend the lease of an export; return False where it is not ours any more; commits."""
    begin_write(session)
    ours = _write(session, claimed, lease_until=utcnow() + timedelta(seconds=lease_seconds))
    session.commit()
    return ours


def give_back(session: Session, claimed: ExportClaim, *, failed: bool) -> None:
    """Let an export that was not made be tried again, at most `MOST_ATTEMPTS` times; commits.

    An attempt that did not fail, but whose worker was asked to stop, does not count.
    """
    begin_write(session)
    given_up = case((Export.attempt >= MOST_ATTEMPTS, "failed"), else_="due")
    values = {"state": given_up} if failed else {"state": "due", "attempt": Export.attempt - 1}
    _write(session, claimed, **values)
    session.commit()


def _free(now: datetime) -> Any:
    lost = and_(Export.state == "running", Export.lease_until < now)
    return and_(or_(Export.state == "due", lost), Export.ends_at > now)


def _write(session: Session, claimed: ExportClaim, **values: Any) -> bool:
    """Write into the row of an export; return False where it is not ours any more."""
    written = session.execute(
        update(Export)
        .where(
            Export.id == claimed.export_id,
            Export.attempt == claimed.attempt,
            Export.state == "running",
        )
        .values(values)
        .returning(Export.id),
        **_ALONE,
    ).first()
    return written is not None


def _write_or_leave(session: Session, claimed: ExportClaim, **values: Any) -> None:
    if not _write(session, claimed, **values):
        session.rollback()
        raise Fenced("Another worker makes this export.")


def make_export(
    session: Session,
    host: HostAdapter,
    sealer: Sealer,
    claimed: ExportClaim,
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Make the file of an export that is ours; commits.

    `watch` is called between two batches of rows, and ends the work by what it raises. Raises
    `Fenced` where another worker makes it by now.
    """
    export, account = session.execute(
        select(Export, Connection.account).join(Connection).where(Export.id == claimed.export_id)
    ).one()
    session.expunge(export)
    scope = _scope_of(export, account)
    choice = Choice.read(REPORTS[export.report], export.choice, utcnow().date())
    source = Source(session, scope, host, choice.report.kind, choice.side)

    def watched() -> Iterator[list[Value]]:
        # At the end of a batch no row of it is read any more, so that a commit harms none.
        for count, line in enumerate(lines_of(source, choice), 1):
            yield line
            if count % BATCH == 0:
                watch()
                begin_write(session)
                _write_or_leave(session, claimed, rows=count)
                session.commit()

    with tempfile.TemporaryFile() as out:
        rows = FORMATS[export.form][0](out, heads_of(choice), watched())
        size = out.seek(0, os.SEEK_END)
        out.seek(0)
        begin_write(session)
        lock_account(session, export.account_id)
        _write_or_leave(session, claimed, state="done", rows=rows, size=size)
        _keep(session, sealer, export, out)
        told = {"report": export.report, "format": export.form, "rows": rows}
        told["filter"] = choice.facts()
        write_history(session, export.account_id, action="export", by=export.by, after=told)
        session.commit()


def _scope_of(export: Export, account: str) -> Scope:
    """Return what the person saw when they asked."""
    permissions = frozenset({"report", "map"} if export.may_map else {"report"})
    agencies = None if export.agencies is None else frozenset(export.agencies)
    actor = Actor(export.owner, export.by, ALL if agencies is None else agencies, permissions)
    return Scope(export.account_id, account, actor, agencies)


def _keep(session: Session, sealer: Sealer, export: Export, out: IO[bytes]) -> None:
    number = 0
    while piece := out.read(_PIECE):
        sealed = sealer.seal(piece, *place_of_part(export.account_id, export.id, number))
        key = {"export_id": export.id, "number": number, "account_id": export.account_id}
        session.execute(insert(ExportPart).values(**key, sealed=sealed))
        number += 1


def place_of_part(account_id: int, export_id: int, number: int) -> tuple[object, ...]:
    return (account_id, "export_part", export_id, number, "sealed")
