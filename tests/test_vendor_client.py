"""The client of the vendor's API: its words for errors, what it tries again, what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from demo.emulator import emulator
from demo.vendor.app import create_app
from demo.vendor.store import Store
from ensora_plugin.config import Settings
from ensora_plugin.connecting import token_of
from ensora_plugin.errors import (
    CursorGone,
    EnsoraError,
    NotAnAdmin,
    TokenRefused,
    VendorBroke,
    VendorBusy,
    VendorUnreachable,
    WrongCredentials,
)
from ensora_plugin.models import Connection
from ensora_plugin.vendor import Broken, DataCollection, Whole
from tests.emulator_world import ADMIN, ORGANIZATION, organization
from tests.small import ACCOUNT, Small, ink, open_small

SETTINGS = Settings(
    vendor_url="http://127.0.0.1:1", tries=3, retry_pause_seconds=0.5, longest_wait_seconds=8
)
KINDS = {"site": "sites", "student": "students", "user": "users", "note": "session-notes"}


class Vendor:
    """The emulator in process, a client that is connected to it, and the pauses it made."""

    def __init__(self) -> None:
        self.store = Store(":memory:")
        self.store.fill([organization(25)])
        self.app = create_app(self.store)
        self.played = self.app.extensions["emulator"]
        self.paused: list[float] = []
        self.transport = httpx2.WSGITransport(app=self.app)
        with self.open() as stranger:
            self.token = stranger.handshake(ADMIN["username"], ADMIN["password"]).token
        self.client = self.open(organization_id=ORGANIZATION, token=self.token)
        self.played.journal.clear()

    def open(self, **who: str) -> DataCollection:
        return DataCollection(SETTINGS, transport=self.transport, sleep=self.paused.append, **who)

    def play(self, fault: str, times: int | None = None, **args: Any) -> None:
        self.played.scenario.play([{"fault": fault, "times": times, "args": args}])

    def asked(self) -> int:
        """How many requests came since the connection."""
        return len(self.played.journal.entries())


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.client.close()
    made.store.close()


def error_of(call: Callable[[], object]) -> EnsoraError:
    with pytest.raises(EnsoraError) as raised:
        call()
    return raised.value


def test_the_handshake_buys_a_token_that_names_its_organization(vendor: Vendor) -> None:
    with vendor.open() as stranger:
        hands = stranger.handshake(ADMIN["username"], ADMIN["password"])
    assert (hands.organization_id, hands.organization_name) == (ORGANIZATION, "North")
    assert hands.user_email == ADMIN["username"]
    assert vendor.open(organization_id=ORGANIZATION, token=hands.token).whose() == ORGANIZATION


@pytest.mark.parametrize(
    ("username", "password", "error", "words"),
    [
        ("admin@north.example", "wrong", WrongCredentials, "user name and password"),
        ("nobody@north.example", "admin-demo", WrongCredentials, "user name and password"),
        ("", "", WrongCredentials, "user name and password"),
        ("aide@north.example", "aide-demo", NotAnAdmin, "no Admin"),
    ],
)
def test_a_failed_handshake_says_why(
    vendor: Vendor, username: str, password: str, error: type[EnsoraError], words: str
) -> None:
    with vendor.open() as stranger:
        raised = error_of(lambda: stranger.handshake(username, password))
    assert type(raised) is error
    assert words in str(raised)
    assert "wrong" not in str(raised)
    assert vendor.asked() == 1


@pytest.mark.parametrize(
    ("fault", "args", "error"),
    [
        ("status", {"code": 500}, VendorUnreachable),
        ("status", {"code": 429, "retry_after": 7}, VendorBusy),
        ("status", {"code": 404}, VendorBroke),
        ("redirect", {}, VendorBroke),
        ("html", {}, VendorUnreachable),
        ("bare_list", {}, VendorUnreachable),
        ("no_content", {}, VendorUnreachable),
        ("reset", {}, VendorUnreachable),
    ],
)
def test_a_handshake_is_never_sent_twice(
    vendor: Vendor, fault: str, args: dict[str, Any], error: type[EnsoraError]
) -> None:
    vendor.play(fault, **args)
    with vendor.open() as stranger:
        raised = error_of(lambda: stranger.handshake(ADMIN["username"], ADMIN["password"]))
    assert type(raised) is error
    assert (vendor.asked(), vendor.paused) == (1, [])


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_token_asks_for_a_new_connection_at_once(vendor: Vendor, code: int) -> None:
    vendor.play("status", code=code)
    raised = error_of(lambda: vendor.client.page("note", None, 10))
    assert type(raised) is TokenRefused
    assert "connected again" in str(raised)
    assert vendor.asked() == 1


def test_a_revoked_token_is_refused_and_giving_it_up_again_is_no_error(vendor: Vendor) -> None:
    vendor.client.revoke()
    assert type(error_of(vendor.client.whose)) is TokenRefused
    vendor.client.revoke()


def test_a_cursor_that_is_gone_is_told_apart(vendor: Vendor) -> None:
    assert type(error_of(lambda: vendor.client.page("site", "unknown", 10))) is CursorGone
    assert vendor.asked() == 1


@pytest.mark.parametrize("code", [400, 404, 405, 409, 418, 422])
def test_a_status_against_the_contract_is_not_tried_again(vendor: Vendor, code: int) -> None:
    vendor.play("status", code=code)
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert type(raised) is VendorBroke
    assert f"HTTP {code}" in str(raised)
    assert vendor.asked() == 1


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"retry_after": 3}, 3),
        ({"retry_after": "0"}, 0),
        ({"retry_at": 5}, 5),
        ({"retry_at": -60}, None),
        ({"retry_after": "Thu, 01 Jan 1970 00:00:00"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "1e3"}, None),
        ({"retry_after": ""}, None),
        ({}, None),
    ],
)
def test_a_busy_vendor_is_asked_again_after_the_pause_it_wants(
    vendor: Vendor, code: int, args: dict[str, Any], told: float | None
) -> None:
    vendor.play("status", times=1, code=code, **args)
    assert len(vendor.client.page("site", None, 10).items) == 2
    # Jitter adds up to half of our own first pause.
    least = SETTINGS.retry_pause_seconds if told is None else told
    (paused,) = vendor.paused
    assert least - 2 <= paused <= least + 0.5


@pytest.mark.parametrize(
    "retry_after",
    ["9", "315360000", "Wed, 21 Oct 2065 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 -1200"],
)
def test_a_longer_pause_than_a_run_can_wait_ends_it_with_the_seconds(
    vendor: Vendor, retry_after: str
) -> None:
    vendor.play("status", code=429, retry_after=retry_after)
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert isinstance(raised, VendorBusy)
    assert raised.retry_after is not None
    assert raised.retry_after >= 9
    assert (vendor.asked(), vendor.paused) == (1, [])


def test_a_vendor_that_stays_busy_is_left_alone_after_the_tries(vendor: Vendor) -> None:
    vendor.play("status", code=503)
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert isinstance(raised, VendorBusy)
    assert raised.retry_after is None
    assert vendor.asked() == 3


@pytest.mark.parametrize(
    ("fault", "args"),
    [
        ("status", {"code": 500}),
        ("status", {"code": 502}),
        ("status", {"code": 504}),
        ("html", {}),
        ("html", {"code": 502}),
        ("empty", {}),
        ("no_content", {}),
        ("bare_list", {}),
        ("truncated_json", {}),
        ("short_body", {}),
        ("wrong_type", {}),
        ("utf16", {}),
        ("bom", {}),
        ("deep_json", {}),
        ("null_cursor", {}),
        ("reset", {}),
    ],
)
def test_trouble_is_tried_again_with_growing_pauses_and_then_said(
    vendor: Vendor, fault: str, args: dict[str, Any]
) -> None:
    vendor.play(fault, **args)
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert type(raised) is VendorUnreachable
    assert vendor.asked() == SETTINGS.tries
    first, second = vendor.paused
    assert 0.5 <= first <= 0.75
    assert 1.0 <= second <= 1.5
    vendor.play(fault, times=2, **args)
    assert len(vendor.client.page("site", None, 10).items) == 2


def test_a_redirect_is_not_followed(vendor: Vendor) -> None:
    vendor.play("redirect", host="evil.example")
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert type(raised) is VendorBroke
    assert "HTTP 302" in str(raised)
    assert vendor.asked() == 1


def test_a_gzip_bomb_is_cut_at_its_bound_and_not_tried_again(vendor: Vendor) -> None:
    vendor.play("gzip_bomb", mebibytes=66)
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert type(raised) is VendorBroke
    assert "64 MiB" in str(raised)
    assert vendor.asked() == 1


SECRET = 'Haddad\' - at `$.x` "secret"'
BROKEN = [
    ("note", "member", {"member": "status", "value": SECRET}),
    ("note", "member", {"member": "status", "value": "O'Secret"}),
    ("note", "member", {"member": "status", "value": "a\nsecret' - b"}),
    ("note", "member", {"member": "version", "value": 0}),
    ("note", "member", {"member": "version", "value": 2**31}),
    ("note", "member", {"member": "version", "value": "secret"}),
    ("note", "member", {"member": "fields", "value": [{"name": "Notes", "type": SECRET}]}),
    ("note", "member", {"member": "fields", "value": [{}]}),
    ("note", "member", {"member": "fields", "value": "secret"}),
    ("note", "member", {"member": "siteId", "value": ""}),
    ("note", "member", {"member": "siteId", "value": "secret" * 11}),
    ("note", "member", {"member": "modifiedAt", "value": "secret"}),
    ("note", "member", {"member": "modifiedAt", "value": "0001-01-01T00:00:00+14:00"}),
    ("note", "member", {"member": "publishedAt", "value": "9999-12-31T23:59:59-14:00"}),
    ("note", "member", {"member": "id", "value": 7}),
    ("student", "member", {"member": "dateOfBirth", "value": "secret"}),
    ("student", "member", {"member": "dateOfBirth", "value": "1066-10-14"}),
    ("student", "member", {"member": "firstName", "value": None}),
    ("student", "impossible_date", {}),
    ("user", "member", {"member": "type", "value": SECRET}),
    ("user", "member", {"member": "siteIds", "value": [["secret"]]}),
    ("site", "member", {"member": "active", "value": "secret"}),
] + [
    (kind, fault, {})
    for kind in KINDS
    for fault in (
        "missing_member",
        "long_name",
        "nul_byte",
        "lone_surrogate",
        "invalid_utf8",
        "huge_integer",
    )
]


@pytest.mark.parametrize(("kind", "fault", "args"), BROKEN)
def test_a_broken_record_is_set_aside_and_its_neighbours_are_whole(
    vendor: Vendor, kind: str, fault: str, args: dict[str, Any]
) -> None:
    sound = vendor.client.page(kind, None, 10).items
    vendor.play(fault, **args)
    items = vendor.client.page(kind, None, 10).items
    broken = items[0]
    assert isinstance(broken, Broken)
    # The fault writes its page in other bytes, so records are compared, not their checksums.
    assert [item.record for item in items[1:]] == [item.record for item in sound[1:]]
    assert isinstance(sound[0], Whole)
    assert broken.vendor_id == sound[0].record.id or broken.vendor_id.startswith("checksum:")
    assert 0 < len(broken.reason) <= 255
    assert "secret" not in broken.reason.lower()
    assert "Haddad" not in broken.reason


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [nested(9), nested(450), {"latitude": 10**400, "longitude": 0}, 10**400, [{"a": nested(9)}]],
)
def test_a_field_whose_value_nobody_can_walk_through_is_broken(vendor: Vendor, value: Any) -> None:
    fields = [{"name": "Location", "type": "location", "value": value}]
    vendor.play("member", member="fields", value=fields)
    broken = vendor.client.page("note", None, 10).items[0]
    assert isinstance(broken, Broken)
    assert broken.vendor_id == "note-1"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud800", r"\ud800"),
        (rb"\\\\ud800\"", r"\\ud800" + '"'),
    ],
)
def test_whole_surrogate_pairs_and_what_only_looks_like_half_of_one_are_text(
    written: bytes, name: str
) -> None:
    page = b'{"items":[{"id":"a","name":"%b","active":true,"modifiedAt":"2026-01-01T00:00:00Z"},'
    page += b'{"id":"b","name":"\\uDC00","active":true,"modifiedAt":"2026-01-01T00:00:00Z"}],'
    page += b'"cursor":"next","hasMore":false}'

    def answer(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [page % written]

    with DataCollection(SETTINGS, transport=httpx2.WSGITransport(app=answer)) as client:
        whole, broken = client.page("site", None, 10).items
    assert isinstance(whole, Whole)
    assert whole.record.name == name
    assert broken == Broken("b", "holds a NUL character or half a surrogate pair")


def test_members_that_nobody_knows_are_ignored(vendor: Vendor) -> None:
    for kind in KINDS:
        vendor.play("member", member="mood", value={"of": ["the", "day"]}, index=None)
        assert not any(
            isinstance(item, Broken) for item in vendor.client.page(kind, None, 10).items
        )


def test_the_password_is_in_no_error_and_the_client_names_itself(vendor: Vendor) -> None:
    for fault in ("html", "reset", "bare_list"):
        vendor.play(fault)
        with vendor.open() as stranger:
            raised = error_of(lambda who=stranger: who.handshake("me@north.example", "Secret-1"))
        assert "Secret-1" not in repr(raised)
        # The cause could quote the request in a log.
        assert raised.__cause__ is None
    agents = vendor.client._client.headers["User-Agent"]
    assert agents.startswith("EnsoraSync/")


def test_password_token_and_clinical_text_are_nowhere_in_the_database(tmp_path: Path) -> None:
    small = Small()
    small.trio()
    small.note(text="Threw the blue cup.")
    with open_small(f"sqlite:///{tmp_path / 'host.db'}", small) as practice:
        connection = practice.session.scalars(select(Connection)).first()
        assert connection is not None
        token = token_of(connection, practice.state.sealer)
        practice.run(ACCOUNT, "pull")
        practice.session.close()
        practice.state.engine.dispose()
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Haddad" in stored
    for secret in ("admin-demo", token, "Threw the blue cup.", ink().partition(",")[2]):
        assert secret.encode() not in stored


# Over real HTTP.


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("vendor")
    store = Store(Path(folder) / "vendor.db")
    store.fill([organization(25)])
    store.close()
    with emulator(folder) as address:
        yield address


def remote(address: str, token: str = "", **settings: Any) -> DataCollection:
    given = {"tries": 1, "request_seconds": 0.6, "retry_pause_seconds": 0.0, **settings}
    return DataCollection(
        Settings(vendor_url=address, **given),
        organization_id=ORGANIZATION if token else "",
        token=token,
    )


@pytest.fixture(scope="module")
def token(address: str) -> str:
    with remote(address, request_seconds=10.0) as stranger:
        return stranger.handshake(ADMIN["username"], ADMIN["password"]).token


def play(address: str, fault: str, times: int | None = None, **args: Any) -> None:
    rules = [{"fault": fault, "args": args, "times": times}]
    answer = httpx2.put(f"{address}/_emulator/scenario", json=rules, trust_env=False)
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("fault", "args"),
    [
        ("drip", {"pause": 0.05, "chunk": 1}),
        ("drip", {"pause": 0.2, "chunk": 20}),
        ("hang", {"seconds": 20}),
    ],
)
def test_an_answer_that_drips_or_hangs_is_cut_at_the_deadline(
    address: str, token: str, fault: str, args: dict[str, Any]
) -> None:
    play(address, fault, **args)
    began = time.monotonic()
    with remote(address, token) as client:
        raised = error_of(lambda: client.page("note", None, 100))
    assert 0.5 <= time.monotonic() - began < 2
    assert type(raised) is VendorUnreachable
    assert "in time" in str(raised)


@pytest.mark.parametrize("fault", ["short_body", "reset"])
def test_a_connection_that_breaks_is_tried_again(address: str, token: str, fault: str) -> None:
    play(address, fault, times=2)
    with remote(address, token, tries=3, request_seconds=10.0) as client:
        assert len(client.page("note", None, 100).items) == 25
    play(address, fault)
    with remote(address, token, tries=2, request_seconds=10.0) as client:
        assert type(error_of(lambda: client.page("note", None, 100))) is VendorUnreachable


def test_where_nobody_listens_the_words_say_what_to_look_at() -> None:
    with remote("http://127.0.0.1:1", "token", tries=2) as client:
        raised = error_of(lambda: client.page("note", None, 100))
    assert type(raised) is VendorUnreachable
    assert "ENSORA_VENDOR_URL" in str(raised)
