"""Days as people write them: 14 Mar 2017, March 14, 2017, 3/14/2017, 2017-03-14, 14.3.17."""

from __future__ import annotations

import re
from calendar import month_name
from datetime import date

from ..clock import utcnow

_YEAR_FIRST = re.compile(r"(\d{4})[-/. ]?(\d{1,2})[-/. ]?(\d{1,2})")
_NUMBERS = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d{2})")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\.?\s*([a-z]{3,9})\.?,?\s+(\d{4}|\d{2})")
_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4}|\d{2})")


def days_of(text: str) -> list[date]:
    """Return the days that a text may mean, none where it is no day.

    Of two numbers before a year either may be the month: 3/4/2017 is 4 March and 3 April.
    """
    told = text.strip().lower()
    readings: list[tuple[int, int, int]] = []
    if found := _YEAR_FIRST.fullmatch(told):
        readings.append((int(found[1]), int(found[2]), int(found[3])))
    elif found := _NUMBERS.fullmatch(told):
        one, other, year = int(found[1]), int(found[2]), _year(found[3])
        readings += [(year, one, other), (year, other, one)]
    elif found := _DAY_FIRST.fullmatch(told):
        readings.append((_year(found[3]), _month(found[2]), int(found[1])))
    elif found := _MONTH_FIRST.fullmatch(told):
        readings.append((_year(found[3]), _month(found[1]), int(found[2])))
    days = []
    for reading in readings:
        try:
            days.append(date(*reading))
        except ValueError:
            continue
    return list(dict.fromkeys(days))


def _year(told: str) -> int:
    """Read a year; one of two digits is the last one that is not in the future."""
    if len(told) == 4:
        return int(told)
    this = utcnow().year
    year = this - this % 100 + int(told)
    return year - 100 if year > this else year


def _month(told: str) -> int:
    """Return a month by the beginning of its English name, 0 for none."""
    for number in range(1, 13):
        if month_name[number].lower().startswith(told):
            return number
    return 0
