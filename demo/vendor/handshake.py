"""Tokens: the handshake, whose a token is, the way out; and the checks that guard every route."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from demo.vendor.fields import Member, checked, text
from demo.vendor.problems import Problem
from demo.vendor.requests import json_answer, json_body, store
from demo.vendor.tokens import Login

bp = Blueprint("handshake", __name__)

HANDSHAKE = {name: Member(text, True) for name in ("username", "password", "application")}


def require_user_agent() -> None:
    """The application must name itself: 403 without a User-Agent."""
    if not request.headers.get("User-Agent", "").strip():
        raise Problem(403, "Name your application in the header User-Agent.")


def require_token() -> tuple[Login, str]:
    """HTTP Basic, organization id and token: whose the token is and when it was made, or 401."""
    given = request.authorization
    owner = None
    if given is not None and given.type == "basic" and given.username and given.password:
        owner = store().token_owner(given.username, given.password)
    if owner is None:
        raise Problem(401, "The token is unknown or was revoked.")
    g.organization = owner[0].organization
    return owner


@bp.post("/v1/tokens")
def create_token() -> Response:
    """An administrator's name and password buy a token for their organization."""
    require_user_agent()
    given = checked(json_body(), HANDSHAKE)
    login = store().login(given["username"], given["password"])
    if login is None:
        raise Problem(401, "Wrong username or password.")
    if login.role != "Admin":
        raise Problem(403, "Only an Admin of the organization can connect an application.")
    token = store().issue_token(login, given["application"])
    return json_answer({"token": token, **login.as_json()}, 201)


@bp.get("/v1/tokens/current")
def current_token() -> Response:
    """Whose this token is."""
    require_user_agent()
    login, created_at = require_token()
    return json_answer({**login.as_json(), "createdAt": created_at})


@bp.delete("/v1/tokens/current")
def revoke_current_token() -> Response:
    """Disconnect."""
    require_user_agent()
    require_token()
    assert request.authorization is not None  # noqa: S101 - require_token has seen it
    store().revoke_token(request.authorization.password or "")
    return Response(status=204)
