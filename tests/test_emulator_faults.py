"""What each of the emulator's faults does."""

from __future__ import annotations

import json
import threading
import time
import zlib
from typing import Any

import pytest

from demo.vendor.faults import CATALOGUE
from tests.emulator_world import ORGANIZATION, Emulated

NOTES = "/v1/session-notes"


@pytest.fixture
def vendor() -> Emulated:
    return Emulated()


def statuses(vendor: Emulated, count: int, path: str = NOTES) -> list[int]:
    return [vendor.client.get(path).status_code for _ in range(count)]


def raw(vendor: Emulated, path: str = NOTES) -> bytes:
    """The body as it is sent to a client that takes no gzip."""
    with vendor.client.stream("GET", path, headers={"Accept-Encoding": "identity"}) as answer:
        return b"".join(answer.iter_raw())


@pytest.mark.parametrize("code", [401, 403, 410, 429, 500, 502, 503, 504])
def test_any_status_as_a_problem(vendor: Emulated, code: int) -> None:
    vendor.play("status", code=code, times=1)
    answer = vendor.client.get(NOTES)
    assert (answer.status_code, answer.json()["status"]) == (code, code)
    assert "Retry-After" not in answer.headers
    assert statuses(vendor, 1) == [200]


@pytest.mark.parametrize("value", [120, "-5", "soon", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_retry_after_is_sent_as_given(vendor: Emulated, value: Any) -> None:
    vendor.play("status", code=503, retry_after=value)
    assert vendor.client.get(NOTES).headers["Retry-After"] == str(value)


def test_answers_that_are_no_page(vendor: Emulated) -> None:
    vendor.play("html")
    page = vendor.client.get(NOTES)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    vendor.play("empty")
    assert (vendor.client.get(NOTES).status_code, raw(vendor)) == (200, b"")
    vendor.play("no_content")
    assert statuses(vendor, 1) == [204]
    vendor.play("bare_list")
    assert vendor.client.get(NOTES).json() == []
    vendor.play("redirect", host="evil.example")
    moved = vendor.client.get(NOTES)
    assert moved.status_code == 302
    assert moved.headers["Location"].startswith("https://evil.example/v1/session-notes")
    vendor.play("deep_json", depth=5000)
    assert raw(vendor) == b"[" * 5000 + b"]" * 5000


def test_a_gzip_bomb_is_small_on_the_wire(vendor: Emulated) -> None:
    vendor.play("gzip_bomb", mebibytes=20)
    packed = raw(vendor)
    assert len(packed) < 100_000
    inflated = zlib.decompress(packed, wbits=31)
    assert len(inflated) > 20 << 20
    assert json.loads(inflated)["items"] == []


def test_bodies_in_other_bytes(vendor: Emulated) -> None:
    true = raw(vendor, "/v1/tokens/current")
    for fault, body in (
        ("bom", b"\xef\xbb\xbf" + true),
        ("utf16", true.decode().encode("utf-16")),
        ("truncated_json", true[: len(true) // 2]),
        ("wrong_type", true),
    ):
        vendor.play(fault)
        assert raw(vendor, "/v1/tokens/current") == body
    assert vendor.client.get("/v1/tokens/current").headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("feed", ["sites", "students", "users", "session-notes"])
def test_records_that_break_the_contract(vendor: Emulated, feed: str) -> None:
    sound = vendor.page(feed)["items"]

    def first(fault: str, **args: Any) -> dict[str, Any]:
        vendor.play(fault, **args)
        items = vendor.page(feed)["items"]
        assert items[1:] == sound[1:]
        assert items[0] != sound[0]
        return items[0]

    name = {"sites": "name", "session-notes": "template"}.get(feed, "lastName")
    assert "modifiedAt" not in first("missing_member")
    assert "archived" in first("unknown_kind").values()
    assert "2015-02-29" in json.dumps(first("impossible_date"))
    assert len(first("long_name")[name]) == 300
    assert "\x00" in first("nul_byte")[name]
    assert "\ud800" in first("lone_surrogate")[name]
    assert first("member", member="siteId", value=7)["siteId"] == 7
    assert len(json.dumps(first("oversize_note", mebibytes=1))) > 1 << 20
    vendor.play("huge_integer", digits=5000)
    assert b":" + b"9" * 5000 in raw(vendor, f"/v1/{feed}")
    vendor.play("invalid_utf8")
    with pytest.raises(UnicodeDecodeError):
        raw(vendor, f"/v1/{feed}").decode()
    vendor.scenario.clear()
    assert vendor.page(feed)["items"] == sound


def test_a_record_is_poisoned_by_its_id_wherever_it_stands(vendor: Emulated) -> None:
    vendor.play("broken_json", record="note-7")
    assert len(vendor.page("session-notes", size=6)["items"]) == 6
    body = raw(vendor, f"{NOTES}?size=20")
    assert b'"modifiedAt":soon' in body
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(body)
    vendor.play("swollen", record="note-7", mebibytes=1)
    assert len(raw(vendor, f"{NOTES}?size=6")) < 100_000
    assert len(raw(vendor, f"{NOTES}?size=7")) > 1 << 20


def test_a_duplicate_page_comes_twice_under_different_cursors(vendor: Emulated) -> None:
    vendor.play("duplicate_page", {"cursor": True}, times=1)
    ids = [record["id"] for record in vendor.whole("session-notes", size=10)]
    numbers = [int(record_id.removeprefix("note-")) for record_id in ids]
    assert numbers == [*range(1, 21), *range(11, 26)]


def test_a_cursor_that_never_advances(vendor: Emulated) -> None:
    vendor.play("same_cursor")
    first = vendor.page("session-notes", size=10)
    second = vendor.page("session-notes", size=10, cursor=first["cursor"])
    assert second == first
    assert first["hasMore"]
    cursor = vendor.page("session-notes", size=10, cursor=second["cursor"])["cursor"]
    assert cursor == first["cursor"]


def test_a_looping_cursor_comes_round_again(vendor: Emulated) -> None:
    vendor.play("looping_cursor", length=3)
    seen, cursor = [], None
    for _ in range(9):
        query = {} if cursor is None else {"cursor": cursor}
        page = vendor.page("session-notes", size=2, **query)
        assert page["hasMore"]
        cursor = page["cursor"]
        seen.append(cursor)
    assert len(set(seen)) == 3
    assert seen == seen[:3] * 3


def test_pages_without_records_or_cursor(vendor: Emulated) -> None:
    vendor.play("empty_with_more", {"cursor": True}, times=2)
    assert len(vendor.whole("session-notes", size=10)) == 25
    vendor.play("empty_feed")
    page = vendor.page("session-notes")
    assert (page["items"], page["hasMore"]) == ([], False)
    vendor.scenario.clear()
    assert len(vendor.page("session-notes", size=100, cursor=page["cursor"])["items"]) == 25
    vendor.play("null_cursor")
    assert vendor.page("session-notes")["cursor"] is None


def test_records_that_go_back_or_differ(vendor: Emulated) -> None:
    vendor.store.edit_note(ORGANIZATION, "note-5", {"Notes": "new"})
    vendor.play("older_after_newer")
    items = vendor.page("session-notes", size=100)["items"]
    assert [(n["id"], n["version"]) for n in items[-2:]] == [("note-5", 2), ("note-5", 1)]
    assert items[-1]["modifiedAt"] < items[-2]["modifiedAt"]
    students = vendor.page("students")["items"]
    assert [s["id"] for s in students] == ["stu-1", "stu-2", "stu-3"] * 2
    vendor.play("same_version_other_content")
    items = vendor.page("session-notes", size=100)["items"]
    assert items[-1]["template"] != items[0]["template"]
    assert {**items[-1], "template": items[0]["template"]} == items[0]


def test_in_process_broken_connections_are_bodies_that_end_early(vendor: Emulated) -> None:
    whole = raw(vendor, "/v1/tokens/current")
    vendor.play("short_body")
    assert raw(vendor, "/v1/tokens/current") == whole[: len(whole) // 2]
    vendor.play("reset")
    assert raw(vendor) == b""
    vendor.play("drip", pause=0, chunk=3)
    assert raw(vendor, "/v1/tokens/current") == whole


def test_what_hangs_goes_on_when_the_scenario_ends(vendor: Emulated) -> None:
    vendor.play("hang", seconds=60)
    threading.Timer(0.2, vendor.scenario.clear).start()
    began = time.monotonic()
    assert vendor.client.get(NOTES).status_code == 200
    assert 0.15 < time.monotonic() - began < 20


def test_every_fault_is_described() -> None:
    assert [name for name, fault in CATALOGUE.items() if not fault.__doc__] == []
