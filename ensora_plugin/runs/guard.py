"""The guard: where one pull takes away unusually much, its effects wait until a person agrees.

Records always land. But where more than a set share of an account's records of a kind left use at
once, students or users made inactive, notes unpublished or deleted, neither automap nor rendering
goes on: a mistake at the vendor must not reach the appointments. What comes back counts against it,
so that a mistake that is mended ends by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from ..clock import utcnow
from ..config import Settings
from ..database import AnySession, begin_write
from ..errors import Held, NotAllowed
from ..history import lock_account, write_history
from ..kinds import KINDS, NOTE, Kind
from ..models import Connection, Feed, Note, RenderingRow


@dataclass(frozen=True)
class Loss:
    """Records of a kind that left use since automap last went on."""

    kind: Kind
    gone: int
    #: How many were in use before.
    of: int
    #: Session notes: how many of the withdrawn ones stand in an appointment.
    applied: int = 0

    @property
    def words(self) -> str:
        """Return a sentence: what came from the vendor, and what it would do."""
        what = f"{self.gone:,} of {self.of:,} {self.kind.plural.lower()}"
        if self.kind is not NOTE:
            return (
                f"{what} were made inactive. They would leave the lists, and yield to active ones."
            )
        text = f"{what} were unpublished or deleted. They would no longer be mapped"
        if self.applied:
            text += (
                f"; {self.applied:,} stand in appointments, which keep their text and would be "
                "marked as withdrawn at the source"
            )
        return text + "."


def losses(session: AnySession, account_id: int, settings: Settings) -> list[Loss]:
    """Return what is more than the account's runs may take away by themselves."""
    gone = dict(
        session.execute(select(Feed.kind, Feed.gone).where(Feed.account_id == account_id)).all()
    )
    found = []
    for kind in KINDS:
        count = gone.get(kind.name, 0)
        # Counting all records is left for the rare case.
        if count < max(settings.guard_least, 1):
            continue
        of = count + _in_use(session, account_id, kind)
        if count * 100 > of * settings.guard_percent:
            applied = _applied(session, account_id) if kind is NOTE else 0
            found.append(Loss(kind, count, of, applied))
    return found


def check(session: AnySession, account_id: int, settings: Settings) -> bool:
    """Hold the account's effects where a pull took away too much, or let them go on; flushes.

    Return whether they are held now and were not before.
    """
    held = bool(losses(session, account_id, settings))
    connection = session.get_one(Connection, account_id, populate_existing=True)
    newly = held and connection.held_at is None
    if newly:
        connection.held_at = utcnow()
    elif not held:
        connection.held_at = None
    session.flush()
    return newly


def require_free(session: AnySession, account_id: int) -> None:
    """Raise `Held` where the account's effects wait for a person."""
    if session.scalar(select(Connection.held_at).where(Connection.id == account_id)) is not None:
        raise Held(
            "The last pull took unusually much away. Mapping and rendering wait until an "
            "administrator agrees to it in the Synchronization window."
        )


def let_go(session: AnySession, account_id: int) -> None:
    """Count anew what is taken away, after automap went on; flushes."""
    session.execute(
        update(Feed)
        .where(Feed.account_id == account_id, Feed.gone != 0)
        .values(gone=0)
        .execution_options(synchronize_session=False)
    )


def agree(
    session: Session, account_id: int, settings: Settings, *, by: str, seen: int | None
) -> None:
    """Let what is held go on, in a history row of the person; flushes.

    `seen`: how many records the person was shown, None for whatever it is. Raises `NotAllowed`
    where nothing is held, or where more left use meanwhile.
    """
    begin_write(session)
    lock_account(session, account_id)
    connection = session.get_one(Connection, account_id, populate_existing=True)
    if connection.held_at is None:
        raise NotAllowed("Nothing is held any more.")
    found = losses(session, account_id, settings)
    if seen is not None and seen != total(found):
        raise NotAllowed("Another pull changed what is held. Look at the numbers again.")
    connection.held_at = None
    let_go(session, account_id)
    after = {loss.kind.name: {"gone": loss.gone, "of": loss.of} for loss in found}
    write_history(session, account_id, action="agree", by=by, after=after)
    session.flush()


def total(found: list[Loss]) -> int:
    """Return how many records a person agrees to."""
    return sum(loss.gone for loss in found)


def _in_use(session: AnySession, account_id: int, kind: Kind) -> int:
    model = kind.model
    statement = select(func.count()).where(
        model.account_id == account_id, ~kind.settled, ~kind.outside
    )
    return session.scalar(statement) or 0


def _applied(session: AnySession, account_id: int) -> int:
    """Count the withdrawn notes that no pass of automap saw yet and that stand in appointments."""
    applied = exists().where(
        RenderingRow.account_id == Note.account_id,
        RenderingRow.note_id == Note.vendor_id,
        RenderingRow.applied,
    )
    statement = (
        select(func.count())
        .select_from(Note)
        .join(Connection, Connection.id == Note.account_id)
        .where(
            Note.account_id == account_id,
            Note.touched == Connection.generation,
            NOTE.settled,
            applied,
        )
    )
    return session.scalar(statement) or 0
