"""The emulator held against the contract: every path, method and status, every answer's schema."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from demo.vendor import Store, create_app
from tests.emulator_world import ADMIN, FEEDS, NEW_STUDENT, NEW_USER, ORGANIZATION, Emulated

CONTRACT = yaml.safe_load(
    (Path(__file__).parent.parent / "docs" / "vendor-api.yaml").read_text("utf-8")
)
REGISTRY: Registry[Any] = Registry().with_resource(
    "urn:contract", Resource(contents=CONTRACT, specification=DRAFT202012)
)
METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}

#: What the contract says of errors in words: RFC 9457, `errors` for 422, `existingId` for 409.
TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {"title": TEXT, "status": {"type": "integer"}, "detail": TEXT},
}
FIELD_ERROR = {"type": "object", "required": ["field", "message"]}
ALSO = {
    409: {"required": ["existingId"], "properties": {"existingId": TEXT}},
    422: {
        "required": ["errors"],
        "properties": {"errors": {"type": "array", "minItems": 1, "items": FIELD_ERROR}},
    },
}
CURRENT = {"required": ["organization", "user", "createdAt"]}


def documented() -> Iterator[tuple[str, str, int]]:
    """Every (path, method, status) of the contract."""
    for path, operations in CONTRACT["paths"].items():
        for method in METHODS & operations.keys():
            for status in operations[method]["responses"]:
                yield path, method.upper(), int(status)


def schema(path: str, method: str, status: int) -> dict[str, Any] | None:
    """Where the contract has the schema of this answer's body, as a reference; None without one."""
    place = ["paths", path, method.lower(), "responses", str(status)]
    response: Any = CONTRACT
    for step in place:
        response = response[step]
    if "$ref" in response:
        place = response["$ref"].removeprefix("#/").split("/")
        response = CONTRACT["components"]["responses"][place[-1]]
    if "content" not in response:
        return None
    place += ["content", "application/json", "schema"]
    pointer = "/".join(step.replace("~", "~0").replace("/", "~1") for step in place)
    return {"$ref": f"urn:contract#/{pointer}"}


def check(body: Any, wanted: dict[str, Any]) -> None:
    """The body is right by the schema, formats of dates and times included."""
    validator = Draft202012Validator(
        wanted, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
    assert errors == []


class Exercise:
    """Sends requests and holds their answers against the contract; remembers what it has seen."""

    def __init__(self, vendor: Emulated) -> None:
        self.client = vendor.client
        self.seen: set[tuple[str, str, int]] = set()

    def __call__(
        self, method: str, path: str, status: int, record_id: str = "", **how: Any
    ) -> httpx2.Response:
        answer = self.client.request(method, path.replace("{id}", record_id), **how)
        assert answer.status_code == status, answer.text
        assert (path, method, status) in set(documented())
        self.seen.add((path, method, status))
        if status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
            check(answer.json(), {"allOf": [PROBLEM, ALSO.get(status, {})]})
            assert answer.json()["status"] == status
        elif status == 204:
            assert answer.content == b""
        else:
            assert answer.headers["Content-Type"] == "application/json"
            check(answer.json(), schema(path, method, status) or CURRENT)
        return answer


def exercise_feed(send: Exercise, vendor: Emulated, path: str) -> None:
    """A feed's every status."""
    vendor.scenario.clear()
    cursor = send("GET", path, 200, params={"size": 2}).json()["cursor"]
    assert len(cursor) <= 512
    send("GET", path, 200, params={"cursor": cursor, "size": 100})
    send("GET", path, 401, auth=(ORGANIZATION, "not a token"))
    send("GET", path, 410, params={"cursor": "never given"})
    vendor.play("status", code=429, retry_after=7)
    assert send("GET", path, 429).headers["Retry-After"] == "7"
    vendor.scenario.clear()


def exercise_writes(send: Exercise, path: str, body: dict[str, Any], record_id: str) -> None:
    """POST and PUT, every status."""

    def key() -> dict[str, str]:
        return {"Idempotency-Key": str(uuid.uuid4())}

    made = send("POST", path, 201, json=body, headers=key()).json()
    twin = send("POST", path, 409, json=body, headers=key()).json()
    assert twin["existingId"] == made["id"]
    send("POST", path, 422, json={}, headers=key())
    one = path + "/{id}"
    send("PUT", one, 200, record_id, json=body)
    send("PUT", one, 404, "nobody", json=body)
    send("PUT", one, 422, record_id, json={})


def exercise_tokens(send: Exercise, vendor: Emulated) -> None:
    """The handshake's and the token's every status; the last one revokes the client's token."""
    send("POST", "/v1/tokens", 201, json=ADMIN)
    send("POST", "/v1/tokens", 401, json={**ADMIN, "password": "wrong"})
    aide = {"username": "aide@north.example", "password": "aide-demo"}
    send("POST", "/v1/tokens", 403, json={**ADMIN, **aide})
    send("POST", "/v1/tokens", 403, json=ADMIN, headers={"User-Agent": ""})
    vendor.play("status", code=429, retry_at=60)
    assert send("POST", "/v1/tokens", 429, json=ADMIN).headers["Retry-After"].endswith(" GMT")
    vendor.scenario.clear()
    current = "/v1/tokens/current"
    send("GET", current, 200)
    send("DELETE", current, 204)
    send("GET", current, 401)
    send("DELETE", current, 401)


def test_every_path_method_and_status_is_answered_as_the_contract_says() -> None:
    vendor = Emulated()
    vendor.store.edit_note(ORGANIZATION, "note-3", {"Notes": "new"})
    vendor.store.unpublish_note(ORGANIZATION, "note-2")
    vendor.store.delete_note(ORGANIZATION, "note-1")
    send = Exercise(vendor)
    exercise_writes(send, "/v1/students", NEW_STUDENT, "stu-1")
    exercise_writes(send, "/v1/users", NEW_USER, "usr-1")
    for feed in FEEDS:
        exercise_feed(send, vendor, f"/v1/{feed}")
    exercise_tokens(send, vendor)
    assert set(documented()) - send.seen == set()


def test_the_emulator_has_no_route_beside_the_contract() -> None:
    app = create_app(Store(":memory:"))
    routes = app.url_map.bind("vendor.test")
    operations = {(path, method) for path, method, _ in documented()}
    for path in CONTRACT["paths"]:
        concrete = path.replace("{id}", "some-id")
        allowed = set(routes.allowed_methods(concrete)) - {"HEAD", "OPTIONS"}
        assert allowed == {method for its, method in operations if its == path}, path
    patterns = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/v1")}
    assert len(patterns) == 5  # tokens, current, a feed, a kind, one of a kind


def test_a_missing_member_would_be_seen() -> None:
    page = {"items": [{"id": "site-1"}], "cursor": "c", "hasMore": False}
    wanted = schema("/v1/sites", "GET", 200)
    assert wanted is not None
    with pytest.raises(AssertionError, match="'name' is a required property"):
        check(page, wanted)
    site = {"id": "s", "name": "n", "active": True, "modifiedAt": "yesterday"}
    with pytest.raises(AssertionError, match="date-time"):
        check({**page, "items": [site]}, wanted)
