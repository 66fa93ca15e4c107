"""What a person asked to see of a tab: it stands in the address, so that it can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ..kinds import NOTE, SITE, Kind
from ..vendor.records import checked_date

#: The filters by the state of the mapping, as they stand in the address, with their words.
STATES = {"to-map": "To map", "auto": "Auto", "user": "User", "ignored": "Ignored", "all": "All"}
#: The filters of appointments by what the host did with the note.
RENDERINGS = {"rendered": "Rendered", "refused": "Refused", "waiting": "Waiting"}


@dataclass(frozen=True)
class Order:
    """A way to sort a tab, by a column of the record that an index serves."""

    words: str
    column: str
    descending: bool = False


_PEOPLE = {
    "last": Order("Last name, A–Z", "sort_key"),
    "-last": Order("Last name, Z–A", "sort_key", descending=True),
    "first": Order("First name, A–Z", "name_key"),
    "-first": Order("First name, Z–A", "name_key", descending=True),
}
_SITES = {
    "name": Order("Name, A–Z", "sort_key"),
    "-name": Order("Name, Z–A", "sort_key", descending=True),
}
_NOTES = {
    "-date": Order("Newest first", "sort_key", descending=True),
    "date": Order("Oldest first", "sort_key"),
}


def orders(kind: Kind) -> dict[str, Order]:
    """Return the ways to sort a tab by their names in the address, the usual one first."""
    return _NOTES if kind is NOTE else _SITES if kind is SITE else _PEOPLE


@dataclass(frozen=True)
class Filters:
    """What a person asked to see."""

    state: str = "all"
    search: str = ""
    #: Show inactive records as well, which nobody has to map.
    inactive: bool = False
    #: The host's id of an agency, empty for all.
    agency: str = ""
    #: One of `RENDERINGS`, empty for all.
    rendering: str = ""
    #: The first and the last day of session notes.
    since: date | None = None
    until: date | None = None
    #: One of `orders`, empty for the usual one.
    sort: str = ""
    #: Reports ask for one reason of `REASONS`, one site of the vendor, one code of a refusal.
    why: str = ""
    site: str = ""
    refusal: str = ""
    #: Cursor of the row behind which (`after`) or before which (`before`) the page lies.
    after: str = ""
    before: str = ""

    @classmethod
    def read(cls, kind: Kind, asked: Mapping[str, str]) -> Filters:
        """Read an address; what nobody can ask for counts as not asked for."""
        note = kind is NOTE

        def one_of(name: str, known: Any, other: str) -> str:
            return asked.get(name, "") if asked.get(name) in known else other

        return cls(
            state=one_of("show", STATES, "all"),
            search=asked.get("q", "").replace("\0", "")[:255],
            inactive=asked.get("inactive") == "1",
            agency=asked.get("agency", "").replace("\0", "")[:64],
            rendering=one_of("rendering", RENDERINGS, "") if note else "",
            since=_day(asked.get("since", "")) if note else None,
            until=_day(asked.get("until", "")) if note else None,
            sort=one_of("sort", orders(kind), ""),
            after=asked.get("after", ""),
            before=asked.get("before", ""),
        )

    def address(self, **changes: Any) -> dict[str, Any]:
        """Return the values of an address, from the first page on; what is None is left out."""
        told: dict[str, Any] = {
            "show": self.state,
            "q": self.search or None,
            "inactive": 1 if self.inactive else None,
            "agency": self.agency or None,
            "rendering": self.rendering or None,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "sort": self.sort or None,
        }
        return told | changes

    @property
    def narrowed(self) -> bool:
        """Whether counts have to be taken for these filters alone."""
        return self.counted != Filters()

    @property
    def counted(self) -> Filters:
        """Return what counts depend on: all but state, search, order and page."""
        return replace(self, state="all", search="", sort="", after="", before="")

    def order(self, kind: Kind) -> Order:
        """Return how the tab is sorted."""
        known = orders(kind)
        return known.get(self.sort) or next(iter(known.values()))


def _day(told: str) -> date | None:
    day = checked_date(told)
    return day.date() if day else None
