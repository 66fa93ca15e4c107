"""Ensora Data Collection's API: the handshake, the token, the feeds.

Nothing beyond this package knows the vendor's dialect, which is written down in
`docs/vendor-api.yaml`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import httpx2
from msgspec import Meta, Struct

from ..config import Settings
from ..errors import NotAnAdmin, TokenRefused, WrongCredentials
from .pages import Page, decode, read_page
from .records import Id
from .transport import Transport, good

#: How the token is called where the vendor's administrators look at it.
APPLICATION = "Ensora Sync"

#: Where each kind's feed is.
_FEEDS = {
    "site": "/v1/sites",
    "student": "/v1/students",
    "user": "/v1/users",
    "note": "/v1/session-notes",
}


@dataclass(frozen=True)
class Handshake:
    """What the vendor gave for an administrator's credentials."""

    token: str
    organization_id: str
    organization_name: str
    user_email: str


class DataCollection:
    """The vendor's API for one organization (or none yet, for the handshake).

    One instance keeps one connection alive; close it, or use it as a context manager. `transport`
    is for tests with an application in process. Every call raises out of the tree in `errors.py`,
    in words.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        organization_id: str = "",
        token: str = "",
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        auth = httpx2.BasicAuth(organization_id, token) if token else None
        self._transport = Transport(settings, auth, transport, sleep)

    def __enter__(self) -> DataCollection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._transport.close()

    def handshake(self, username: str, password: str) -> Handshake:
        """Buy a token with an administrator's credentials, which are not kept.

        Raises `WrongCredentials`, `NotAnAdmin`, `VendorUnreachable`, `VendorBusy` or `VendorBroke`.
        """
        body = {"username": username, "password": password, "application": APPLICATION}
        # Tried once: a second POST could leave a token behind that nobody holds.
        status, content = self._transport.once("POST", "/v1/tokens", json=body, auth=None)
        if status in (401, 422):
            # 422: a name or a password of no characters.
            raise WrongCredentials(
                "Ensora Data Collection does not accept this user name and password."
            )
        if status == 403:
            raise NotAnAdmin(
                "This user is no Admin in Ensora Data Collection; "
                "the handshake needs an Admin of both systems."
            )
        answer = decode(good(status, content), _TokenAnswer)
        return Handshake(
            token=answer.token,
            organization_id=answer.organization.id,
            organization_name=answer.organization.name,
            user_email=answer.user.email,
        )

    def whose(self) -> str:
        """Return the id of the organization that the token belongs to; raises `TokenRefused`."""
        answer = self._transport.call(
            "GET", "/v1/tokens/current", partial(decode, struct=_CurrentAnswer)
        )
        return answer.organization.id

    def revoke(self) -> None:
        """Give the token up; one that is refused already counts as given up."""
        try:
            self._transport.call("DELETE", "/v1/tokens/current", bytes)
        except TokenRefused:
            return

    def page(self, kind: str, cursor: str | None, size: int) -> Page[Any]:
        """Return the next page of a kind's feed.

        Raises `CursorGone` where the cursor is not known any more; `AnswerUnreadable` and
        `AnswerTooLarge` where a smaller page may do.
        """
        params: dict[str, str | int] = {"size": size}
        if cursor is not None:
            params["cursor"] = cursor
        return self._transport.call(
            "GET",
            _FEEDS[kind],
            lambda content: read_page(content, kind, cursor, size),
            # The smaller page is the second try.
            again_unreadable=size == 1,
            params=params,
        )


class _Organization(Struct):
    id: Id
    name: str


class _Admin(Struct):
    id: Id
    email: str
    role: Literal["Admin"]


class _TokenAnswer(Struct):
    token: Annotated[str, Meta(min_length=1)]
    organization: _Organization
    user: _Admin


class _CurrentAnswer(Struct):
    organization: _Organization
