"""The emulator's own levers, under /_emulator: scenario, journal, and people's later edits.

They ask for no credentials: the emulator holds invented data and listens on this machine only.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from demo.vendor.problems import Invalid, Problem
from demo.vendor.requests import emulator, json_answer, json_body, store
from demo.vendor.scenario import BadScenario
from demo.vendor.store import NOTES

bp = Blueprint("control", __name__, url_prefix="/_emulator")

KIND = "<any(sites, students, users):feed>/<organization>/<record_id>"


def _object(*allowed: str) -> dict[str, Any]:
    """The body as an object, {} where there is none; `allowed` names its members, () any."""
    body = json_body() if request.get_data() else {}
    if not isinstance(body, dict):
        raise Invalid([("", "must be an object")])
    unknown = sorted(body.keys() - set(allowed)) if allowed else []
    if unknown:
        raise Invalid([(name, "is not known here") for name in unknown])
    return body


@bp.put("/scenario")
def play() -> Response:
    """Play the rules in the body, in place of those before."""
    try:
        emulator().scenario.play(json_body())
    except BadScenario as error:
        raise Problem(422, str(error)) from error
    return Response(status=204)


@bp.delete("/scenario")
def clear() -> Response:
    """No more faults."""
    emulator().scenario.clear()
    return Response(status=204)


@bp.get("/journal")
def read_journal() -> Response:
    """What was requested so far, as a list."""
    return json_answer(emulator().journal.entries())


@bp.delete("/journal")
def clear_journal() -> Response:
    """Forget what was requested."""
    emulator().journal.clear()
    return Response(status=204)


@bp.post("/notes/<organization>")
def publish(organization: str) -> Response:
    """Publish a new note: the body is the note without version and times."""
    note = _object()
    missing = {"id", "siteId", "studentId", "userId", "template", "fields"} - note.keys()
    if missing:
        raise Invalid([(name, "is required") for name in sorted(missing)])
    return json_answer(store().publish_note(organization, note), 201)


@bp.post("/notes/<organization>/<note_id>/edit")
def edit(organization: str, note_id: str) -> Response:
    """Publish a note again: `{"values": {field name: value}, "members": {member: value}}`."""
    given = _object("values", "members")
    values, members = given.get("values", {}), given.get("members", {})
    return json_answer(store().edit_note(organization, note_id, values, **members))


@bp.post("/notes/<organization>/<note_id>/unpublish")
def unpublish(organization: str, note_id: str) -> Response:
    """Take a note back."""
    return json_answer(store().unpublish_note(organization, note_id))


@bp.post("/notes/<organization>/<note_id>/delete")
def delete(organization: str, note_id: str) -> Response:
    """Delete a note."""
    return json_answer(store().delete_note(organization, note_id))


@bp.patch(f"/{KIND}")
def change(feed: str, organization: str, record_id: str) -> Response:
    """Give a site, student or user the members in the body."""
    return json_answer(store().change(organization, feed, record_id, **_object()))


@bp.post(f"/{KIND}/deactivate")
def deactivate(feed: str, organization: str, record_id: str) -> Response:
    """Make a site, student or user inactive."""
    return json_answer(store().deactivate(organization, feed, record_id))


@bp.get("/<any(sites, students, users, notes):feed>/<organization>/<record_id>")
def show(feed: str, organization: str, record_id: str) -> Response:
    """A record, with the members that the API takes but never gives back."""
    return json_answer(store().get(organization, NOTES if feed == "notes" else feed, record_id))


@bp.delete("/tokens/<organization>")
def revoke(organization: str) -> Response:
    """Revoke every token of an organization."""
    return json_answer({"revoked": store().revoke_tokens(organization)})
