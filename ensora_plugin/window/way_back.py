"""The way back from a create page of the host: what was created is mapped to its row at once."""

from __future__ import annotations

from flask import current_app
from itsdangerous import BadSignature, URLSafeTimedSerializer

from .web import scope_of

#: Seconds in which a create page is expected to lead back.
_LONGEST = 12 * 3600


def way_back() -> str:
    """Return a token that only a page of this person's carries: without it nothing is mapped."""
    scope = scope_of()
    return str(_signer().dumps([scope.account_id, scope.actor.id]))


def is_way_back(token: str) -> bool:
    """Tell whether a token was made for the person of the request, and not too long ago."""
    scope = scope_of()
    try:
        made_for = _signer().loads(token, max_age=_LONGEST)
    except BadSignature:
        return False
    return bool(made_for == [scope.account_id, scope.actor.id])


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="ensora-created")
