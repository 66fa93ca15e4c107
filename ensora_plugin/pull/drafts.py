"""What a record becomes in the tables, made ready before the transaction that writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..clock import as_utc
from ..crypto import Sealer
from ..kinds import NOTE, Kind
from ..vendor.pages import Page
from ..vendor.records import Whole
from .content import content_row


@dataclass(frozen=True)
class Place:
    """Where a page is written: the account, the run that writes it, and the keys."""

    account_id: int
    run_id: int
    sealer: Sealer


@dataclass(frozen=True, slots=True)
class Draft:
    """A record's row, and the rows beside it: its sites, and the sealed content of a note."""

    row: dict[str, Any]
    members: list[dict[str, Any]]
    content: dict[str, Any]


class Drafts:
    """Makes the drafts of a feed's records: of whole pages ahead, in the thread that reads, while
    the pages bring something to write; else of those records that are asked for.
    """

    def __init__(self, place: Place, kind: Kind) -> None:
        self.place, self.kind = place, kind
        #: Whether the last page that was written brought something new.
        self.worth_it = True
        #: The fields of templates that this run has written down already.
        self.templates: set[tuple[str, str]] = set()

    def of_page(self, page: Page[Any]) -> dict[bytes, Draft]:
        """Return the drafts of a page by the checksums of their documents, if that is worth it."""
        if not self.worth_it:
            return {}
        return {item.checksum: self.of(item) for item in page.items if isinstance(item, Whole)}

    def of(self, item: Whole[Any]) -> Draft:
        """Return what is written of a record."""
        record, place, kind = item.record, self.place, self.kind
        own = {"account_id": place.account_id, "vendor_id": record.id}
        beside = {"modified_at": as_utc(record.modified_at), "checksum": item.checksum}
        member = own | {"kind": kind.name}
        members = [member | {"site_id": site} for site in kind.sites(record)] if kind.sites else []
        content = content_row(place.account_id, place.sealer, record) if kind is NOTE else {}
        return Draft(own | beside | kind.row(record), members, content)
