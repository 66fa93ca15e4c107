"""The window of a practice in the demo host, as each person of the fixed cast sees it, through
Flask's client.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import select

from demo.data import World
from ensora_plugin.kinds import BY_SLUG
from ensora_plugin.models import Note, Record
from tests.practice import Browser
from tests.practices import ADMINS, Practice, open_demo, open_pulled

PREFIX = "/synchronization"


class Person(Browser):
    """A signed-in person; their requests look like htmx's where they change something."""

    def fragment(self, path: str) -> object:
        return self.http.get(f"{PREFIX}{path}", headers={"HX-Request": "true"})

    def token(self) -> str:
        """Return a CSRF token of this person's session."""
        page = self.http.get("/settings/").text
        return page.split('name="csrf_token" value="')[1].split('"')[0]

    def send(self, path: str, *, csrf: bool = True, **fields: object):
        headers = {"HX-Request": "true"}
        if csrf:
            headers["X-CSRFToken"] = self.token()
        return self.http.post(f"{PREFIX}{path}", data=fields, headers=headers)


@contextmanager
def open_window(url: str, world: World, *, connected: bool = True) -> Iterator[Practice]:
    """Open the demo host with both accounts pulled, mapped and rendered."""
    opened = (
        open_pulled(url, world, *ADMINS) if connected else open_demo(url, world, connected=False)
    )
    with opened as practice, practice.outside():
        yield practice


def record(practice: Practice, slug: str, *where: object, account: str = "bright-steps") -> Record:
    """Return the first record of a tab's kind that meets the conditions."""
    model = BY_SLUG[slug].model
    with practice.app.app_context():
        found = practice.session.scalars(
            select(model)
            .where(model.account_id == practice.account_id(account), *where)
            .order_by(model.id)
        ).first()
        assert found is not None
        practice.session.expunge(found)
    return found


def person(app: Flask, name: str) -> Person:
    return Person(app, name)


__all__ = ["PREFIX", "Note", "Person", "open_window", "person", "record"]
