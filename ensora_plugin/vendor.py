"""Ensora Data Collection over HTTP. The only module that knows the vendor's dialect.

What it speaks is written down in `docs/vendor-api.yaml`. Records come out as structs with our names
for their
members; one that breaks the contract comes out as `Broken`, and its neighbours are whole.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import httpx2
import msgspec
from msgspec import Meta, Struct

from .clock import as_utc
from .config import Settings
from .deadline import Line
from .errors import (
    CursorGone,
    NotAnAdmin,
    Retryable,
    TokenRefused,
    VendorBroke,
    VendorBusy,
    VendorUnreachable,
    WrongCredentials,
)

#: The vendor demands a User-Agent that names the application.
USER_AGENT = "EnsoraSync/0.1"
#: How the token is called where the vendor's administrators look at it.
APPLICATION = "Ensora Sync"
#: A body that inflates past this is refused.
LONGEST_BODY = 64 * 1024 * 1024

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(max_length=255)]


class SiteIn(Struct, rename="camel"):
    """A site as the feed has it."""

    id: Id
    name: Name
    active: bool
    modified_at: datetime


class StudentIn(Struct, rename="camel"):
    """A student as the feed has it; `date_of_birth` is checked by `checked_date`."""

    id: Id
    site_id: Id
    first_name: Name
    last_name: Name
    date_of_birth: str
    time_zone: Annotated[str, Meta(max_length=64)]
    active: bool
    modified_at: datetime


class UserIn(Struct, rename="camel"):
    """A user as the feed has it."""

    id: Id
    type: Literal["Employee", "Parent"]
    site_ids: list[Id]
    first_name: Name
    last_name: Name
    email: Name
    active: bool
    modified_at: datetime
    title: Name = ""


class FieldIn(Struct):
    """A SOAP field; the shape of `value` depends on `type` and is read by `soap.py`."""

    name: str
    type: Literal["text", "number", "date", "time", "choice", "choices", "location", "signature"]
    value: Any = None


class NoteIn(Struct, rename="camel"):
    """A session note as the feed has it."""

    id: Id
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    status: Literal["published", "unpublished", "deleted"]
    site_id: Id
    student_id: Id
    user_id: Id
    template: Name
    fields: list[FieldIn]
    modified_at: datetime
    appointment_id: Annotated[str, Meta(max_length=64)] | None = None
    published_at: datetime | None = None


RecordIn = SiteIn | StudentIn | UserIn | NoteIn
S = TypeVar("S")
T = TypeVar("T", SiteIn, StudentIn, UserIn, NoteIn)

#: Where each kind's feed is, and what decodes its records.
_FEEDS: dict[str, tuple[str, msgspec.json.Decoder[Any]]] = {
    "site": ("/v1/sites", msgspec.json.Decoder(SiteIn)),
    "student": ("/v1/students", msgspec.json.Decoder(StudentIn)),
    "user": ("/v1/users", msgspec.json.Decoder(UserIn)),
    "note": ("/v1/session-notes", msgspec.json.Decoder(NoteIn)),
}


class _RawPage(Struct, rename="camel"):
    items: list[msgspec.Raw]
    cursor: Annotated[str, Meta(min_length=1, max_length=512)]
    has_more: bool


class _OnlyId(Struct):
    id: Any = None


@dataclass(frozen=True)
class Whole(Generic[T]):
    """A record that keeps the contract, with the checksum of its document."""

    record: T
    checksum: bytes


@dataclass(frozen=True)
class Broken:
    """A record that breaks the contract: its id as far as it could be read, and which rule it
    breaks.
    """

    vendor_id: str
    reason: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a feed; `cursor` is where the next read goes on, on the last page too."""

    items: list[Whole[T] | Broken]
    cursor: str
    has_more: bool


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
    is for
    tests with an application in process. Every call raises out of the tree in `errors.py`, in
    words.
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
        self._settings = settings
        self._sleep = sleep
        self._line = Line()
        self._auth = httpx2.BasicAuth(organization_id, token) if token else None
        self._client = httpx2.Client(
            base_url=settings.vendor_url,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            timeout=httpx2.Timeout(settings.request_seconds, connect=10.0),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    def __enter__(self) -> DataCollection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def handshake(self, username: str, password: str) -> Handshake:
        """Buy a token with an administrator's credentials, which are not kept.

        Raises `WrongCredentials`, `NotAnAdmin`, `VendorUnreachable`, `VendorBusy` or `VendorBroke`.
        """
        body = {"username": username, "password": password, "application": APPLICATION}
        # Tried once: a second POST could leave a token behind that nobody holds.
        status, content = self._once("POST", "/v1/tokens", json=body, auth=None)
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
        answer = _decode(_good(status, content), _TokenAnswer)
        return Handshake(
            token=answer.token,
            organization_id=answer.organization.id,
            organization_name=answer.organization.name,
            user_email=answer.user.email,
        )

    def whose(self) -> str:
        """Return the id of the organization that the token belongs to; raises `TokenRefused`."""
        return self._call("GET", "/v1/tokens/current", _CurrentAnswer).organization.id

    def revoke(self) -> None:
        """Give the token up; one that is refused already counts as given up."""
        try:
            self._call("DELETE", "/v1/tokens/current")
        except TokenRefused:
            return

    def page(self, kind: str, cursor: str | None, size: int) -> Page[Any]:
        """Return the next page of a kind's feed; raises `CursorGone` where the cursor is not known
        any more.
        """
        path, decoder = _FEEDS[kind]
        params: dict[str, str | int] = {"size": size}
        if cursor is not None:
            params["cursor"] = cursor
        raw = self._call("GET", path, _RawPage, params=params)
        return Page([_read(item, decoder) for item in raw.items], raw.cursor, raw.has_more)

    def _call(self, method: str, path: str, into: type[S] | None = None, **kwargs: Any) -> S:
        """Send a request that may be repeated, with growing, jittered pauses; decode its answer
        into `into`.
        """
        tries, pause = self._settings.tries, self._settings.retry_pause_seconds
        for attempt in range(1, tries + 1):
            try:
                content = _good(*self._once(method, path, auth=self._auth, **kwargs))
                return _decode(content, into) if into else None  # type: ignore[return-value]
            except Retryable as error:
                told = error.retry_after if isinstance(error, VendorBusy) else None
                wait = pause if told is None else told
                if attempt == tries or wait > self._settings.longest_wait_seconds:
                    raise
            self._sleep(wait + random.uniform(0, pause / 2))  # noqa: S311 - jitter, no secret
            pause = min(pause * 2, self._settings.longest_wait_seconds)
        raise AssertionError("tries is at least 1")

    def _once(self, method: str, path: str, **kwargs: Any) -> tuple[int, bytes]:
        """Send one request under one deadline, body included; return status and bounded body."""
        deadline = time.monotonic() + self._settings.request_seconds
        try:
            traced = {"trace": self._line.trace}
            with (
                self._line.bounded(self._settings.request_seconds),
                self._client.stream(method, path, extensions=traced, **kwargs) as response,
            ):
                content = _body(response, deadline)
        except httpx2.TimeoutException:
            raise VendorUnreachable(_SLOW) from None
        except (httpx2.HTTPError, httpx2.StreamError):
            if time.monotonic() >= deadline:
                raise VendorUnreachable(_SLOW) from None
            raise VendorUnreachable(
                "Ensora Data Collection cannot be reached. Look at the network and at "
                "ENSORA_VENDOR_URL; the next pull tries again by itself."
            ) from None
        _raise_for_transient(response)
        if response.status_code in (200, 201) and not _is_json(response):
            raise VendorUnreachable(
                "Ensora Data Collection answered with something else than JSON."
            )
        return response.status_code, content


def _body(response: httpx2.Response, deadline: float) -> bytes:
    """Read and unpack a body; one that drips is cut at the deadline, one that swells at its bound.

    Unpacked here, since a packed body may drip for long without giving out a single byte.
    """
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip"):
        raise VendorBroke("Ensora Data Collection sent an encoding that nobody asked for.")
    inflate = zlib.decompressobj(wbits=31) if packing == "gzip" else None
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            if time.monotonic() > deadline:
                raise VendorUnreachable(_SLOW)
            body += inflate.decompress(chunk, LONGEST_BODY + 1 - len(body)) if inflate else chunk
            if len(body) > LONGEST_BODY:
                raise VendorBroke("Ensora Data Collection sent a body of over 64 MiB.")
    except zlib.error:
        raise VendorUnreachable(_UNREADABLE) from None
    return bytes(body)


_UNREADABLE = (
    "Ensora Data Collection sent an answer that cannot be read; "
    "the next pull tries again by itself."
)
_SLOW = "Ensora Data Collection did not answer in time; the next pull tries again by itself."


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


def _is_json(response: httpx2.Response) -> bool:
    return "json" in response.headers.get("content-type", "").lower()


def _raise_for_transient(response: httpx2.Response) -> None:
    if response.status_code in (429, 503):
        raise VendorBusy(
            "Ensora Data Collection asks to wait; the next pull tries again by itself.",
            retry_after=_retry_after(response.headers.get("retry-after")),
        )
    if response.status_code >= 500:
        raise VendorUnreachable(
            f"Ensora Data Collection has trouble of its own (HTTP {response.status_code}); "
            "the next pull tries again by itself."
        )


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After, seconds or an HTTP date; None where it is missing, negative or neither."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = (at - datetime.now(UTC)).total_seconds()
    return seconds if seconds >= 0 else None


def _good(status: int, content: bytes) -> bytes:
    if status in (401, 403):
        raise TokenRefused(
            "Ensora Data Collection refuses the token: the account needs to be connected again."
        )
    if status == 410:
        raise CursorGone("Ensora Data Collection no longer knows the cursor.")
    if not 200 <= status < 300:
        raise VendorBroke(
            f"Ensora Data Collection answered with HTTP {status}, against its contract."
        )
    return content


def _decode(content: bytes, struct: type[S]) -> S:
    # The decoder refuses a whole page for half a surrogate pair in one record, so a second look
    # puts NUL in its place, for which that record alone is set aside.
    for mend in (bytes, _without_half_pairs):
        try:
            return msgspec.json.decode(mend(content), type=struct)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    raise VendorUnreachable(_UNREADABLE)


_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


def _without_half_pairs(content: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: rb"\u0000" if found["half"] else found[0], content)


def _read(raw: msgspec.Raw, decoder: msgspec.json.Decoder[Any]) -> Whole[Any] | Broken:
    """Decode one record; what breaks the contract is described without quoting a value."""
    document = bytes(raw)
    checksum = hashlib.blake2b(document, digest_size=16).digest()
    try:
        record = decoder.decode(document)
        _check(record, document)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Broken(_id_of(document, checksum), _reason(error))
    return Whole(record, checksum)


def _check(record: Any, document: bytes) -> None:
    """Hold what a struct cannot say; raises ValueError with the member and the rule, never the
    value.
    """
    if b"\\u0000" in document and any("\0" in text for text in _texts(msgspec.to_builtins(record))):
        raise ValueError("holds a NUL character or half a surrogate pair")
    try:
        as_utc(record.modified_at), as_utc(getattr(record, "published_at", None))
    except OverflowError:
        raise ValueError("holds a time beyond the years that there are") from None
    if isinstance(record, NoteIn) and not all(
        # Most values are texts, which need no look.
        [_is_plain(field.value) for field in record.fields if type(field.value) is not str]
    ):
        raise ValueError("a field's value is nested too deep, or a number too large")
    if isinstance(record, StudentIn) and not checked_date(record.date_of_birth):
        raise ValueError("dateOfBirth is no date of the form YYYY-MM-DD since 1900")


def _is_plain(value: Any, levels: int = 8) -> bool:
    """Tell whether a value of any shape is one that every reader of it can walk through."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return levels > 0 and all(_is_plain(item, levels - 1) for item in value)
    return not isinstance(value, int) or abs(value) < 2**63


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def checked_date(value: object) -> datetime | None:
    """Return midnight of a strict YYYY-MM-DD between 1900 and 2999, or None."""
    if not isinstance(value, str) or not re.fullmatch(r"(19|2\d)\d\d-\d\d-\d\d", value, re.ASCII):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _id_of(document: bytes, checksum: bytes) -> str:
    try:
        found = msgspec.json.decode(document, type=_OnlyId).id
    except (msgspec.DecodeError, ValueError, RecursionError):
        found = None
    if isinstance(found, str) and 1 <= len(found) <= 64 and found.isprintable():
        return found
    return f"checksum:{checksum.hex()}"


def _reason(error: Exception) -> str:
    """Keep the member and the rule out of a decoder's message; an invalid value is quoted in it."""
    text = re.sub(r"Invalid enum value .*(?= - at `|$)", "Unknown value", str(error), flags=re.S)
    return text[:255]
