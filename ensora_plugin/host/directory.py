"""The host's agencies, clients and staff by normalised names, kept current so that SQL can compare
them.

Text equality (NFKC, casefold) is Python's and no database's; so the names stand normalised in a
table of ours. What the host tells as it did before is not normalised again, and where its SELECT
offers `updated_at`, not even read.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, literal, select

from ..database import AnySession, upsert
from ..kinds import KINDS, Kind
from ..models import Connection, Directory, DirectoryAgency
from ..text import joint_key, list_keys, text_key
from .ids import native_ids, of_ids
from .marks import latest, move_mark, read_mark
from .port import HostAdapter

_CHUNK = 500
#: More rows than these are read all at once.
_MANY = 5000
#: Of what the keys are made by; another one makes them anew.
_FORM = f"1 {unicodedata.unidata_version}"
#: What a row may tell beside the compared facts, and what it means where the SELECT does not.
_BESIDE = {"active": True, "agency_id": None}


@dataclass(frozen=True)
class Source:
    """The rows of one entity of the host, and the entries that stand for them."""

    session: AnySession
    account_id: int
    kind: Kind
    #: The host's SELECT as a named subquery.
    rows: Any
    #: The agencies of each staff member; of other entities None, their rows tell.
    members: Mapping[str, set[str]] | None

    def agencies_of(self, host_id: str, agency_id: Any) -> set[str]:
        """Return an entity's agencies, of which its row names one or none."""
        if self.members is not None:
            return self.members.get(host_id, set())
        return set() if agency_id is None else {str(agency_id)}

    @property
    def own(self) -> tuple[ColumnElement[bool], ...]:
        """The conditions on the directory's entries."""
        return Directory.account_id == self.account_id, Directory.entity == self.kind.entity


def refresh(session: AnySession, account_id: int, account: str, host: HostAdapter) -> int:
    """Bring the directory in line with the host's SELECTs; flushes, and returns how many entries
    changed.

    An entity that vanished from the host loses its entry; a mapping to it stays, and is flagged by
    that.
    """
    changed = 0
    for kind in KINDS:
        if not kind.compared:
            continue
        statement = _select(host, account, kind)
        source = _source(session, account_id, account, host, kind)
        mark = read_mark(session, account_id, kind.entity, statement)
        seen = latest(session, source.rows, mark.since)
        if mark.whole or (told := _refresh_changed(source, mark.since)) is None:
            changed += _bring(source, None)
        else:
            changed += told
        move_mark(session, mark, seen)
    return changed


def refresh_some(
    session: AnySession,
    account_id: int,
    account: str,
    host: HostAdapter,
    kind: Kind,
    host_ids: Iterable[str],
) -> int:
    """Bring the entries of some entities of the host in line; flushes, and returns how many
    changed.
    """
    source = _source(session, account_id, account, host, kind, host_ids := sorted(set(host_ids)))
    return sum(_bring(source, host_ids[at : at + _CHUNK]) for at in range(0, len(host_ids), _CHUNK))


def entry(kind: Kind, entity: Any) -> dict[str, Any]:
    """Return the directory's columns for a row of the host's SELECT."""
    parts = _parts(kind, entity)
    names = parts[:2] if len(parts) > 1 else parts
    return {
        "match_key": joint_key(*parts),
        **list_keys(*names),
        "facts": [text_key(part) for part in parts],
        "last_fact": joint_key(parts[-1]),
        "active": bool(getattr(entity, "active", True)),
    }


def _parts(kind: Kind, entity: Any) -> list[str]:
    return [str(getattr(entity, name) or "") for name in kind.compared]


def _checksum(told: Iterable[Any], active: Any, agencies: Iterable[str]) -> bytes:
    """Return the checksum of what the host told of an entity, as it told it."""
    texts = [str(one) if one else "" for one in told]
    whole = "\x1e".join([_FORM, *texts, "True" if active else "False", *agencies])
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _select(host: HostAdapter, account: str, kind: Kind) -> Any:
    selects = {"agency": host.agencies, "client": host.clients, "staff": host.staff}
    return selects[kind.entity](account)


def _source(
    session: AnySession,
    account_id: int,
    account: str,
    host: HostAdapter,
    kind: Kind,
    host_ids: Iterable[str] | None = None,
) -> Source:
    rows = _select(host, account, kind).subquery(kind.entity)
    members = None
    if kind.entity == "staff":
        # Few rows, and the host may not know when one of them went away: they are read whole.
        of = host.staff_agencies(account).subquery("staff_agency").c
        told = select(of.staff_id, of.agency_id)
        if host_ids is not None:
            told = told.where(of.staff_id.in_(native_ids(of.staff_id, host_ids)))
        members = defaultdict(set)
        for row in _stream(session, told):
            members[str(row.staff_id)].add(str(row.agency_id))
    return Source(session, account_id, kind, rows, members)


def _refresh_changed(source: Source, since: Any) -> int | None:
    """Read what changed since a time, and staff whose agencies did; None where that leaves the
    directory with more or fewer entries than the host has.
    """
    ids = {
        str(id)
        for id in source.session.scalars(
            select(source.rows.c.id).where(source.rows.c.updated_at >= since)
        )
    }
    ids |= _moved(source)
    if len(ids) > _MANY:
        return None
    changed = _bring_some(source, sorted(ids))
    there = source.session.scalar(select(func.count()).select_from(source.rows))
    ours = source.session.scalar(select(func.count()).select_from(Directory).where(*source.own))
    return changed if there == ours else None


def _moved(source: Source) -> set[str]:
    """Return the staff whose agencies are other ones than the directory has."""
    if source.members is None:
        return set()
    stored = defaultdict(set)
    for row in source.session.execute(
        select(DirectoryAgency.host_id, DirectoryAgency.agency_id).where(
            DirectoryAgency.account_id == source.account_id,
            DirectoryAgency.entity == source.kind.entity,
        )
    ):
        stored[row.host_id].add(row.agency_id)
    return {
        one
        for one in stored.keys() | source.members.keys()
        if stored.get(one, set()) != source.members.get(one, set())
    }


def _bring_some(source: Source, host_ids: list[str]) -> int:
    chunks = (host_ids[at : at + _CHUNK] for at in range(0, len(host_ids), _CHUNK))
    return sum(_bring(source, chunk) for chunk in chunks)


def _bring(source: Source, host_ids: list[str] | None) -> int:
    """Compare the host's rows with the entries, all or those of some ids, and write what differs.

    Returns how many did.
    """
    wanted, entries = source.rows, select(Directory.host_id, Directory.checksum).where(*source.own)
    if host_ids is not None:
        wanted = of_ids(source.session, source.rows, host_ids).subquery("wanted")
        entries = entries.where(Directory.host_id.in_(host_ids))
    c = wanted.c
    compared = [c[name] for name in source.kind.compared]
    beside = (c[name] if name in c else literal(there) for name, there in _BESIDE.items())
    rows = select(*compared, *beside, c.id)
    stored = {host_id: checksum for host_id, checksum in _stream(source.session, entries)}
    fresh: list[dict[str, Any]] = []
    agencies: dict[str, set[str]] = {}
    for row in _stream(source.session, rows):
        *told, active, agency_id, id = row
        host_id = str(id)
        of = source.agencies_of(host_id, agency_id)
        checksum = _checksum(told, active, of if len(of) < 2 else sorted(of))
        if stored.pop(host_id, None) != checksum:
            key = {"entity": source.kind.entity, "host_id": host_id, "checksum": checksum}
            fresh.append(key | entry(source.kind, row))
            agencies[host_id] = of
    _write(source, fresh, agencies)
    _remove(source, list(stored))
    return len(fresh) + len(stored)


def _stream(session: AnySession, statement: Any) -> Iterator[Any]:
    yield from session.connection().execute(statement, execution_options={"yield_per": 1000})


def _write(source: Source, rows: list[dict[str, Any]], agencies: Mapping[str, set[str]]) -> None:
    if not rows:
        return
    now = {"account_id": source.account_id, "touched": _generation(source)}
    for at in range(0, len(rows), _CHUNK):
        chunk = [now | row for row in rows[at : at + _CHUNK]]
        upsert(source.session, Directory.__table__, chunk, ["account_id", "entity", "host_id"])
        _remove_agencies(source, [row["host_id"] for row in chunk])
    key = {"account_id": source.account_id, "entity": source.kind.entity}
    members = [
        {**key, "host_id": host_id, "agency_id": agency}
        for host_id, of in agencies.items()
        for agency in sorted(of)
    ]
    if members:
        source.session.execute(insert(DirectoryAgency), members)


def _generation(source: Source) -> int:
    """Return the account's generation, by which automap sees which entries are new to it.

    Its row is locked against a pass under way, which would count it up unseen.
    """
    own = select(Connection.generation).where(Connection.id == source.account_id)
    return source.session.scalars(own.with_for_update(key_share=True)).one()


def _remove(source: Source, gone: list[str]) -> None:
    if gone:
        # As for what is written: a pass under way goes first.
        _generation(source)
    for at in range(0, len(gone), _CHUNK):
        chunk = gone[at : at + _CHUNK]
        _remove_agencies(source, chunk)
        source.session.execute(delete(Directory).where(*source.own, Directory.host_id.in_(chunk)))


def _remove_agencies(source: Source, host_ids: list[str]) -> None:
    source.session.execute(
        delete(DirectoryAgency).where(
            DirectoryAgency.account_id == source.account_id,
            DirectoryAgency.entity == source.kind.entity,
            DirectoryAgency.host_id.in_(host_ids),
        )
    )
