"""Feed page -> records, in one transaction with the cursor that stands behind it."""

from __future__ import annotations

from collections import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import and_, delete, exists, select, update

from ..automap.trying import groups_of, notes_of, touch
from ..bulk import Writes
from ..clock import utcnow
from ..database import AnySession
from ..kinds import NOTE, Kind
from ..models import (
    Content,
    Feed,
    Mapping,
    Membership,
    Note,
    SetAside,
    Student,
    TemplateField,
)
from ..vendor.pages import Page, place_name
from ..vendor.records import Broken, Whole
from .comparing import Changed, compare, last_words, newest, stored_of
from .content import forget_content
from .drafts import Draft, Drafts, Place
from .set_aside import write_set_aside
from .templates_seen import template_fields

#: The cursor of a feed that brings nothing is written down so often.
_KEPT = timedelta(days=1)


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


def brings_nothing(session: AnySession, account_id: int, kind: Kind, page: Page[Any]) -> bool:
    """Tell whether there is nothing to write of a page: a last one without a record.

    Its cursor stands where the one before it does. It is kept once a day all the same, since a
    cursor does not stay good for ever; and what was set aside at this very place is gone by now.
    """
    if page.items or page.has_more or page.stuck or page.asked is None:
        return False
    aside = exists().where(
        SetAside.account_id == account_id,
        SetAside.kind == kind.name,
        SetAside.vendor_id == place_name(page.asked),
    )
    kept = exists().where(
        Feed.account_id == account_id,
        Feed.kind == kind.name,
        Feed.cursor == page.asked,
        Feed.moved_at > utcnow() - _KEPT,
    )
    return bool(session.scalar(select(and_(kept, ~aside))))


def write_page(
    writes: Writes,
    drafts: Drafts,
    page: Page[Any],
    ready: abc.Mapping[bytes, Draft] = MappingProxyType({}),
) -> Tally:
    """Put a page's records and its cursor into the last writes of a transaction.

    Only what is new or changed is written, from the drafts that are `ready` where they are. A
    record that goes back in version is left as it stands.
    """
    session, place, kind = writes.session, drafts.place, drafts.kind
    whole, broken = last_words(page)
    stored = stored_of(session, place.account_id, kind, whole)
    new, changed = compare(whole, stored.records)
    if stored.aside or broken:
        read = [*newest(whole, stored.records), *_places(page)]
        write_set_aside(session, place.account_id, place.run_id, kind, read, broken)
    _make_room(session, place, kind, new, changed)
    more = {"touched": stored.generation} if kind.model is Note else {}
    added = _written(drafts, ready, more, new)
    replaced = _written(drafts, ready, more, [one.item for one in changed])
    _write_records(writes, kind, added, replaced)
    if kind.model is Note:
        _write_templates(writes, drafts, [*new, *(one.item for one in changed)])
    # What left use since automap last went on, less what came back, adds up page by page.
    pairs = zip(changed, replaced, strict=True)
    gone = sum(one.old.in_use - kind.in_use(draft.row) for one, draft in pairs)
    row = {"account_id": place.account_id, "kind": kind.name, "cursor": page.cursor}
    row |= {"moved_at": utcnow(), "gone": gone}
    writes.put(Feed.__table__, [row], key=("account_id", "kind"), adding=("gone",))
    return _tally(page, new, changed)


def _places(page: Page[Any]) -> Iterator[str]:
    """Yield the names of a page's places; of one without records, of the first place."""
    return (place_name(page.asked, position) for position in range(max(1, len(page.items))))


def _tally(page: Page[Any], new: Sequence[Any], changed: Sequence[Any]) -> Tally:
    tally = Tally(fetched=len(page.items), new=len(new), changed=len(changed))
    tally.set_aside = sum(isinstance(item, Broken) for item in page.items)
    tally.unchanged = tally.fetched - tally.set_aside - tally.new - tally.changed
    return tally


def _make_room(
    session: AnySession,
    place: Place,
    kind: Kind,
    new: Sequence[Whole[Any]],
    changed: Sequence[Changed],
) -> None:
    """Take away what stood beside changed records, and let the notes beside them be tried again."""
    records = [one.item.record for one in changed]
    added = [item.record.id for item in new]
    _touch_beside(session, place.account_id, kind, [record.id for record in records], added)
    if records and kind.model is Note:
        _render_again(session, place.account_id, [record.id for record in records])
        forget_content(session, place.account_id, place.sealer, records)
    if kind.sites is not None:
        members = [record.id for record in records] + added
        _leave_sites(session, place.account_id, kind, members)


def _touch_beside(
    session: AnySession, account_id: int, kind: Kind, changed: list[str], added: list[str]
) -> None:
    """Let notes be tried again that a changed or added record may let map.

    Those are the ones beside a note that moves, and those of a student, whose zone may be another
    or was not known.
    """
    if kind.model is Note and changed:
        touch(session, account_id, groups_of(account_id, changed))
    elif kind.model is Student and (changed or added):
        touch(session, account_id, notes_of(kind, changed + added))


def _render_again(session: AnySession, account_id: int, note_ids: list[str]) -> None:
    """Let the next rendering look at notes of which another version came.

    Also where that is so already: a rendering of the version before, under way, has to wait or be
    waited for.
    """
    session.execute(
        update(Mapping)
        .where(
            Mapping.account_id == account_id,
            Mapping.kind == NOTE.name,
            Mapping.vendor_id.in_(note_ids),
        )
        .values(unrendered=True)
        .execution_options(synchronize_session=False)
    )


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
    ready: abc.Mapping[bytes, Draft],
    more: dict[str, int],
    items: Sequence[Whole[Any]],
) -> list[Draft]:
    """Return what is written of records, with what only the transaction knows."""
    found = [ready.get(item.checksum) or drafts.of(item) for item in items]
    for draft in found:
        draft.row.update(more)
    return found


def _write_records(
    writes: Writes, kind: Kind, added: Sequence[Draft], replaced: Sequence[Draft]
) -> None:
    """Insert and update rows of the record table, and write what stands beside them."""
    table, key = kind.model.__table__, ("account_id", "vendor_id")
    writes.put(table, [draft.row for draft in added])
    writes.put(table, [draft.row for draft in replaced], key=key)
    drafts = [*added, *replaced]
    if kind.sites is not None:
        members = [member for draft in drafts for member in draft.members]
        writes.put(Membership.__table__, members)
    if kind.model is Note:
        # A version that was applied stays as it was applied.
        writes.put(Content.__table__, [draft.content for draft in drafts], doubles=True)


def _write_templates(writes: Writes, drafts: Drafts, items: Sequence[Whole[Any]]) -> None:
    """Note down the fields of the notes' templates that this run has not seen before."""
    told = template_fields(drafts.place.account_id, (item.record for item in items))
    fresh = [row for row in told if (row["template"], row["meaning"]) not in drafts.templates]
    writes.put(TemplateField.__table__, fresh, doubles=True)
    drafts.templates |= {(row["template"], row["meaning"]) for row in fresh}
