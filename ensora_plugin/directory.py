"""The host's agencies, clients and staff by normalised names, kept current so that SQL can compare
them.

Text equality (NFKC, casefold) is Python's and no database's; so the names stand normalised in a
table of ours.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import delete, insert, select

from .database import AnySelect, AnySession, upsert
from .entities import find_entity, host_entity
from .host import HostAdapter
from .kinds import KINDS, Kind
from .models import Directory, DirectoryAgency
from .text import joint_key, list_keys, text_key

_CHUNK = 500


def refresh(session: AnySession, account_id: int, account: str, host: HostAdapter) -> int:
    """Bring the directory in line with the host's SELECTs; flushes, and returns how many entries
    changed.

    An entity that vanished from the host loses its entry; a mapping to it stays, and is flagged by
    that.
    """
    changed = 0
    for kind in KINDS:
        if kind.compared:
            changed += _refresh_kind(session, account_id, account, host, kind)
    return changed


def refresh_entity(
    session: AnySession, account_id: int, account: str, host: HostAdapter, kind: Kind, host_id: str
) -> None:
    """Bring one entity in line with the host's SELECTs, which was made or changed just now."""
    entity = host_entity(host, account, kind)
    found = find_entity(session, entity, host_id)
    if found is None:
        return
    agencies = {str(found.agency_id)} if kind.entity == "client" and found.agency_id else set()
    if kind.entity == "staff":
        member = host.staff_agencies(account).subquery("member_agency")
        own = select(member.c.agency_id).where(member.c.staff_id == found.id)
        agencies = {str(agency) for agency in session.scalars(own)}
    key = {"account_id": account_id, "entity": kind.entity, "host_id": host_id}
    _write(session, account_id, kind, [key | entry(kind, found, agencies)], {host_id: agencies})


def _refresh_kind(
    session: AnySession, account_id: int, account: str, host: HostAdapter, kind: Kind
) -> int:
    own = (Directory.account_id == account_id, Directory.entity == kind.entity)
    stored = {
        row.host_id: row.checksum
        for row in session.execute(select(Directory.host_id, Directory.checksum).where(*own))
    }
    fresh: list[dict[str, Any]] = []
    agencies: dict[str, set[str]] = {}
    for host_id, row, of in _entries(session, account, host, kind):
        if stored.pop(host_id, None) != row["checksum"]:
            key = {"account_id": account_id, "entity": kind.entity, "host_id": host_id}
            fresh.append(key | row)
            agencies[host_id] = of
    _write(session, account_id, kind, fresh, agencies)
    _remove(session, account_id, kind, list(stored))
    return len(fresh) + len(stored)


def _entries(
    session: AnySession, account: str, host: HostAdapter, kind: Kind
) -> Iterator[tuple[str, dict[str, Any], set[str]]]:
    """Yield host id, columns and agencies of every entity of a kind."""
    memberships: Mapping[str, set[str]] = {}
    if kind.entity == "staff":
        found = defaultdict(set)
        for member in _stream(session, host.staff_agencies(account)):
            found[str(member.staff_id)].add(str(member.agency_id))
        memberships = found
    for entity in _stream(session, _select(host, account, kind)):
        host_id = str(entity.id)
        agencies = memberships.get(host_id, set())
        if kind.entity == "client":
            agencies = {str(entity.agency_id)} if entity.agency_id is not None else set()
        yield host_id, entry(kind, entity, agencies), agencies


def entry(kind: Kind, entity: Any, agencies: set[str]) -> dict[str, Any]:
    """Return the directory's columns for a row of the host's SELECT."""
    parts = [str(getattr(entity, name) or "") for name in kind.compared]
    names = parts[:2] if len(parts) > 1 else parts
    row = {
        "match_key": joint_key(*parts),
        **list_keys(*names),
        "facts": [text_key(part) for part in parts],
        "last_fact": joint_key(parts[-1]),
        "active": bool(getattr(entity, "active", True)),
    }
    told = "\x1e".join([*(str(value) for value in row.values()), *sorted(agencies)])
    return row | {"checksum": hashlib.blake2b(told.encode(), digest_size=16).digest()}


def _select(host: HostAdapter, account: str, kind: Kind) -> AnySelect:
    return {"agency": host.agencies, "client": host.clients, "staff": host.staff}[kind.entity](
        account
    )


def _stream(session: AnySession, statement: AnySelect) -> Iterator[Any]:
    yield from session.execute(statement, execution_options={"yield_per": 1000})


def _write(
    session: AnySession,
    account_id: int,
    kind: Kind,
    rows: list[dict[str, Any]],
    agencies: Mapping[str, set[str]],
) -> None:
    for at in range(0, len(rows), _CHUNK):
        chunk = rows[at : at + _CHUNK]
        upsert(session, Directory.__table__, chunk, ["account_id", "entity", "host_id"])
        _remove_agencies(session, account_id, kind, [row["host_id"] for row in chunk])
    members = [
        {"account_id": account_id, "entity": kind.entity, "host_id": host_id, "agency_id": agency}
        for host_id, of in agencies.items()
        for agency in sorted(of)
    ]
    if members:
        session.execute(insert(DirectoryAgency), members)


def _remove(session: AnySession, account_id: int, kind: Kind, gone: list[str]) -> None:
    for at in range(0, len(gone), _CHUNK):
        chunk = gone[at : at + _CHUNK]
        _remove_agencies(session, account_id, kind, chunk)
        session.execute(
            delete(Directory).where(
                Directory.account_id == account_id,
                Directory.entity == kind.entity,
                Directory.host_id.in_(chunk),
            )
        )


def _remove_agencies(session: AnySession, account_id: int, kind: Kind, host_ids: list[str]) -> None:
    session.execute(
        delete(DirectoryAgency).where(
            DirectoryAgency.account_id == account_id,
            DirectoryAgency.entity == kind.entity,
            DirectoryAgency.host_id.in_(host_ids),
        )
    )
