"""What others put into the site's pages: cards on Settings and Reports, links on an appointment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from flask import current_app


class MenuEntry(NamedTuple):
    """A card on the Settings or the Reports page, or a link on the page of an appointment.

    `app.extensions["host_menu"]["settings"]` and `["reports"]` are lists of such entries (any four
    values in this order will do), or of functions without arguments that return one for the
    current request. `app.extensions["host_links"]` is a list of functions that return one for the
    id of an appointment.
    """

    title: str
    text: str
    url: str
    visible: bool


def entries(section: str) -> Iterator[MenuEntry]:
    """Yield what others offered for a section ("settings" or "reports") and this person may see."""
    for offered in current_app.extensions["host_menu"][section]:
        entry = MenuEntry(*(offered() if callable(offered) else offered))
        if entry.visible:
            yield entry


def links(appointment_id: int) -> list[MenuEntry]:
    """Return what others offered for the page of an appointment and this person may see."""
    offered = [MenuEntry(*link(appointment_id)) for link in current_app.extensions["host_links"]]
    return [entry for entry in offered if entry.visible]
