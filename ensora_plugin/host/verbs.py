"""Calls of the host's verbs: inside a savepoint, in a transaction that stays ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction

from ..database import sqlstate
from ..errors import EnsoraError
from .port import Rendering


class VerbFailed(EnsoraError):
    """Raised where a verb of the host raised, or ended the transaction, with words for people.

    Nothing that it wrote stands. `lost`: the whole transaction is gone, with what stood in it.
    """

    code = "host_error"

    def __init__(self, text: str, *, code: str | None = None, lost: bool = False) -> None:
        super().__init__(text, code=code)
        self.lost = lost


class _Committed(RuntimeError):
    """Raised inside a verb that commits, so that nothing is committed."""


def call_verb(
    session: Session,
    name: str,
    verb: Callable[[], Rendering],
    check: Callable[[], None] = lambda: None,
) -> Rendering:
    """Return what a verb of the host answers. Raises `VerbFailed`; what it wrote is then undone.

    `check` is called once it has written: what that raises undoes it and goes on. A connection that
    was lost is no fault of the verb: that error goes on as it is.
    """
    outer = session.get_transaction()
    savepoint = session.begin_nested()
    error: Exception | None = None
    with _no_commit(session, savepoint) as tried:
        try:
            outcome = verb()
            # What the host left unwritten may break a constraint.
            session.flush()
        except Exception as raised:
            # The host's code may raise anything.
            error = raised
    lost = not _stands(session, outer, savepoint)
    ended = bool(tried) or (lost and error is None)
    if error is None and not ended:
        try:
            check()
        except Exception:
            savepoint.rollback()
            raise
        try:
            savepoint.commit()
        except Exception as raised:
            # It ended the transaction below the session, which could not see that.
            error, lost, ended = raised, True, True
        else:
            return outcome
    if lost:
        # The host may have left changes that it never flushed.
        session.rollback()
    else:
        savepoint.rollback()
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        raise error
    raise _failure(name, error, ended=ended, lost=lost) from None


def _stands(session: Session, outer: Any, savepoint: SessionTransaction) -> bool:
    """Tell whether a transaction and a savepoint in it are still those of the session."""
    return (
        session.get_transaction() is outer
        and savepoint.is_active
        and session.connection().in_nested_transaction()
    )


@contextmanager
def _no_commit(session: Session, savepoint: SessionTransaction) -> Iterator[list[bool]]:
    """Refuse commits beyond the savepoint meanwhile; what is yielded fills where one was tried."""
    tried: list[bool] = []

    def refuse(session: Session) -> None:
        # Savepoints of the host's own stand inside ours, and are its to end.
        if session.get_nested_transaction() in (savepoint, None):
            tried.append(True)
            raise _Committed("A verb never commits; the plugin does.")

    event.listen(session, "before_commit", refuse)
    try:
        yield tried
    finally:
        event.remove(session, "before_commit", refuse)


def _failure(name: str, error: Exception | None, *, ended: bool, lost: bool) -> VerbFailed:
    if ended:
        text = f"The host's {name} verb ended the transaction; commits are the plugin's."
        return VerbFailed(text, code="host_committed", lost=lost)
    # Its message may quote health data, so only its class is kept.
    kind = sqlstate(error) if isinstance(error, DBAPIError) else type(error).__name__
    return VerbFailed(f"The host raised {kind} in its {name} verb.", lost=lost)
