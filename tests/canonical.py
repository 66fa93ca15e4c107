"""What a deployment holds, told so that two of them compare: no row ids, no times, nothing of runs.

Two that read the same feed and heard the same people tell the same, whatever happened to one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec
from sqlalchemy import Engine, Table, select
from sqlalchemy.engine import Connection as Db

from demo.host.models import Appointment, AppointmentSignature
from ensora_plugin.crypto import Sealer
from ensora_plugin.kinds import KINDS
from ensora_plugin.models import (
    Connection,
    Content,
    Directory,
    DirectoryAgency,
    History,
    Mapping,
    Membership,
    Rejected,
    RenderingRow,
    SetAside,
)
from ensora_plugin.pull.content import content_place

#: Table name -> the lines of its rows, in order.
Told = dict[str, list[str]]

_PASSING = {"id", "run_id", "at", "touched", "seen", "checksum", "updated_at", "rendered_at"}
_PASSING |= {"applied_at", "applied_run_id"}
_PLAIN = [kind.model for kind in KINDS] + [
    *(Membership, Mapping, Rejected, RenderingRow, SetAside, Directory, DirectoryAgency)
]


def canonical(engine: Engine, sealer: Sealer) -> Told:
    """Return everything of every account that has to be equal."""
    with engine.connect() as db:
        accounts = {row.id: row.account for row in db.execute(select(Connection.__table__))}
        told = {model.__tablename__: list(_rows(db, model.__table__, accounts)) for model in _PLAIN}
        told["content"] = list(_contents(db, sealer, accounts))
        told["history"] = list(_people(db, accounts))
        told["appointment"] = list(_rows(db, Appointment.__table__, accounts))
        told["signature"] = list(_rows(db, AppointmentSignature.__table__, accounts))
    return {name: sorted(lines) for name, lines in told.items()}


def sha256(told: Told) -> str:
    """Return one digest of it all."""
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def differences(ours: Told, twins: Told, most: int = 6) -> list[str]:
    """Return in words where two differ."""
    found = []
    for name in twins:
        mine, other = set(ours[name]), set(twins[name])
        found += [f"{name}: only ours {line}" for line in sorted(mine - other)]
        found += [f"{name}: only the twin's {line}" for line in sorted(other - mine)]
        if not mine ^ other and len(ours[name]) != len(twins[name]):
            found.append(f"{name}: {len(ours[name])} rows, the twin has {len(twins[name])}")
    return [line[:400] for line in found[:most]]


def _rows(db: Db, table: Table, accounts: dict[int, str]) -> Iterator[str]:
    columns = [column for column in table.columns if column.name not in _PASSING]
    if table.name == "appointment":
        columns.append(table.c.id)
    for row in db.execute(select(*columns)).mappings():
        said = dict(row)
        if "account_id" in said:
            said["account_id"] = accounts.get(said["account_id"], said["account_id"])
        yield repr(said)


def _contents(db: Db, sealer: Sealer, accounts: dict[int, str]) -> Iterator[str]:
    """Sealed text, opened: each sealing reads differently."""
    for row in db.execute(select(Content.__table__)):
        place = content_place(row.account_id, row.note_id, row.version)
        fields = hashlib.sha256(sealer.open(row.sealed, *place)).hexdigest()
        yield f"{accounts[row.account_id]} {row.note_id} {row.version} {fields}"


def _people(db: Db, accounts: dict[int, str]) -> Iterator[str]:
    """What people did; a run's own rows depend on how many runs it took."""
    rows = db.execute(select(History.__table__).where(History.by.is_not(None)))
    for row in rows.mappings():
        names = ("by", "action", "kind", "vendor_id", "version")
        facts = [_lasting(row[name]) for name in ("before", "after")]
        yield repr([accounts[row["account_id"]], *(row[name] for name in names), *facts])


def _lasting(facts: dict[str, object] | None) -> dict[str, object] | None:
    return facts and {name: value for name, value in facts.items() if name not in _PASSING}
