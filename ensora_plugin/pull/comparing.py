"""A page beside what stands of its records: what is new, what changed, what is older."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import bindparam, exists, outerjoin, select, true

from ..clock import as_utc
from ..database import AnySession
from ..dialect import each_of
from ..kinds import Kind
from ..models import Connection, Note, SetAside
from ..vendor.pages import Page
from ..vendor.records import Broken, Whole


def last_words(page: Page[Any]) -> tuple[dict[str, Whole[Any]], dict[str, Broken]]:
    """Return what a page says of each record, by id: the newest state of those that come twice."""
    whole: dict[str, Whole[Any]] = {}
    broken: dict[str, Broken] = {}
    for item in page.items:
        if isinstance(item, Broken):
            broken[item.vendor_id] = item
            continue
        broken.pop(item.record.id, None)
        before = whole.get(item.record.id)
        if before is None or _stand(item.record) >= _stand(before.record):
            whole[item.record.id] = item
    return whole, broken


def _stand(record: Any) -> tuple[int, Any]:
    """Return what tells an older state of a record from a newer one."""
    return (getattr(record, "version", 0), as_utc(record.modified_at))


@dataclass(frozen=True)
class Changed:
    """A record that changed, and what is stored of it."""

    item: Whole[Any]
    old: Any


@dataclass(frozen=True)
class Stored:
    """What stands before a page is written: its records, by id, the account's generation, and
    whether records of the kind are set aside.
    """

    records: dict[str, Any]
    generation: int
    aside: bool


def stored_of(session: AnySession, account_id: int, kind: Kind, ids: Iterable[str]) -> Stored:
    """Return what stands of the records of some ids."""
    connection = session.connection()
    own = {"account": account_id, "of_kind": kind.name, "ids": list(ids)}
    rows = connection.execute(_standing(kind, connection.dialect.name), own).all()
    records = {row.vendor_id: row for row in rows if row.vendor_id is not None}
    return Stored(records, rows[0].generation, rows[0].aside)


@cache
def _standing(kind: Kind, dialect: str) -> Any:
    """SELECT what stands of some `ids` of an `account`; without any of them it is one row."""
    model: Any = kind.model
    version = model.version if model is Note else model.id * 0
    aside = SetAside.account_id == Connection.id, SetAside.kind == bindparam("of_kind")
    told = select(
        model.vendor_id,
        model.checksum,
        model.modified_at,
        version.label("version"),
        (~kind.settled).label("in_use"),
    )
    own = each_of(told, model.account_id, model.vendor_id, "ids", dialect)
    of_page = own.subquery("of_page")
    return (
        select(Connection.generation, exists().where(*aside).label("aside"), of_page)
        .select_from(outerjoin(Connection, of_page, true()))
        .where(Connection.id == bindparam("account"))
    )


def compare(
    whole: dict[str, Whole[Any]], stored: dict[str, Any]
) -> tuple[list[Whole[Any]], list[Changed]]:
    """Return those of a page's records that are new, and those that changed."""
    new = [item for vendor_id, item in whole.items() if vendor_id not in stored]
    changed = [
        Changed(whole[vendor_id], old)
        for vendor_id, old in stored.items()
        if old.checksum != whole[vendor_id].checksum
        and _stand(whole[vendor_id].record) >= (old.version, old.modified_at)
    ]
    return new, changed


def newest(whole: dict[str, Whole[Any]], stored: dict[str, Any]) -> Iterator[str]:
    """Yield the ids of a page's records that are no older than what is stored of them."""
    for vendor_id, item in whole.items():
        old = stored.get(vendor_id)
        if old is None or _stand(item.record) >= (old.version, old.modified_at):
            yield vendor_id
