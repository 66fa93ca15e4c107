"""What a person chose of a report: it stands in the address, and can be saved under a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from ..automap.reasons import REASONS
from ..kinds import SITE, USER
from ..listing.conditions import NOT_TRIED
from ..listing.filters import Filters
from .spec import SIDES, Column, Report

#: Of appointments so many days are shown unasked.
_DAYS = 30
#: What can be grouped by, with the words of it.
GROUPS = {"state": "Mapping", "why": "Why not mapped", "place": "Site or agency", "week": "Week"}


@dataclass(frozen=True)
class Choice:
    """Side, columns in their order, grouping and filters of a report."""

    report: Report
    side: str = "vendor"
    #: Names of columns, empty for the usual ones.
    own: tuple[str, ...] = ()
    #: One of `GROUPS`, empty for rows.
    group: str = ""
    filters: Filters = field(default_factory=Filters)

    @classmethod
    def read(cls, report: Report, asked: Mapping[str, str], today: date) -> Choice:
        """Read an address; what nobody can ask for counts as not asked for."""
        side = asked.get("side", "")
        group = asked.get("group", "")
        own = dict.fromkeys(asked.get("columns", "").split(","))
        why = asked.get("why", "")
        choice = cls(
            report,
            side if side in SIDES else "vendor",
            tuple(name for name in own if name in report.by_name),
            group if group in GROUPS else "",
            replace(
                Filters.read(report.kind, asked),
                why=why if why in REASONS or why == NOT_TRIED else "",
                site=asked.get("site", "").replace("\0", "")[:64],
                refusal=asked.get("refusal", "")
                if _CODE.fullmatch(asked.get("refusal", ""))
                else "",
            ),
        )
        days = asked.get("days", "")
        back = int(days) if _NUMBER.fullmatch(days) else _DAYS
        return choice._within_days(today, back)._of_its_side()

    def _within_days(self, today: date, back: int) -> Choice:
        """Give appointments a range of days where the address has none."""
        if not self.report.dated:
            return self
        until = self.filters.until or today
        since = self.filters.since or until - timedelta(days=min(back, until.toordinal() - 1))
        return replace(self, filters=replace(self.filters, since=min(since, until), until=until))

    def _of_its_side(self) -> Choice:
        """Leave out what the side does not know: the host has no reasons and no sites."""
        group = self.group if self.group in self.groups else ""
        if self.side == "vendor":
            return replace(self, group=group)
        filters = replace(self.filters, why="", site="", refusal="")
        if filters.state == "ignored":
            filters = replace(filters, state="all")
        return replace(self, group=group, filters=filters)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns that are shown, in their order."""
        names = self.own or self.report.usual(self.side)
        return tuple(self.report.by_name[name] for name in names)

    @property
    def groups(self) -> dict[str, str]:
        """Return what its rows can be grouped by, with the words of it."""
        left_out = {
            "why": self.side == "host",
            # Whoever is of several is in no one group.
            "place": self.report.kind in (SITE, USER),
            "week": not self.report.dated,
        }
        words = GROUPS | {"place": "Site" if self.side == "vendor" else "Agency"}
        return {name: told for name, told in words.items() if not left_out.get(name)}

    def address(self, **changes: Any) -> dict[str, str]:
        """Return the values of an address, from the first page on; what is None is left out."""
        told = {
            **self.filters.address(),
            "side": self.side,
            "columns": ",".join(self.own) or None,
            "group": self.group or None,
            "why": self.filters.why or None,
            "site": self.filters.site or None,
            "refusal": self.filters.refusal or None,
        }
        return {name: str(value) for name, value in (told | changes).items() if value is not None}

    def kept(self, today: date) -> dict[str, str]:
        """Return the values of an address to be kept: days until today go on with the calendar."""
        filters = self.filters
        if not (filters.since and filters.until == today):
            return self.address()
        days = (filters.until - filters.since).days
        return self.address(since=None, until=None, days=str(days))

    def facts(self) -> dict[str, str]:
        """Return what was chosen for the history, which holds no names: of a search only that."""
        told = self.address(sort=None)
        return told | ({"q": "a search"} if "q" in told else {})


_NUMBER = re.compile(r"\d{1,5}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
