"""All that is sealed, sealed anew with the newest key, in short transactions while others work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, and_, bindparam, func, select, tuple_, update
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from .connecting import token_place
from .crypto import Sealer, front_of, key_of
from .database import begin_write
from .errors import Sealed
from .history import lock_account, write_history
from .models import Connection, Content, ExportPart, ReplacedContent
from .pull.content import content_place
from .reports.exports import place_of_part

#: A transaction reads so many values at most, and so many bytes beside its first value.
_BATCH, _BYTES = 200, 4 << 20
#: What others are writing at the moment is tried again, for so long after all was tried once.
_PATIENCE_SECONDS = 30.0
_MOST_NAMED = 3


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values. `one` and `many` are its words; `place` is what a row's value is
    bound to.
    """

    one: str
    many: str
    table: Table
    name: str
    place: Callable[[Any], tuple[object, ...]]

    @property
    def value(self) -> Any:
        return self.table.c[self.name]

    @property
    def key(self) -> list[Any]:
        return list(self.table.primary_key.columns)

    @property
    def account(self) -> Any:
        return self.table.c.id if self.table is Connection.__table__ else self.table.c.account_id

    def without(self, *names: str) -> ColumnElement[bool]:
        """Return the condition that none of some keys sealed the value."""
        fronts = [front_of(name) for name in names]
        return and_(
            self.value.is_not(None),
            *(func.substr(self.value, 1, len(front)) != front for front in fronts),
        )


def _place_of_content(row: Any) -> tuple[object, ...]:
    return content_place(row.account_id, row.note_id, row.version)


SEALED = (
    SealedColumn("token", "tokens", Connection.__table__, "token_sealed", token_place),
    SealedColumn(
        "version of a note", "versions of notes", Content.__table__, "sealed", _place_of_content
    ),
    SealedColumn(
        "replaced version of a note",
        "replaced versions of notes",
        ReplacedContent.__table__,
        "sealed",
        _place_of_content,
    ),
    SealedColumn(
        "piece of an export",
        "pieces of exports",
        ExportPart.__table__,
        "sealed",
        lambda row: place_of_part(row.account_id, row.export_id, row.number),
    ),
)


@dataclass
class Rotated:
    """How many values were sealed anew with the newest key, by their words; `key` is its id."""

    key: str
    done: dict[str, int] = field(default_factory=lambda: {column.many: 0 for column in SEALED})
    #: The same by account.
    of: dict[int, Counter[str]] = field(default_factory=dict)

    def count(self, account_id: int, words: str) -> None:
        """Take note of one more value of an account."""
        self.done[words] += 1
        self.of.setdefault(account_id, Counter())[words] += 1


def rotate(session: Session, sealer: Sealer, *, by: str) -> Rotated:
    """Seal with the newest key whatever another one sealed; commits batch by batch, and a row of
    history of each account whose values are among them before the first batch and in the end.

    It may be ended anywhere and begun anew, and nobody has to stop meanwhile. Raises `Sealed` where
    an older key is missing, before anything is changed; where values do not open, after all others
    were sealed anew; and where others still write with an older key.
    """
    if not sealer.ready:
        raise Sealed("ENSORA_KEYS is not set; `flask ensora make-key` prints a key to set.")
    if missing := missing_keys(session, sealer):
        raise Sealed(f"{no_key(missing)} Nothing was changed.")
    rotated = Rotated(sealer.names[0])
    # Whoever is killed on the way has said what they were at.
    for account_id in _accounts(session, rotated.key):
        with _locked(session, account_id):
            after: dict[str, Any] = {"key": rotated.key}
            write_history(session, account_id, action="begin_rotation", by=by, after=after)
    try:
        _rotate_all(session, sealer, rotated)
    finally:
        for account_id, counts in rotated.of.items():
            with _locked(session, account_id):
                after = {"key": rotated.key, **counts}
                write_history(session, account_id, action="rotate_keys", by=by, after=after)
    return rotated


def _accounts(session: Session, newest: str) -> list[int]:
    """Return whose values another key sealed."""
    found: set[int] = set()
    for column in SEALED:
        owners = select(column.account).where(column.without(newest)).distinct()
        found.update(session.scalars(owners))
    session.rollback()
    return sorted(found)


@contextmanager
def _locked(session: Session, account_id: int) -> Iterator[None]:
    """A transaction of an account's own; commits."""
    begin_write(session)
    lock_account(session, account_id)
    yield
    session.commit()


def _rotate_all(session: Session, sealer: Sealer, rotated: Rotated) -> None:
    until = None
    while True:
        broken = [one for column in SEALED for one in _pass(session, sealer, column, rotated)]
        left = sum(_count(session, column, sealer.names[0]) for column in SEALED)
        if left <= len(broken):
            break
        until = until or time.monotonic() + _PATIENCE_SECONDS
        if time.monotonic() > until:
            raise Sealed(
                f"{left} values are sealed with an older key yet: somebody is writing them. "
                "Restart what runs with the old ENSORA_KEYS, and run this again."
            )
        time.sleep(0.1)
    if broken:
        named = "; ".join(broken[:_MOST_NAMED]) + ("; ..." if len(broken) > _MOST_NAMED else "")
        raise Sealed(
            f"{len(broken)} values do not open and stay as they were: {named}. Keep their keys "
            "until they were put back from a backup. All others were sealed anew."
        )


def missing_keys(session: Session, sealer: Sealer) -> list[str]:
    """Return the ids of keys that sealed something and are not there any more."""
    missing: list[str] = []
    for column in SEALED:
        known = (*sealer.names, *missing)
        while value := session.scalar(select(column.value).where(column.without(*known)).limit(1)):
            name = key_of(value)
            if name in known:
                break  # a value that is damaged in front; it is told where it does not open
            known = (*known, name)
            missing.append(name)
    session.rollback()
    return missing


def no_key(names: Sequence[str]) -> str:
    """Say that keys are missing, and what to do."""
    return (
        f"ENSORA_KEYS has no key {', '.join(map(repr, names))}, with which values are sealed; put "
        "the old key back behind the new one."
    )


def _count(session: Session, column: SealedColumn, newest: str) -> int:
    counted = session.scalar(
        select(func.count()).select_from(column.table).where(column.without(newest))
    )
    session.rollback()
    return counted or 0


def _pass(
    session: Session, sealer: Sealer, column: SealedColumn, rotated: Rotated
) -> Iterator[str]:
    """Seal a column's values anew, in the order of its key; yield which do not open."""
    after: Sequence[Any] | None = None
    while keys := _next_keys(session, column, rotated.key, after):
        began = time.monotonic()
        begin_write(session)
        anew, broken, accounts = [], [], []
        for row in session.execute(_values(column, rotated.key, after, keys[-1])).all():
            try:
                anew.append(_anew(sealer, column, row))
                accounts.append(getattr(row, column.account.name))
            except Sealed:
                broken.append(_named(column, row))
        if anew:
            session.connection().execute(_change(column), anew)
        session.commit()
        for account_id in accounts:
            rotated.count(account_id, column.many)
        yield from broken
        after = keys[-1]
        # SQLite knows no queue: half of the time is the others'.
        time.sleep(min(time.monotonic() - began, 0.5))


def _next_keys(
    session: Session, column: SealedColumn, newest: str, after: Sequence[Any] | None
) -> list[Sequence[Any]]:
    """Return the keys of the rows that come next, no more than memory should hold."""
    statement = (
        select(*column.key, func.length(column.value))
        .where(column.without(newest))
        .order_by(*column.key)
        .limit(_BATCH)
    )
    if after is not None:
        statement = statement.where(tuple_(*column.key) > tuple_(*after))
    rows = session.execute(statement).all()
    session.rollback()
    keys: list[Sequence[Any]] = []
    held = 0
    for *key, length in rows:
        held += length
        if keys and held > _BYTES:
            break
        keys.append(key)
    return keys


def _values(
    column: SealedColumn, newest: str, after: Sequence[Any] | None, last: Sequence[Any]
) -> Any:
    """SELECT the rows up to a key for an update; those that somebody else is writing come later."""
    statement = (
        select(column.table)
        .where(column.without(newest), tuple_(*column.key) <= tuple_(*last))
        .order_by(*column.key)
    )
    if after is not None:
        statement = statement.where(tuple_(*column.key) > tuple_(*after))
    # Who waits for nobody is in nobody's way.
    return statement.with_for_update(skip_locked=True)


def _anew(sealer: Sealer, column: SealedColumn, row: Any) -> dict[str, Any]:
    place = column.place(row)
    plain = sealer.open(getattr(row, column.name), *place)
    key = {f"of_{part.name}": getattr(row, part.name) for part in column.key}
    return key | {"anew": sealer.seal(plain, *place)}


def _change(column: SealedColumn) -> Any:
    own = [part == bindparam(f"of_{part.name}") for part in column.key]
    return update(column.table).where(*own).values({column.name: bindparam("anew")})


def _named(column: SealedColumn, row: Any) -> str:
    account = getattr(row, column.account.name)
    noted = hasattr(row, "note_id")
    what = f"version {row.version} of note {row.note_id}" if noted else column.one
    return f"{what} of account {account}, key {key_of(getattr(row, column.name))!r}"
