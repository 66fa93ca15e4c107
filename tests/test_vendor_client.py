"""The client of the vendor's API: its words for errors, what it tries again, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ensora_plugin.connecting import token_of
from ensora_plugin.errors import (
    AnswerTooLarge,
    AnswerUnreadable,
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
from tests.connected_vendor import SETTINGS, Vendor, error_of
from tests.emulator_world import ADMIN, ORGANIZATION
from tests.opened import open_small
from tests.small import ACCOUNT, Small, ink


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with closing(Vendor()) as made:
        yield made


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
        ("bare_list", {}, AnswerUnreadable),
        ("no_content", {}, AnswerUnreadable),
        ("reset", {}, AnswerUnreadable),
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
        ({"retry_after": "Mon, 01 Jan 2024 00:00:00 +99999999999999999"}, None),
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
    raised = error_of(lambda: vendor.client.page("site", None, 1))
    assert isinstance(raised, VendorUnreachable)
    assert vendor.asked() == SETTINGS.tries
    first, second = vendor.paused
    assert 0.5 <= first <= 0.75
    assert 1.0 <= second <= 1.5
    vendor.play(fault, times=2, **args)
    assert len(vendor.client.page("site", None, 1).items) == 1


@pytest.mark.parametrize("fault", ["truncated_json", "utf16", "bom", "deep_json", "null_cursor"])
def test_a_page_of_many_that_cannot_be_read_is_left_to_a_narrower_one(
    vendor: Vendor, fault: str
) -> None:
    vendor.play(fault)
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert type(raised) is AnswerUnreadable
    assert (vendor.asked(), vendor.paused) == (1, [])


def test_a_redirect_is_not_followed(vendor: Vendor) -> None:
    vendor.play("redirect", host="evil.example")
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert type(raised) is VendorBroke
    assert "HTTP 302" in str(raised)
    assert vendor.asked() == 1


def test_a_gzip_bomb_is_cut_at_its_bound_and_not_tried_again(vendor: Vendor) -> None:
    vendor.play("gzip_bomb", mebibytes=66)
    raised = error_of(lambda: vendor.client.page("site", None, 10))
    assert type(raised) is AnswerTooLarge
    assert "64 MiB" in str(raised)
    assert vendor.asked() == 1


def test_the_password_is_in_no_error_and_the_client_names_itself(vendor: Vendor) -> None:
    for fault in ("html", "reset", "bare_list"):
        vendor.play(fault)
        with vendor.open() as stranger:
            raised = error_of(lambda who=stranger: who.handshake("me@north.example", "Secret-1"))
        assert "Secret-1" not in repr(raised)
        # The cause could quote the request in a log.
        assert raised.__cause__ is None
    agents = vendor.client._transport._client.headers["User-Agent"]
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
