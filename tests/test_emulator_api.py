"""The emulator's API: tokens, feeds, errors."""

from __future__ import annotations

import gzip

import httpx2
import pytest
import time_machine

from demo.vendor import Store, create_app
from tests.emulator_world import (
    ADMIN,
    FEEDS,
    ORGANIZATION,
    Emulated,
    fields_of,
    note,
    organization,
)


@pytest.fixture
def vendor() -> Emulated:
    return Emulated()


def test_a_token_says_whose_it_is_and_is_gone_when_revoked(vendor: Emulated) -> None:
    current = vendor.client.get("/v1/tokens/current").json()
    assert current["organization"] == {"id": ORGANIZATION, "name": "North"}
    assert current["user"]["role"] == "Admin"
    assert vendor.client.delete("/v1/tokens/current").status_code == 204
    gone = vendor.client.get("/v1/tokens/current")
    assert gone.status_code == 401
    assert gone.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"password": "nope"}, 401),
        ({"username": "nobody"}, 401),
        ({"username": "aide@north.example", "password": "aide-demo"}, 403),
        ({"application": " "}, 422),
        ({"password": None}, 422),
    ],
)
def test_the_handshake_refuses(vendor: Emulated, wrong: dict[str, str], status: int) -> None:
    answer = vendor.client.post("/v1/tokens", json={**ADMIN, **wrong})
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_tokens_survive_a_restart_and_are_stored_hashed(tmp_path) -> None:
    path = tmp_path / "vendor.db"
    store = Store(path)
    store.fill([organization()])
    login = store.login(ADMIN["username"], ADMIN["password"])
    assert login is not None
    token = store.issue_token(login, "tests")
    cursor = store.page(ORGANIZATION, "sites", None, 1).cursor
    store.close()
    assert token.encode() not in path.read_bytes()
    again = Store(path)
    assert again.token_owner(ORGANIZATION, token) is not None
    assert again.page(ORGANIZATION, "sites", cursor, 1).items
    assert again.revoke_tokens(ORGANIZATION) == 1
    assert again.token_owner(ORGANIZATION, token) is None
    again.close()


def test_a_token_opens_its_own_organization_only(vendor: Emulated) -> None:
    answer = vendor.client.get("/v1/sites", auth=("org-south", vendor.token))
    assert answer.status_code == 401


def test_without_a_user_agent_everything_is_forbidden(vendor: Emulated) -> None:
    for method, path in (("GET", "/v1/sites"), ("POST", "/v1/tokens"), ("PUT", "/v1/users/usr-1")):
        answer = vendor.client.request(method, path, headers={"User-Agent": ""}, json={})
        assert answer.status_code == 403


@pytest.mark.parametrize("feed", FEEDS)
def test_a_feed_read_in_small_pages_gives_every_record_once(vendor: Emulated, feed: str) -> None:
    one_by_one = [record["id"] for record in vendor.whole(feed, size=1)]
    assert one_by_one == [record["id"] for record in vendor.whole(feed, size=100)]
    assert len(one_by_one) == len(set(one_by_one)) > 1


def test_size_is_20_unless_asked_and_1_to_100(vendor: Emulated) -> None:
    assert len(vendor.page("session-notes")["items"]) == 20
    assert len(vendor.page("session-notes", size=7)["items"]) == 7
    for wrong in ("0", "101", "-1", "ten", "", "1.5", "9" * 5000):
        answer = vendor.client.get("/v1/session-notes", params={"size": wrong})
        assert fields_of(answer) == ["size"]


def test_the_page_limit_caps_every_page() -> None:
    vendor = Emulated(page_limit=4)
    assert len(vendor.page("session-notes", size=100)["items"]) == 4
    assert len(vendor.whole("session-notes", size=100)) == 25


def test_a_changed_record_stands_once_at_the_end(vendor: Emulated) -> None:
    end = vendor.page("session-notes", size=100)["cursor"]
    edited = vendor.store.edit_note(ORGANIZATION, "note-3", {"Notes": "new", "Mood": "good"})
    vendor.store.unpublish_note(ORGANIZATION, "note-2")
    vendor.store.delete_note(ORGANIZATION, "note-1")
    vendor.store.publish_note(ORGANIZATION, note(99))
    later = vendor.page("session-notes", cursor=end)["items"]
    assert [(n["id"], n["version"], n["status"]) for n in later] == [
        ("note-3", 2, "published"),
        ("note-2", 2, "unpublished"),
        ("note-1", 2, "deleted"),
        ("note-99", 1, "published"),
    ]
    assert later[0] == edited
    values = {entry["name"]: entry.get("value") for entry in later[0]["fields"]}
    assert values["Notes"] == "new"
    assert values["Mood"] == "good"
    assert later[2]["fields"] == []
    ids = [record["id"] for record in vendor.whole("session-notes", size=9)]
    assert ids[-4:] == ["note-3", "note-2", "note-1", "note-99"]
    assert len(ids) == len(set(ids)) == 26


def test_a_record_that_changes_while_the_feed_is_read_is_never_missed(vendor: Emulated) -> None:
    page = vendor.page("students", size=1)
    vendor.store.change(ORGANIZATION, "students", "stu-2", timeZone="America/Denver")
    vendor.store.deactivate(ORGANIZATION, "students", "stu-1")
    rest = vendor.page("students", cursor=page["cursor"])["items"]
    seen = [(s["id"], s["timeZone"], s["active"]) for s in rest]
    assert seen == [
        ("stu-3", "America/Chicago", True),
        ("stu-2", "America/Denver", True),
        ("stu-1", "America/Chicago", False),
    ]


def test_a_cursor_lives_30_days_and_belongs_to_one_feed(vendor: Emulated) -> None:
    with time_machine.travel("2024-05-01T00:00:00Z", tick=False) as clock:
        cursor = vendor.page("sites")["cursor"]
        clock.shift(30 * 24 * 3600)
        assert vendor.page("sites", cursor=cursor)["items"] == []
        assert vendor.client.get("/v1/users", params={"cursor": cursor}).status_code == 410
        clock.shift(1)
        assert vendor.client.get("/v1/sites", params={"cursor": cursor}).status_code == 410
    for unknown in ("", "x", "é", cursor[:-4] + "AAAA", "A" * 512):
        answer = vendor.client.get("/v1/sites", params={"cursor": unknown})
        assert answer.status_code == 410
    assert fields_of(vendor.client.get("/v1/sites", params={"cursor": "A" * 513})) == ["cursor"]


def test_bodies_are_gzipped_only_where_that_is_accepted(vendor: Emulated) -> None:
    raw = httpx2.Headers({"Accept-Encoding": "gzip"})
    with vendor.client.stream("GET", "/v1/sites", headers=raw) as packed:
        body = b"".join(packed.iter_raw())
        assert packed.headers["Content-Encoding"] == "gzip"
    assert b"Site 1" in gzip.decompress(body)
    for refusing in ("identity", "gzip;q=0, br"):
        plain = vendor.client.get("/v1/sites", headers={"Accept-Encoding": refusing})
        assert "Content-Encoding" not in plain.headers
        assert len(plain.json()["items"]) == 2


def test_unknown_paths_and_methods_are_problems_too(vendor: Emulated) -> None:
    assert vendor.client.get("/v1/nothing").json()["status"] == 404
    refused = vendor.client.patch("/v1/students/stu-1", json={})
    assert refused.json()["status"] == 405
    assert "PUT" in refused.headers["Allow"]


def test_a_new_store_is_empty_and_is_filled_once() -> None:
    store = Store(":memory:")
    assert not store.is_filled()
    client = httpx2.Client(
        transport=httpx2.WSGITransport(app=create_app(store)), base_url="http://vendor.test"
    )
    assert client.post("/v1/tokens", json=ADMIN).status_code == 401
    store.fill([organization()])
    assert store.is_filled()
    with pytest.raises(ValueError, match="filled already"):
        store.fill([organization()])
