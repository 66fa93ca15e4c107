"""Scenarios, which request meets which fault; the journal; and people's later edits over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.emulator_world import ORGANIZATION, Emulated

NOTES = "/v1/session-notes"


@pytest.fixture
def vendor() -> Emulated:
    return Emulated()


def statuses(vendor: Emulated, count: int, path: str = NOTES) -> list[int]:
    return [vendor.client.get(path).status_code for _ in range(count)]


def test_nth_and_times_count_matching_requests_only(vendor: Emulated) -> None:
    vendor.scenario.play(
        [
            {
                "match": {"feed": "session-notes", "nth": 2},
                "fault": "status",
                "args": {"code": 500},
            },
            {
                "match": {"feed": "session-notes", "nth": 3},
                "fault": "status",
                "args": {"code": 502},
            },
            {"match": {"path": "/v1/users"}, "times": 2, "fault": "status", "args": {"code": 503}},
        ]
    )
    assert statuses(vendor, 2, "/v1/sites") == [200, 200]
    assert statuses(vendor, 4) == [200, 500, 502, 200]
    assert statuses(vendor, 3, "/v1/users") == [503, 503, 200]


def test_rules_match_method_organization_and_cursor(vendor: Emulated) -> None:
    vendor.play("status", {"method": "POST"}, code=500)
    assert statuses(vendor, 1) == [200]
    vendor.play("status", {"organization": "org-south"}, code=500)
    assert statuses(vendor, 1) == [200]
    vendor.play("status", {"organization": ORGANIZATION, "cursor": True}, code=500)
    assert statuses(vendor, 1) == [200]
    cursor = vendor.page("session-notes")["cursor"]
    assert vendor.client.get(NOTES, params={"cursor": cursor}).status_code == 500
    vendor.play("status", {"cursor": cursor}, code=502)
    assert vendor.client.get(NOTES, params={"cursor": cursor}).status_code == 502
    vendor.play("status", {"cursor": False}, code=504)
    assert statuses(vendor, 1) == [504]


def test_the_journal_has_requests_and_neither_bodies_nor_credentials(vendor: Emulated) -> None:
    vendor.play("status", {"feed": "sites"}, code=500)
    vendor.client.get("/v1/sites", params={"size": 3})
    vendor.client.post("/v1/tokens", json={"username": "u", "password": "secret"})
    vendor.play("reset")
    vendor.client.get("/v1/users")
    journal = vendor.client.get("/_emulator/journal").json()
    facts = [(e["method"], e["path"], e["query"], e["status"], e["fault"]) for e in journal]
    assert facts == [
        ("GET", "/v1/sites", "size=3", 500, "status"),
        ("POST", "/v1/tokens", "", 422, None),
        ("GET", "/v1/users", "", None, "reset"),
    ]
    assert "secret" not in str(journal)
    assert vendor.token not in str(journal)


def test_scenarios_over_http_and_what_they_may_not_be(vendor: Emulated) -> None:
    where = "/_emulator/scenario"
    rule = {"match": {"feed": "sites"}, "fault": "status", "times": None, "args": {"code": 502}}
    assert vendor.client.put(where, json=[rule]).status_code == 204
    for wrong in (
        {},
        [1],
        [{"fault": "no such fault"}],
        [{**rule, "args": {"colour": 1}}],
        [{**rule, "args": {}}],
        [{**rule, "match": {"moon": "full"}}],
        [{**rule, "times": -1}],
        [{**rule, "when": "now"}],
    ):
        refused = vendor.client.put(where, json=wrong)
        assert refused.status_code == 422
        assert refused.json()["detail"]
    assert statuses(vendor, 1, "/v1/sites") == [502]
    assert vendor.client.delete(where).status_code == 204
    assert statuses(vendor, 1, "/v1/sites") == [200]


def test_later_edits_over_http(vendor: Emulated) -> None:
    end = vendor.page("session-notes", size=100)["cursor"]
    base = f"/_emulator/notes/{ORGANIZATION}"

    def post(path: str, **body: Any) -> httpx2.Response:
        return vendor.client.post(path, json=body)

    post(f"{base}/note-1/edit", values={"Notes": "other"}, members={"appointmentId": "7"})
    vendor.client.post(f"{base}/note-2/unpublish")
    vendor.client.post(f"{base}/note-3/delete")
    sound = vendor.store.get(ORGANIZATION, "session-notes", "note-9")
    assert post(base, **{**sound, "id": "note-50"}).status_code == 201
    assert post(base, id="note-51").status_code == 422
    assert post(f"{base}/note-77/edit").status_code == 404
    later = vendor.page("session-notes", cursor=end)["items"]
    facts = [(n["id"], n["version"], n["status"], n["appointmentId"]) for n in later]
    assert facts == [
        ("note-1", 2, "published", "7"),
        ("note-2", 2, "unpublished", None),
        ("note-3", 2, "deleted", None),
        ("note-50", 1, "published", None),
    ]
    site = f"/_emulator/sites/{ORGANIZATION}/site-1"
    vendor.client.patch(site, json={"name": "Renamed"})
    vendor.client.post(f"{site}/deactivate")
    assert vendor.client.get(site).json() == vendor.page("sites")["items"][-1]
    assert (vendor.page("sites")["items"][-1]["name"]) == "Renamed"
    assert vendor.client.delete(f"/_emulator/tokens/{ORGANIZATION}").json() == {"revoked": 1}
    assert statuses(vendor, 1) == [401]
