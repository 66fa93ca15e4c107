"""A feed's pages in order, read ahead and made ready while the pages before are written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any, TypeVar

from ..errors import AnswerTooLarge, AnswerUnreadable, CursorGone, VendorBroke
from ..kinds import Kind
from ..vendor.client import DataCollection
from ..vendor.pages import Page, unreadable_after
from ..vendor.records import Broken, Whole

#: So many records are asked for where a page of more cannot be read.
_NARROWER = (20, 5, 1)
#: A page that promises more and comes so often in succession, empty or with the same records under
#: whatever cursors, is a feed that never ends.
_SAME_PAGES = 3
#: So are so many pages in succession without any record but those that came last, of which so many
#: are known: records that change while they are read come again in a feed that does end.
_KNOWN_PAGES = 200
_KNOWN_RECORDS = 10_000
#: Who leaves early, be it because the process has to end, waits so many seconds for the answer that
#: is under way; closing the connection ends it then.
_PATIENCE = 0.5

S = TypeVar("S")


def read_feed(
    vendor: DataCollection,
    kind: Kind,
    cursor: str | None,
    size: int,
    ready: Callable[[Page[Any]], S],
) -> Generator[tuple[Page[Any], S], None, None]:
    """Yield the pages of a feed from `cursor` on, each with what `ready` makes of it.

    While one is in use, a thread asks for the next two and makes them ready. Raises `VendorBroke`,
    after the last page of use, where the feed would never end and where a record can neither be
    read nor passed; a cursor that is gone starts the feed over, once.
    """
    ahead: Queue[tuple[Page[Any], S] | BaseException | None] = Queue(maxsize=1)
    left = Event()

    def work() -> None:
        try:
            for page in _pages(_Asker(vendor, kind.name, size), kind, cursor):
                ahead.put((page, ready(page)))
                if left.is_set():
                    return
            ahead.put(None)
        except BaseException as error:
            # Whatever it is, it is raised where the page is wanted.
            ahead.put(error)

    # Nobody has to wait for the thread when the process ends.
    reader = Thread(target=work, name="reader", daemon=True)
    reader.start()
    try:
        while (found := ahead.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        left.set()
        with suppress(Empty):
            # There is room again for what the thread may be about to hand over.
            ahead.get_nowait()
        reader.join(_PATIENCE)


def _pages(ask: _Asker, kind: Kind, cursor: str | None) -> Iterator[Page[Any]]:
    """Yield the pages of a feed one after the other; what it raises says `read_feed`."""
    over, path = False, _Path(cursor)
    while True:
        try:
            page = ask(cursor)
        except CursorGone:
            if over or cursor is None:
                raise
            over, cursor, path = True, None, _Path(None)
            continue
        yield page
        if page.stuck:
            raise VendorBroke(_STUCK.format(kind.plural.lower(), ask.stuck))
        if not page.has_more:
            return
        if path.repeats(page):
            raise VendorBroke(_ENDLESS.format(kind.plural.lower()))
        cursor = page.cursor


_ENDLESS = (
    "The feed of {} at Ensora Data Collection does not come to an end. "
    "What came before is stored; the next pull goes on there."
)
_STUCK = (
    "A record in the feed of {} at Ensora Data Collection can be neither read nor passed: it {}. "
    "What came before is stored; Ensora's support team has to mend the record before more can come."
)


class _Asker:
    """Asks for pages: whole ones, and narrower ones until what stands in the way is one record."""

    def __init__(self, vendor: DataCollection, kind: str, size: int) -> None:
        self._vendor, self._kind, self._size = vendor, kind, size
        #: What is asked for now, and how many records of a page that could not be read are left.
        self._now, self._left = size, 0
        #: The last record that was read, and in words where the one stands that cannot be.
        self._last = self.stuck = ""

    def __call__(self, cursor: str | None) -> Page[Any]:
        """Return the page after a cursor; one that is `stuck` where its record hides the next."""
        while True:
            try:
                page = self._vendor.page(self._kind, cursor, self._now)
            except (AnswerUnreadable, AnswerTooLarge) as error:
                if self._now > 1:
                    self._left = self._now
                    self._now = next(size for size in _NARROWER if size < self._now)
                    continue
                why = "is over 64 MiB" if isinstance(error, AnswerTooLarge) else "cannot be read"
                broken = unreadable_after(cursor, why)
                self.stuck = broken.reason + (f", behind {self._last}" if self._last else "")
                return Page([broken], cursor, True, cursor, stuck=True)
            self._left -= len(page.items)
            if self._left <= 0:
                self._now = self._size
            if page.items:
                self._last = _name(page.items[-1])
            return page


def _name(item: Whole[Any] | Broken) -> str:
    return item.vendor_id if isinstance(item, Broken) else str(item.record.id)


class _Path:
    """The cursors and pages that a feed has given, to tell one that leads nowhere."""

    def __init__(self, cursor: str | None) -> None:
        self._cursors = {cursor}
        #: The records of the last page, and how many pages in succession had those alone.
        self._last, self._same = 0, 0
        #: Records that came lately, and how many pages in succession brought no other.
        self._known: set[str] = set()
        self._stale = 0

    def repeats(self, page: Page[Any]) -> bool:
        """Take note of a page that promises more; tell whether the feed leads nowhere new."""
        content = hash(tuple(_checksum(item) for item in page.items))
        self._same = self._same + 1 if self._same and content == self._last else 1
        self._last = content
        ring = page.cursor in self._cursors
        self._cursors.add(page.cursor)
        self._stale = 0 if self._brings_other(page) else self._stale + 1
        return ring or self._same >= _SAME_PAGES or self._stale >= _KNOWN_PAGES

    def _brings_other(self, page: Page[Any]) -> bool:
        names = {_name(item) for item in page.items}
        if names <= self._known:
            return False
        if len(self._known) > _KNOWN_RECORDS:
            self._known.clear()
        self._known |= names
        return True


def _checksum(item: Whole[Any] | Broken) -> bytes | str:
    return item.vendor_id if isinstance(item, Broken) else item.checksum
