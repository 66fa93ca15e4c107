"""Feed page -> records, in one transaction with the cursor that stands behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import bindparam, delete, exists, select

from .bulk import insert_rows
from .clock import as_utc, utcnow
from .content import forget_content, write_content
from .database import AnySession, keep_plans, one_of, upsert
from .drafts import Draft, Drafts, Place
from .kinds import Kind
from .models import Connection, Feed, Membership, Note, SetAside, Student
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


def stored_cursor(session: AnySession, account_id: int, kind: Kind) -> str | None:
    """Return where the next read of the kind's feed goes on, None for its beginning."""
    return session.scalar(
        select(Feed.cursor).where(Feed.account_id == account_id, Feed.kind == kind.name)
    )


def write_page(
    session: AnySession,
    drafts: Drafts,
    page: Page[Any],
    ready: Mapping[bytes, Draft] = MappingProxyType({}),
) -> Tally:
    """Store a page's records and its cursor; flushes, never commits.

    Only what is new or changed is written, from the drafts that are `ready` where they are. A
    record that goes back in version is left as it stands.
    """
    place, kind = drafts.place, drafts.kind
    whole, broken = _last_words(page)
    new, changed = _compare(session, place, kind, whole)
    own = {"account": place.account_id, "of_kind": kind.name}
    standing = session.connection().execute(_STANDING, own).one()
    if standing.aside or broken:
        read = [*whole, place_name(page.asked)]
        write_set_aside(session, place.account_id, place.run_id, kind, read, broken)
    _make_room(session, place, kind, new, changed)
    # From here on PostgreSQL only inserts and looks up foreign keys.
    keep_plans(session)
    more = {"touched": standing.generation} if kind.model is Note else {}
    added = _written(drafts, ready, more, new)
    replaced = _written(drafts, ready, more, [one.item for one in changed])
    _write_records(session, kind, added, replaced)
    # What left use since automap last went on, less what came back, adds up page by page.
    pairs = zip(changed, replaced, strict=True)
    gone = sum(one.old.in_use - kind.in_use(draft.row) for one, draft in pairs)
    row = {"account_id": place.account_id, "kind": kind.name, "cursor": page.cursor}
    row |= {"moved_at": utcnow(), "gone": gone}
    upsert(session, Feed.__table__, [row], ["account_id", "kind"], adding=("gone",))
    return _tally(page, new, changed)


#: The account's generation, and whether records of a kind are set aside.
_STANDING = select(
    Connection.generation,
    exists()
    .where(SetAside.account_id == Connection.id, SetAside.kind == bindparam("of_kind"))
    .label("aside"),
).where(Connection.id == bindparam("account"))


def _tally(page: Page[Any], new: Sequence[Any], changed: Sequence[Any]) -> Tally:
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


def _compare(
    session: AnySession, place: Place, kind: Kind, whole: dict[str, Whole[Any]]
) -> tuple[list[Whole[Any]], list[_Changed]]:
    """Return those of a page's records that are new, and those that changed."""
    connection = session.connection()
    own = {"account": place.account_id, "ids": list(whole)}
    found = connection.execute(_stored(kind, connection.dialect.name), own)
    stored = {row.vendor_id: row for row in found}
    new = [item for vendor_id, item in whole.items() if vendor_id not in stored]
    changed = [
        _Changed(whole[vendor_id], old)
        for vendor_id, old in stored.items()
        if old.checksum != whole[vendor_id].checksum
        and _stand(whole[vendor_id].record) >= (old.version, old.modified_at)
    ]
    return new, changed


@cache
def _stored(kind: Kind, dialect: str) -> Any:
    """SELECT what is compared of the stored records of some `ids` of an `account`."""
    model: Any = kind.model
    version = model.version if model is Note else model.id * 0
    return select(
        model.vendor_id,
        model.checksum,
        model.modified_at,
        version.label("version"),
        (~kind.settled).label("in_use"),
    ).where(model.account_id == bindparam("account"), one_of(model.vendor_id, "ids", dialect))


def _make_room(
    session: AnySession,
    place: Place,
    kind: Kind,
    new: Sequence[Whole[Any]],
    changed: Sequence[_Changed],
) -> None:
    """Take away what stood beside changed records, and let the notes beside them be tried again."""
    records = [one.item.record for one in changed]
    if records:
        _touch_beside(session, place.account_id, kind, [record.id for record in records])
    if records and kind.model is Note:
        forget_content(session, place.account_id, place.sealer, records)
    if kind.sites is not None:
        members = [record.id for record in records] + [item.record.id for item in new]
        _leave_sites(session, place.account_id, kind, members)


def _touch_beside(session: AnySession, account_id: int, kind: Kind, vendor_ids: list[str]) -> None:
    """Let notes be tried again that a changed record may let map.

    Those are the ones beside a note that moves, and those of a student, whose zone may be another.
    """
    if kind.model is Note:
        touch(session, account_id, groups_of(account_id, vendor_ids))
    elif kind.model is Student:
        touch(session, account_id, notes_of(kind, vendor_ids))


def _leave_sites(session: AnySession, account_id: int, kind: Kind, vendor_ids: list[str]) -> None:
    if vendor_ids:
        session.execute(
            delete(Membership).where(
                Membership.account_id == account_id,
                Membership.kind == kind.name,
                Membership.vendor_id.in_(vendor_ids),
            )
        )


def _written(
    drafts: Drafts,
    ready: Mapping[bytes, Draft],
    more: dict[str, int],
    items: Sequence[Whole[Any]],
) -> list[Draft]:
    """Return what is written of records, with what only the transaction knows."""
    found = [ready.get(item.checksum) or drafts.of(item) for item in items]
    for draft in found:
        draft.row.update(more)
    return found


def _write_records(
    session: AnySession, kind: Kind, added: Sequence[Draft], replaced: Sequence[Draft]
) -> None:
    """Insert and update rows of the record table, and write what stands beside them."""
    table = kind.model.__table__
    insert_rows(session, table, [draft.row for draft in added])
    upsert(session, table, [draft.row for draft in replaced], ["account_id", "vendor_id"])
    drafts = [*added, *replaced]
    if kind.sites is not None:
        members = [member for draft in drafts for member in draft.members]
        insert_rows(session, Membership.__table__, members)
    if kind.model is Note:
        write_content(session, [draft.content for draft in drafts])
