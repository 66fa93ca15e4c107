"""The blueprint and its guard: who gets in, and what every view works with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, make_response, request, url_for
from flask_wtf.csrf import CSRFError, generate_csrf, validate_csrf
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import ServiceUnavailable
from wtforms.validators import ValidationError

from ..access import Scope
from ..database import sqlstate
from ..kinds import BY_SLUG, SITE, Kind
from ..log import log
from ..models import Connection
from .htmx import csp_nonce, is_htmx, secure, tell
from .standing import Standing, standing

#: A database that is busy or away is worth another try after so long, in seconds.
_RETRY_SECONDS = 10
#: The address of a row. A larger number is no id, and no database takes it.
ROW = "/<slug>/<int(max=9223372036854775807):record_id>"

bp = Blueprint(
    "ensora",
    __name__,
    root_path=str(Path(__file__).parents[1]),
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)


def state_of_app() -> Any:
    return current_app.extensions["ensora"]


@bp.before_request
def _guard() -> Any:
    """Let in who is signed in, of an account that has the feature, with the permission to look."""
    if request.endpoint == "ensora.static":
        return None
    if request.method == "POST":
        _check_csrf()
    state = state_of_app()
    actor = state.host.actor()
    if actor is None:
        # Never a login page inside a table cell: the page says that the session has ended.
        return abort(401) if is_htmx() else _sign_in()
    account = state.host.account()
    where = standing(state.session, account)
    if where is None:
        abort(404)
    if not actor.permissions & {"view", "admin"}:
        abort(403)
    g.ensora_standing = where
    g.ensora_scope = Scope.of(where.connection.id, account, actor)
    return None


def _check_csrf() -> None:
    """Hold the token, also in a host that has no protection of its own."""
    if not g.get("csrf_valid"):
        try:
            validate_csrf(request.headers.get("X-CSRFToken") or request.form.get("csrf_token"))
        except ValidationError as error:
            raise CSRFError(str(error)) from None
        g.csrf_valid = True


def _sign_in() -> Any:
    """Send the person to the host's own login."""
    manager = getattr(current_app, "login_manager", None)
    return manager.unauthorized() if manager else abort(401)


@bp.after_request
def _secure(response: Response) -> Response:
    return secure(response)


@bp.errorhandler(CSRFError)
def _expired(error: CSRFError) -> Any:
    """A token that ran out on a page left open: htmx gets a new one, and nothing typed is lost."""
    if not is_htmx():
        return error
    if state_of_app().host.actor() is None:
        return make_response("", 401)
    return tell(make_response("", 400), token=generate_csrf())


@bp.errorhandler(OperationalError)
@bp.errorhandler(InternalError)
@bp.errorhandler(NoConnectionFree)
def _busy(error: SQLAlchemyError) -> Any:
    """The database is locked, away, read-only or has no connection left: said in words, not its."""
    state_of_app().session.rollback()
    code = sqlstate(error) if isinstance(error, DBAPIError) else type(error).__name__
    log.warning("database_failed", code=code)
    busy = ServiceUnavailable()
    try:
        answer = make_response(current_app.handle_http_exception(busy))
    except SQLAlchemyError:
        # The host's own page for errors may ask the database who is signed in.
        answer = make_response(busy)
    answer.headers["Retry-After"] = str(_RETRY_SECONDS)
    return answer


@bp.context_processor
def _helpers() -> dict[str, Any]:
    return {
        "csp_nonce": csp_nonce,
        "csrf_token": generate_csrf,
        "host_name": state_of_app().settings.host_name,
        **places_of_rows(),
    }


def places_of_rows() -> dict[str, str]:
    """Return the addresses to which rows lead, as their template calls them."""
    return {
        "evidence_at": url_for("ensora.window") + "evidence/",
        "history_at": url_for("ensora.history"),
    }


def scope_of() -> Scope:
    scope: Scope = g.ensora_scope
    return scope


def standing_of() -> Standing:
    """Return where the account stands, as it was read for this request."""
    found: Standing = g.ensora_standing
    return found


def look_again() -> None:
    """Read anew where the account stands, after the request changed it."""
    found = standing(state_of_app().session, scope_of().account)
    g.ensora_standing = found or standing_of()


def connection_of() -> Connection:
    return standing_of().connection


def needs(permission: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Refuse a route to who lacks a permission."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not scope_of().may(permission):
                abort(403)
            return view(*args, **kwargs)

        return guarded

    return decorate


def kind_of(slug: str) -> Kind:
    """Return the kind of a tab that is there for the actor; 404 else."""
    kind = BY_SLUG.get(slug)
    if kind is None or (kind is SITE and not scope_of().has_agency):
        abort(404)
    return kind


def closed(kind: Kind) -> int:
    """Return how many open sites close a tab; the Agencies tab is never closed."""
    return 0 if kind is SITE else standing_of().open_sites


def open_kind(slug: str) -> Kind:
    """Return the kind of a tab whose gate is open; 403 else."""
    kind = kind_of(slug)
    if closed(kind):
        abort(403)
    return kind
