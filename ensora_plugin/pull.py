"""Feed page -> records, in one transaction with the cursor that stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, select

from .bulk import insert_rows
from .clock import as_utc, utcnow
from .content import forget_content, write_content
from .crypto import Sealer
from .database import AnySession, upsert
from .kinds import Kind
from .models import Connection, Feed, Membership, Note, Student
from .pages import Page, place_name
from .records import Broken, Whole
from .set_aside import write_set_aside
from .trying import groups_of, notes_of, touch


@dataclass
class Tally:
    """What a page did: fetched = new + changed + unchanged + set_aside."""

    fetched: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    set_aside: int = 0


@dataclass(frozen=True)
class Place:
    """Where a page is written: the account, the run that writes it, and the keys."""

    account_id: int
    run_id: int
    sealer: Sealer


def stored_cursor(session: AnySession, account_id: int, kind: Kind) -> str | None:
    """Return where the next read of the kind's feed goes on, None for its beginning."""
    return session.scalar(
        select(Feed.cursor).where(Feed.account_id == account_id, Feed.kind == kind.name)
    )


def write_page(session: AnySession, place: Place, kind: Kind, page: Page[Any]) -> Tally:
    """Store a page's records and its cursor; flushes, never commits.

    Only what is new or changed is written. A record that goes back in version is left as it stands.
    """
    whole, broken = _last_words(page)
    read = [*whole, place_name(page.asked)]
    write_set_aside(session, place.account_id, place.run_id, kind, read, broken)
    new, changed = _compare(session, place, kind, whole)
    gone = 0
    if new or changed:
        gone = _write_records(session, place, kind, new, changed)
        _write_beside(session, place, kind, new, changed)
    row = {"account_id": place.account_id, "kind": kind.name, "cursor": page.cursor}
    # What left use since automap last went on, less what came back, adds up page by page.
    row |= {"moved_at": utcnow(), "gone": gone}
    upsert(session, Feed.__table__, [row], ["account_id", "kind"], adding=("gone",))
    tally = Tally(fetched=len(page.items), new=len(new), changed=len(changed))
    tally.set_aside = sum(isinstance(item, Broken) for item in page.items)
    tally.unchanged = tally.fetched - tally.set_aside - tally.new - tally.changed
    return tally


def _last_words(page: Page[Any]) -> tuple[dict[str, Whole[Any]], dict[str, Broken]]:
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
class _Changed:
    """A record that changed, and what is stored of it."""

    item: Whole[Any]
    old: Any

    @property
    def record(self) -> Any:
        return self.item.record


def _compare(
    session: AnySession, place: Place, kind: Kind, whole: dict[str, Whole[Any]]
) -> tuple[list[Whole[Any]], list[_Changed]]:
    """Return those of a page's records that are new, and those that changed."""
    own = {"account": place.account_id, "ids": list(whole)}
    stored = {row.vendor_id: row for row in session.connection().execute(_stored(kind), own)}
    new = [item for vendor_id, item in whole.items() if vendor_id not in stored]
    changed = [
        _Changed(whole[vendor_id], old)
        for vendor_id, old in stored.items()
        if old.checksum != whole[vendor_id].checksum
        and _stand(whole[vendor_id].record) >= (old.version, old.modified_at)
    ]
    return new, changed


@cache
def _stored(kind: Kind) -> Any:
    """SELECT what is compared of the stored records of some `ids` of an `account`."""
    model: Any = kind.model
    version = model.version if model is Note else model.id * 0
    return select(
        model.vendor_id,
        model.checksum,
        model.modified_at,
        version.label("version"),
        (~kind.settled).label("in_use"),
    ).where(
        model.account_id == bindparam("account"),
        model.vendor_id.in_(bindparam("ids", expanding=True)),
    )


def _write_records(
    session: AnySession,
    place: Place,
    kind: Kind,
    new: Sequence[Whole[Any]],
    changed: Sequence[_Changed],
) -> int:
    """Insert and update rows of the record table.

    Return how many records left use, less those that came back.
    """
    more = {"account_id": place.account_id}
    if kind.model is Note:
        more["touched"] = _generation(session, place.account_id)
    if changed:
        _touch_beside(session, place.account_id, kind, [one.record.id for one in changed])
    table = kind.model.__table__
    insert_rows(session, table, [_row(kind, item, more) for item in new])
    rows = [_row(kind, one.item, more) for one in changed]
    upsert(session, table, rows, ["account_id", "vendor_id"])
    return sum(one.old.in_use - kind.in_use(row) for one, row in zip(changed, rows, strict=True))


def _row(kind: Kind, item: Whole[Any], more: dict[str, int]) -> dict[str, Any]:
    return {
        **more,
        "vendor_id": item.record.id,
        "modified_at": as_utc(item.record.modified_at),
        "checksum": item.checksum,
        **kind.row(item.record),
    }


def _generation(session: AnySession, account_id: int) -> int:
    found = session.connection().execute(_GENERATION, {"account": account_id})
    return int(found.scalar_one())


_GENERATION = select(Connection.generation).where(Connection.id == bindparam("account"))


def _touch_beside(session: AnySession, account_id: int, kind: Kind, vendor_ids: list[str]) -> None:
    """Let notes be tried again that a changed record may let map.

    Those are the ones beside a note that moves, and those of a student, whose zone may be another.
    """
    if kind.model is Note:
        touch(session, account_id, groups_of(account_id, vendor_ids))
    elif kind.model is Student:
        touch(session, account_id, notes_of(kind, vendor_ids))


def _write_beside(
    session: AnySession,
    place: Place,
    kind: Kind,
    new: Sequence[Whole[Any]],
    changed: Sequence[_Changed],
) -> None:
    """Write what stands beside new and changed records: sites, sealed content."""
    records = [item.record for item in new] + [one.record for one in changed]
    if kind.sites is not None:
        _write_sites(session, place, kind, records, kind.sites)
    if kind.model is Note:
        if changed:
            rewritten = [one.record for one in changed]
            forget_content(session, place.account_id, place.sealer, rewritten)
        write_content(session, place.account_id, place.sealer, records)


def _write_sites(
    session: AnySession,
    place: Place,
    kind: Kind,
    records: list[Any],
    sites: Callable[[Any], list[str]],
) -> None:
    key = {"account_id": place.account_id, "kind": kind.name}
    session.execute(
        delete(Membership).where(
            Membership.account_id == place.account_id,
            Membership.kind == kind.name,
            Membership.vendor_id.in_([record.id for record in records]),
        )
    )
    rows = [
        key | {"vendor_id": record.id, "site_id": site}
        for record in records
        for site in sites(record)
    ]
    insert_rows(session, Membership.__table__, rows)
