"""What a change of a record's mapping starts from, read in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.orm import aliased

from ..access import Scope
from ..dialect import as_host_id
from ..history import know_end, last_hash
from ..host.entities import host_entity, of_agencies
from ..host.ids import native_ids
from ..host.port import ALL, Actor
from ..joins import mapping_of
from ..kept import kept
from ..kinds import Kind
from ..models import Connection, History, Mapping, Record, Rejected
from ..rendering.withdrawing import Desk


@dataclass(frozen=True)
class Case:
    """A record that somebody is about to change the mapping of, beside the entity they want."""

    record: Any
    mapping: Mapping | None
    #: What the mapping was when it was read: its state, None for none, and its version, 0 for none.
    state: str | None
    version: int
    #: Whether the mapping's entity is of the person's agencies, or gone: then it is nobody else's.
    within: bool
    #: The highest version that the history tells of.
    told: int
    #: Whether the host has the entity, in the person's agencies.
    offered: bool
    #: The record that the entity stands for already, where it is another one.
    rival: str | None
    #: Whether a person undid this pair before.
    rejected: bool
    #: The account's generation of notes to try.
    generation: int

    @property
    def next_version(self) -> int:
        """The version after the change; it goes on growing when a mapping is made anew."""
        return max(self.told, self.version) + 1


def case_of(desk: Desk, kind: Kind, record: Record, host_id: str | None = None) -> Case:
    """Return how a record stands, whoever may see it."""
    nobody = Actor(id="", name=desk.by, agencies=ALL, permissions=frozenset())
    scope = Scope(desk.account_id, desk.account, nobody, None)
    found = find_case(desk, scope, kind, record.id, host_id)
    if found is None:
        raise LookupError(f"no {kind.name} {record.id} in the account")
    return found


def find_case(
    desk: Desk, scope: Scope, kind: Kind, record_id: int, host_id: str | None = None
) -> Case | None:
    """Return how a record stands, None where there is none that the person may see.

    The caller holds the account's row (`lock_account`), so that it goes on standing so.
    """
    entity = host_entity(desk.host, desk.account, kind)
    wanted = next(iter(native_ids(entity.c.id, [host_id or ""])), None)
    # What is no id of the host is nobody's either.
    values = {"record_id": record_id, "wanted": wanted, "host_id": host_id if wanted else None}
    statement = kept(scope, desk.host, (kind.name, "case"), lambda: _select(desk, scope, kind))
    row = desk.session.execute(statement, values, execution_options=_ANEW).first()
    if row is None:
        return None
    *told, end = row
    know_end(desk.session, desk.account_id, end)
    case = Case(*told)
    if case.mapping is not None:
        # A rendering under way holds the mapping of its note: what it wrote there is read anew.
        own = select(Mapping).where(Mapping.id == case.mapping.id).with_for_update()
        desk.session.execute(own, execution_options=_ANEW).one()
    return case


#: What the session knows of these rows may be older than the lock.
_ANEW = {"populate_existing": True}


def _select(desk: Desk, scope: Scope, kind: Kind) -> Any:
    record: Any = kind.model
    entity = host_entity(desk.host, desk.account, kind)
    yours = of_agencies(scope, desk.host, kind, entity)
    mapped = entity.c.id == as_host_id(Mapping.host_id, entity.c.id)
    wanted = bindparam("wanted", type_=entity.c.id.type)
    rival = aliased(Mapping, name="rival")
    same_rival = (rival.account_id == record.account_id, rival.kind == kind.name)
    return (
        select(
            record,
            Mapping,
            Mapping.state.label("state"),
            func.coalesce(Mapping.version, 0).label("version"),
            or_(exists().where(mapped, yours), ~exists().where(mapped)).label("within"),
            select(func.coalesce(func.max(History.version), 0))
            .where(
                History.account_id == record.account_id,
                History.kind == kind.name,
                History.vendor_id == record.vendor_id,
            )
            .scalar_subquery()
            .label("told"),
            exists().where(entity.c.id == wanted, yours).label("offered"),
            select(rival.vendor_id)
            .where(
                *same_rival,
                rival.host_id == bindparam("host_id"),
                rival.vendor_id != record.vendor_id,
            )
            .scalar_subquery()
            .label("rival"),
            exists()
            .where(
                Rejected.account_id == record.account_id,
                Rejected.kind == kind.name,
                Rejected.vendor_id == record.vendor_id,
                Rejected.host_id == bindparam("host_id"),
            )
            .label("rejected"),
            Connection.generation.label("generation"),
            last_hash(record.account_id).label("end"),
        )
        .join(Connection, Connection.id == record.account_id)
        .outerjoin(Mapping, mapping_of(kind))
        .where(
            record.id == bindparam("record_id"),
            record.account_id == scope.account_id,
            scope.sees(kind),
        )
    )
