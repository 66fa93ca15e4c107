"""Feed page -> records, in one transaction with the cursor that stands behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, insert, select, update

from .clock import as_utc, utcnow
from .crypto import Sealer
from .database import AnySession, insert_for, upsert
from .errors import CursorGone, VendorBroke
from .kinds import Kind
from .models import Connection, Content, Feed, Membership, Note, RenderingRow, SetAside, Student
from .soap import content_bytes
from .trying import groups_of, notes_of, touch
from .vendor import Broken, DataCollection, Page, Whole

#: A page that promises more and comes so often, empty or with the same records under whatever
#: cursors, is a feed that never ends.
_SAME_PAGES = 3


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


def read_feed(
    vendor: DataCollection, kind: Kind, cursor: str | None, size: int
) -> Iterator[tuple[Page[Any], bool]]:
    """Yield the pages of a feed from `cursor` to its end, with whether the feed had to start over.

    Raises `VendorBroke` where the feed would never end; a cursor that is gone starts the feed over,
    once.
    """
    seen: set[str] = set()
    times: Counter[int] = Counter()
    over = False
    while True:
        try:
            page = vendor.page(kind.name, cursor, size)
        except CursorGone:
            if over or cursor is None:
                raise
            over, cursor = True, None
            seen.clear()
            times.clear()
            continue
        yield page, over
        if not page.has_more:
            return
        content = hash(tuple(_checksum(item) for item in page.items))
        times[content] += 1
        if page.cursor in seen or page.cursor == cursor or times[content] >= _SAME_PAGES:
            raise VendorBroke(
                f"The feed of {kind.plural.lower()} at Ensora Data Collection does not come to an "
                "end. What came before is stored; the next pull goes on there."
            )
        seen.add(page.cursor)
        cursor = page.cursor


def _checksum(item: Whole[Any] | Broken) -> bytes | str:
    return item.vendor_id if isinstance(item, Broken) else item.checksum


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
    written = _write_records(session, place, kind, whole, tally)
    tally.unchanged = tally.fetched - tally.set_aside - tally.new - tally.changed
    if written:
        _write_beside(session, place, kind, written)
    row = {"cursor": page.cursor, "moved_at": utcnow()}
    key = {"account_id": place.account_id, "kind": kind.name}
    upsert(session, Feed.__table__, [key | row], list(key))
    return tally


def _stand(record: Any) -> tuple[int, Any]:
    """Return what tells an older state of a record from a newer one."""
    return (getattr(record, "version", 0), as_utc(record.modified_at))


def _write_records(
    session: AnySession, place: Place, kind: Kind, whole: dict[str, Whole[Any]], tally: Tally
) -> list[Any]:
    """Insert and update rows of the record table; return the records that were new or changed."""
    model = kind.model
    version = model.version if model is Note else model.id * 0
    stored = {
        row.vendor_id: row
        for row in session.execute(
            select(
                model.vendor_id, model.checksum, model.modified_at, version.label("version")
            ).where(model.account_id == place.account_id, model.vendor_id.in_(whole))
        )
    }
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    written: list[Any] = []
    for vendor_id, item in whole.items():
        old = stored.get(vendor_id)
        if old and (
            old.checksum == item.checksum or _stand(item.record) < (old.version, old.modified_at)
        ):
            continue
        columns = kind.row(item.record) | {
            "account_id": place.account_id,
            "vendor_id": vendor_id,
            "modified_at": as_utc(item.record.modified_at),
            "checksum": item.checksum,
        }
        (changed if old else new).append(columns)
        written.append(item.record)
    tally.new, tally.changed = len(new), len(changed)
    if kind.model is Note:
        generation = _generation(session, place.account_id)
        for columns in (*new, *changed):
            columns["touched"] = generation
    if changed:
        _touch_beside(session, place.account_id, kind, [row["vendor_id"] for row in changed])
    if new:
        session.execute(insert(model), new)
    for columns in changed:
        session.execute(
            update(model)
            .where(model.account_id == place.account_id, model.vendor_id == columns["vendor_id"])
            .values(columns)
        )
    return written


def _generation(session: AnySession, account_id: int) -> int:
    return session.scalars(select(Connection.generation).where(Connection.id == account_id)).one()


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
    if rows:
        session.execute(insert(Membership), rows)


def _write_content(session: AnySession, place: Place, records: list[Any]) -> None:
    """Seal the fields of notes; a version that was applied stays as it was applied."""
    applied = exists().where(
        RenderingRow.account_id == Content.account_id,
        RenderingRow.note_id == Content.note_id,
        RenderingRow.version == Content.version,
        RenderingRow.applied,
    )
    session.execute(
        delete(Content).where(
            Content.account_id == place.account_id,
            Content.note_id.in_([record.id for record in records]),
            ~applied,
        )
    )
    rows = []
    for record in records:
        bound = content_place(place.account_id, record.id, record.version)
        sealed = place.sealer.seal(content_bytes(record.fields), *bound)
        key = {"account_id": place.account_id, "note_id": record.id, "version": record.version}
        rows.append(key | {"sealed": sealed})
    session.execute(insert_for(session, Content.__table__).on_conflict_do_nothing(), rows)


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
    own = (SetAside.account_id == place.account_id, SetAside.kind == kind.name)
    session.execute(delete(SetAside).where(*own, SetAside.vendor_id.in_(whole)))
    key = {"account_id": place.account_id, "kind": kind.name}
    by = {"run_id": place.run_id, "at": utcnow()}
    rows = [
        key | {"vendor_id": item.vendor_id, "reason": item.reason} | by for item in broken.values()
    ]
    upsert(session, SetAside.__table__, rows, [*key, "vendor_id"])
