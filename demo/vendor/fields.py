"""What the members of a body must look like; everything that is wrong is said at once, as 422."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from demo.vendor.problems import Invalid

Check = Callable[[Any], str | None]


@dataclass(frozen=True)
class Member:
    """A member of a body: `check` says in words what is wrong with a value, or None."""

    check: Check
    required: bool = False


def any_text(value: Any) -> str | None:
    """Any text that can be written in UTF-8."""
    if not isinstance(value, str):
        return "must be text"
    # JSON can spell half a surrogate pair, which no UTF-8 text can hold.
    if re.search("[\ud800-\udfff]", value):
        return "must be whole characters"
    return None


def text(value: Any) -> str | None:
    """Text with something in it."""
    wrong = any_text(value)
    return wrong or (None if value.strip() else "must not be empty")


def email(value: Any) -> str | None:
    """One @ with something on both sides and no space."""
    wrong = text(value)
    return wrong or (
        None if re.fullmatch(r"[^@\s]+@[^@\s]+", value) else "must be an email address"
    )


def day(value: Any) -> str | None:
    """YYYY-MM-DD and a day of the calendar."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return "must be a date, YYYY-MM-DD"
    try:
        date.fromisoformat(value)
    except ValueError:
        return "is no day of the calendar"
    return None


def zone(value: Any) -> str | None:
    """A time zone by its IANA name."""
    wrong = text(value)
    known = wrong is None and value in zoneinfo.available_timezones()
    return wrong or (None if known else "must be a time zone's IANA name")


def flag(value: Any) -> str | None:
    """true or false."""
    return None if isinstance(value, bool) else "must be true or false"


def texts(value: Any) -> str | None:
    """A list of one text or more."""
    if not isinstance(value, list) or not value:
        return "must be a list with something in it"
    return next((wrong for wrong in map(text, value) if wrong), None)


STUDENT = {
    "siteId": Member(text, True),
    "firstName": Member(text, True),
    "lastName": Member(text, True),
    "dateOfBirth": Member(day, True),
    "gender": Member(any_text),
    "timeZone": Member(zone, True),
    "active": Member(flag),
}
USER = {
    "siteIds": Member(texts, True),
    "firstName": Member(text, True),
    "lastName": Member(text, True),
    "email": Member(email, True),
    "phone": Member(text, True),
    "address": Member(text, True),
    "title": Member(any_text),
    "active": Member(flag),
}


def checked(
    body: Any,
    members: Mapping[str, Member],
    also: Callable[[dict[str, Any]], list[tuple[str, str]]] = lambda _: [],
) -> dict[str, Any]:
    """The known members of a body; unknown ones are ignored. Raises Invalid with every error.

    `also` looks at the members that are right by themselves and gives further errors.
    """
    if not isinstance(body, dict):
        raise Invalid([("", "must be an object")])
    errors, right = [], {}
    for name, member in members.items():
        if name not in body:
            errors += [(name, "is required")] if member.required else []
        elif wrong := member.check(body[name]):
            errors.append((name, wrong))
        else:
            right[name] = body[name]
    errors += also(right)
    if errors:
        raise Invalid(errors)
    return right
