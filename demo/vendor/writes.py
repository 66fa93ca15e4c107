"""Students and users that an application creates or replaces."""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import Blueprint, Response, g, request

from demo.vendor.fields import STUDENT, USER, checked
from demo.vendor.handshake import require_token, require_user_agent
from demo.vendor.problems import Invalid, Problem, problem
from demo.vendor.requests import json_answer, json_body, store
from demo.vendor.store import PRIVATE, NoSuchRecord

bp = Blueprint("writes", __name__)

MEMBERS = {"students": STUDENT, "users": USER}
PREFIX = {"students": "stu", "users": "usr"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def idempotency_key() -> str:
    """The header Idempotency-Key, a UUID, in lower case; 422 without it."""
    key = request.headers.get("Idempotency-Key", "")
    if not UUID.fullmatch(key):
        raise Invalid([("Idempotency-Key", "must be a UUID")])
    return key.lower()


def unknown_sites(given: dict[str, Any]) -> list[tuple[str, str]]:
    """An error for every member that names a site which the organization has not."""
    named = [("siteId", given["siteId"])] if "siteId" in given else []
    named += [("siteIds", site) for site in given.get("siteIds", [])]
    errors = []
    for member, site in named:
        try:
            store().get(g.organization, "sites", site)
        except NoSuchRecord:
            errors.append((member, f"there is no site {site!r}"))
    return errors


def given_record(kind: str) -> dict[str, Any]:
    """The body as a record without its id; `active` is true unless it says otherwise."""
    return {"active": True, **checked(json_body(), MEMBERS[kind], unknown_sites)}


def created(kind: str) -> Response:
    """The answer to a request to create: 201, 409 or 422."""
    try:
        record = given_record(kind)
    except Invalid as wrong:
        return wrong.response()
    existing = store().twin(g.organization, kind, record)
    if existing is not None:
        return problem(409, "It is there already.", existingId=existing)
    record = {"id": f"{PREFIX[kind]}-{secrets.token_hex(8)}", **record}
    if kind == "users":
        record["type"] = "Employee"
    return json_answer(store().put(g.organization, kind, record, PRIVATE[kind]), 201)


@bp.post("/v1/<any(students, users):kind>")
def create(kind: str) -> Response:
    """Create a record; a repeated Idempotency-Key gets the first answer again: 201, 409 or 422.

    A request that could not be read (400, 415) got no such answer; its key is still unused.
    """
    require_user_agent()
    require_token()
    key = idempotency_key()
    with store().transaction():
        first = store().answer_once(g.organization, kind, key)
        if first is not None:
            return answer_again(*first)
        answer = created(kind)
        body = answer.get_data()
        store().keep_answer(g.organization, kind, key, answer.status_code, body)
    return answer


def answer_again(status: int, body: bytes) -> Response:
    """The first answer to an Idempotency-Key."""
    answer = json_answer(body, status)
    if status >= 400:
        answer.content_type = "application/problem+json"
    return answer


@bp.put("/v1/<any(students, users):kind>/<record_id>")
def replace(kind: str, record_id: str) -> Response:
    """Replace a record's data; a user keeps their type."""
    require_user_agent()
    require_token()
    with store().transaction():
        try:
            old = store().get(g.organization, kind, record_id)
        except NoSuchRecord as error:
            raise Problem(404, f"There is no such {kind.removesuffix('s')}.") from error
        record = {"id": record_id, **given_record(kind)}
        if kind == "users":
            record["type"] = old["type"]
        return json_answer(store().put(g.organization, kind, record, PRIVATE[kind]))
