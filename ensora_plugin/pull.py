"""Feed page -> records, in one transaction with the cursor that stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Integer, bindparam, delete, exists, select, update

from .clock import as_utc, utcnow
from .crypto import Sealer
from .database import AnySession, insert_rows, upsert
from .kinds import Kind
from .models import Connection, Content, Feed, Membership, Note, RenderingRow, SetAside, Student
from .soap import content_bytes
from .trying import groups_of, notes_of, touch
from .vendor import Broken, Page, Whole


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
    tally = Tally(fetched=len(page.items))
    whole: dict[str, Whole[Any]] = {}
    broken: dict[str, Broken] = {}
    for item in page.items:
        if isinstance(item, Broken):
            broken[item.vendor_id] = item
            tally.set_aside += 1
        else:
            broken.pop(item.record.id, None)
            before = whole.get(item.record.id)
            if before is None or _stand(item.record) >= _stand(before.record):
                whole[item.record.id] = item
    _write_set_aside(session, place, kind, whole, broken)
    written, gone = _write_records(session, place, kind, whole, tally)
    tally.unchanged = tally.fetched - tally.set_aside - tally.new - tally.changed
    if written:
        _write_beside(session, place, kind, written)
    _move_on(session, place, kind, page.cursor, gone)
    return tally


def _move_on(session: AnySession, place: Place, kind: Kind, cursor: str | None, gone: int) -> None:
    """Store where the feed goes on, and add up what left use, less what came back."""
    key = {"account_id": place.account_id, "kind": kind.name}
    upsert(session, Feed.__table__, [key | {"cursor": cursor, "moved_at": utcnow()}], list(key))
    if gone:
        more = {"account": place.account_id, "of_kind": kind.name, "more": gone}
        session.connection().execute(_ADD_GONE, more)


_ADD_GONE = (
    update(Feed.__table__)
    .where(Feed.account_id == bindparam("account"), Feed.kind == bindparam("of_kind"))
    .values(gone=Feed.gone + bindparam("more", type_=Integer))
)


def _stand(record: Any) -> tuple[int, Any]:
    """Return what tells an older state of a record from a newer one."""
    return (getattr(record, "version", 0), as_utc(record.modified_at))


def _write_records(
    session: AnySession, place: Place, kind: Kind, whole: dict[str, Whole[Any]], tally: Tally
) -> tuple[list[Any], int]:
    """Insert and update rows of the record table.

    Return the records that were new or changed, and how many left use, less those that came back.
    """
    own = {"account": place.account_id, "ids": list(whole)}
    found = session.connection().execute(_stored(kind), own)
    stored = {row.vendor_id: row for row in found}
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    written: list[Any] = []
    gone = 0
    for vendor_id, item in whole.items():
        old = stored.get(vendor_id)
        if old and (
            old.checksum == item.checksum or _stand(item.record) < (old.version, old.modified_at)
        ):
            continue
        columns = kind.row(item.record)
        columns["account_id"] = place.account_id
        columns["vendor_id"] = vendor_id
        columns["modified_at"] = as_utc(item.record.modified_at)
        columns["checksum"] = item.checksum
        if old:
            gone += old.in_use - kind.in_use(columns)
        (changed if old else new).append(columns)
        written.append(item.record)
    tally.new, tally.changed = len(new), len(changed)
    if kind.model is Note and written:
        generation = _generation(session, place.account_id)
        for columns in (*new, *changed):
            columns["touched"] = generation
    if changed:
        _touch_beside(session, place.account_id, kind, [row["vendor_id"] for row in changed])
    insert_rows(session, kind.model.__table__, new)
    upsert(session, kind.model.__table__, changed, ["account_id", "vendor_id"])
    return written, gone


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


def _generation(session: AnySession, account_id: int) -> int:
    found = session.connection().execute(_GENERATION, {"account": account_id})
    return int(found.scalar_one())


_GENERATION = select(Connection.generation).where(Connection.id == bindparam("account"))


def _touch_beside(session: AnySession, account_id: int, kind: Kind, vendor_ids: list[str]) -> None:
    """Let notes be tried again that a changed record may let map: those beside a note that moves,
    and those of a student, whose zone may be another one now.
    """
    if kind.model is Note:
        touch(session, account_id, groups_of(account_id, vendor_ids))
    elif kind.model is Student:
        touch(session, account_id, notes_of(kind, vendor_ids))


def _write_beside(session: AnySession, place: Place, kind: Kind, records: list[Any]) -> None:
    """Write what stands beside new and changed records: sites, sealed content."""
    if kind.sites is not None:
        _write_sites(session, place, kind, records, kind.sites)
    if kind.model is Note:
        _write_content(session, place, records)


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


def _write_content(session: AnySession, place: Place, records: list[Any]) -> None:
    """Seal the fields of notes; a version that was applied stays as it was applied."""
    own = {"account": place.account_id, "ids": [record.id for record in records]}
    session.connection().execute(_NOT_APPLIED, own)
    rows = []
    for record in records:
        bound = content_place(place.account_id, record.id, record.version)
        sealed = place.sealer.seal(content_bytes(record.fields), *bound)
        key = {"account_id": place.account_id, "note_id": record.id, "version": record.version}
        rows.append(key | {"sealed": sealed})
    insert_rows(session, Content.__table__, rows, doubles=True)


#: DELETE what is sealed of some notes, the versions that were applied apart.
_NOT_APPLIED = delete(Content.__table__).where(
    Content.account_id == bindparam("account"),
    Content.note_id.in_(bindparam("ids", expanding=True)),
    ~exists().where(
        RenderingRow.account_id == Content.account_id,
        RenderingRow.note_id == Content.note_id,
        RenderingRow.version == Content.version,
        RenderingRow.applied_at.is_not(None),
    ),
)


def content_place(account_id: int, note_id: str, version: int) -> tuple[object, ...]:
    """Return what the sealed content of a version of a note is bound to."""
    return (account_id, "content", note_id, version, "sealed")


def _write_set_aside(
    session: AnySession,
    place: Place,
    kind: Kind,
    whole: Collection[str],
    broken: dict[str, Broken],
) -> None:
    """Set broken records aside; one that comes whole again ends that."""
    own = {"account": place.account_id, "of_kind": kind.name}
    if session.connection().execute(_ANY_ASIDE, own).first():
        session.connection().execute(_WHOLE_AGAIN, own | {"ids": list(whole)})
    key = {"account_id": place.account_id, "kind": kind.name}
    by = {"run_id": place.run_id, "at": utcnow()}
    rows = [
        key | {"vendor_id": item.vendor_id, "reason": item.reason} | by for item in broken.values()
    ]
    upsert(session, SetAside.__table__, rows, [*key, "vendor_id"])


_OF_KIND = (
    SetAside.account_id == bindparam("account"),
    SetAside.kind == bindparam("of_kind"),
)
_ANY_ASIDE = select(SetAside.vendor_id).where(*_OF_KIND).limit(1)
_WHOLE_AGAIN = delete(SetAside.__table__).where(
    *_OF_KIND, SetAside.vendor_id.in_(bindparam("ids", expanding=True))
)
