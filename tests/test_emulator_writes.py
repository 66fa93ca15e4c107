"""Students and users that an application creates or replaces at the emulator."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulator_world import NEW_STUDENT, NEW_USER, ORGANIZATION, Emulated, fields_of


@pytest.fixture
def vendor() -> Emulated:
    return Emulated()


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def test_one_key_sent_by_many_at_once_creates_one_record(vendor: Emulated) -> None:
    same = key()

    def create(number: int) -> tuple[int, bytes]:
        body = {**NEW_STUDENT, "firstName": f"Nora {number}"}
        answer = vendor.client.post("/v1/students", json=body, headers=same)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(create, range(40)))
    assert len(answers) == 1
    assert len(vendor.whole("students")) == 4


def test_a_student_is_created_once_for_one_key(vendor: Emulated) -> None:
    same = key()
    first = vendor.client.post("/v1/students", json=NEW_STUDENT, headers=same)
    assert first.status_code == 201
    upper = {"Idempotency-Key": same["Idempotency-Key"].upper()}
    again = vendor.client.post("/v1/students", json={"other": 1}, headers=upper)
    assert (again.status_code, again.content) == (201, first.content)
    twin = {**NEW_STUDENT, "firstName": "NORA "}
    refused = vendor.client.post("/v1/students", json=twin, headers=key())
    assert refused.status_code == 409
    assert refused.json()["existingId"] == first.json()["id"]
    assert vendor.whole("students")[-1] == first.json()
    assert "gender" not in first.json()
    assert vendor.store.get(ORGANIZATION, "students", first.json()["id"])["gender"] == "F"


def test_a_refusal_is_the_first_answer_too(vendor: Emulated) -> None:
    same = key()
    first = vendor.client.post("/v1/users", json={}, headers=same)
    assert fields_of(first)
    again = vendor.client.post("/v1/users", json=NEW_USER, headers=same)
    assert (again.status_code, again.content) == (422, first.content)
    assert again.headers["Content-Type"] == "application/problem+json"


def test_a_broken_body_leaves_the_key_unused(vendor: Emulated) -> None:
    same = key() | {"Content-Type": "application/json"}
    assert vendor.client.post("/v1/users", content=b"{", headers=same).status_code == 400
    assert vendor.client.post("/v1/users", json=NEW_USER, headers=same).status_code == 201


def test_a_user_is_created_as_employee_and_replaced(vendor: Emulated) -> None:
    made = vendor.client.post("/v1/users", json=NEW_USER, headers=key()).json()
    assert (made["type"], made["active"]) == ("Employee", True)
    refused = vendor.client.post(
        "/v1/users", json={**NEW_USER, "email": "TOM@north.example"}, headers=key()
    )
    assert (refused.status_code, refused.json()["existingId"]) == (409, made["id"])
    changed = vendor.client.put(
        f"/v1/users/{made['id']}", json={**NEW_USER, "title": "RBT", "active": False}
    )
    assert changed.status_code == 200
    assert (changed.json()["title"], changed.json()["active"]) == ("RBT", False)
    assert vendor.whole("users")[-1] == changed.json()
    parent = vendor.client.put("/v1/users/usr-2", json=NEW_USER)
    assert parent.json()["type"] == "Parent"
    assert vendor.client.put("/v1/users/nobody", json=NEW_USER).status_code == 404


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("siteId", "site-9"),
        ("siteId", ["site-1"]),
        ("firstName", ""),
        ("dateOfBirth", "2015-02-29"),
        ("dateOfBirth", "2015-W01-1"),
        ("timeZone", "Mars/North"),
        ("timeZone", "../etc/passwd"),
        ("active", "yes"),
        ("gender", 1),
    ],
)
def test_a_wrong_member_is_named(vendor: Emulated, member: str, value: object) -> None:
    before = vendor.whole("students")
    body = {**NEW_STUDENT, member: value}
    assert fields_of(vendor.client.post("/v1/students", json=body, headers=key())) == [member]
    assert fields_of(vendor.client.put("/v1/students/stu-1", json=body)) == [member]
    assert vendor.whole("students") == before


def test_half_a_surrogate_pair_is_no_name(vendor: Emulated) -> None:
    body = json.dumps({**NEW_STUDENT, "lastName": "\ud800"}).encode()
    headers = key() | {"Content-Type": "application/json"}
    answer = vendor.client.post("/v1/students", content=body, headers=headers)
    assert fields_of(answer) == ["lastName"]


def test_every_wrong_member_is_named_at_once(vendor: Emulated) -> None:
    body = {**NEW_USER, "siteIds": [], "email": "nowhere", "phone": None}
    del body["address"]
    wrong = fields_of(vendor.client.post("/v1/users", json=body, headers=key()))
    assert wrong == ["siteIds", "email", "phone", "address"]


@pytest.mark.parametrize("wrong", [{}, {"Idempotency-Key": "1"}, {"Idempotency-Key": "0" * 36}])
def test_a_write_needs_a_uuid_as_key(vendor: Emulated, wrong: dict[str, str]) -> None:
    answer = vendor.client.post("/v1/students", json=NEW_STUDENT, headers=wrong)
    assert fields_of(answer) == ["Idempotency-Key"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"siteId": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"9" * 5000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b" " * (1 << 20) + b"{}", "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_is_refused(
    vendor: Emulated, body: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type}
    answer = vendor.client.put("/v1/students/stu-1", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
