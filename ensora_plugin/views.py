"""The Synchronization window: pages and fragments. Guard, fetch, one call, respond."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_wtf.csrf import CSRFError, generate_csrf, validate_csrf
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import ServiceUnavailable
from wtforms.validators import ValidationError

from . import runs, schedule
from .access import Scope, open_sites
from .choices import may_choose, options
from .connecting import connect, find_connection
from .database import begin_write, sqlstate
from .errors import EnsoraError, NotAllowed, NotAnAdmin
from .forms import ConnectForm, RowForm
from .htmx import csp_nonce, fragment, is_htmx, refresh, secure, tell
from .kinds import BY_SLUG, KINDS, SITE, USER, Kind
from .listing import STATES, Filters, counts, list_page, list_row, sites_of_users
from .log import log
from .mapping import dependents, lock_account, map_record, unmap_record
from .models import Connection
from .panel import progress
from .rows import RowView, row_view, why_not_changed
from .withdrawing import Desk

#: A database that is busy or away is worth another try after so long, in seconds.
_RETRY_SECONDS = 10
#: A larger number is no id, and no database takes it.
_ID = "int(max=9223372036854775807)"

bp = Blueprint(
    "ensora",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)


def _state() -> Any:
    return current_app.extensions["ensora"]


@bp.before_request
def _guard() -> Any:
    """Let in who is signed in, of an account that has the feature, with the permission to look."""
    if request.endpoint == "ensora.static":
        return None
    if request.method == "POST":
        _check_csrf()
    state = _state()
    actor = state.host.actor()
    if actor is None:
        return refresh() if is_htmx() else _sign_in()
    account = state.host.account()
    connection = find_connection(state.session, account)
    if connection is None:
        abort(404)
    if not actor.permissions & {"view", "admin"}:
        abort(403)
    g.ensora_connection = connection
    g.ensora_scope = Scope.of(connection.id, account, actor)
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
    """A token that ran out on a page left open: htmx loads the page anew, with a new one."""
    return refresh() if is_htmx() else error


@bp.errorhandler(OperationalError)
@bp.errorhandler(InternalError)
@bp.errorhandler(NoConnectionFree)
def _busy(error: SQLAlchemyError) -> Any:
    """The database is locked, away, read-only or has no connection left: said in words, not its."""
    _state().session.rollback()
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
        "host_name": _state().settings.host_name,
    }


def _scope() -> Scope:
    scope: Scope = g.ensora_scope
    return scope


def _connection() -> Connection:
    connection: Connection = g.ensora_connection
    return connection


def needs(permission: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Refuse a route to who lacks a permission."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not _scope().may(permission):
                abort(403)
            return view(*args, **kwargs)

        return guarded

    return decorate


def _kind(slug: str) -> Kind:
    """Return the kind of a tab that is there for the actor; 404 else."""
    kind = BY_SLUG.get(slug)
    if kind is None or (kind is SITE and not _scope().has_agency):
        abort(404)
    return kind


def _closed(kind: Kind) -> int:
    """Return how many open sites close a tab; the Agencies tab is never closed."""
    return 0 if kind is SITE else open_sites(_state().session, _scope().account_id)


def _open_kind(slug: str) -> Kind:
    """Return the kind of a tab whose gate is open; 403 else."""
    kind = _kind(slug)
    if _closed(kind):
        abort(403)
    return kind


def _search() -> str:
    # PostgreSQL takes no NUL.
    return request.args.get("q", "").replace("\0", "")[:255]


def _filters() -> Filters:
    state = request.args.get("show", "all")
    return Filters(
        state=state if state in STATES else "all",
        search=_search(),
        inactive=request.args.get("inactive") == "1",
        after=request.args.get("after", ""),
        before=request.args.get("before", ""),
    )


# What a page shows and a fragment renders comes from the same function.


def _tabs_context(current: Kind | None) -> dict[str, Any]:
    scope, session = _scope(), _state().session
    closed = open_sites(session, scope.account_id)
    tabs = [
        {
            "kind": kind,
            "counts": counts(session, scope, kind, inactive=_filters().inactive),
            "closed": closed and kind is not SITE,
        }
        for kind in KINDS
        if kind is not SITE or scope.has_agency
    ]
    return {"tabs": tabs, "current": current, "open_sites": closed}


def _states_context(kind: Kind) -> dict[str, Any]:
    scope, filters = _scope(), _filters()
    counted = counts(_state().session, scope, kind, inactive=filters.inactive)
    return {"kind": kind, "filters": filters, "states": STATES, "counts": counted}


def _rows_context(kind: Kind) -> dict[str, Any]:
    state, scope, filters = _state(), _scope(), _filters()
    page = list_page(state.session, scope, state.host, kind, filters)
    return {
        "kind": kind,
        "rows": _views(kind, page.rows),
        "page": page,
        "filters": filters,
        "has_agency": scope.has_agency,
    }


def _views(kind: Kind, rows: list[Any]) -> list[RowView]:
    state, scope = _state(), _scope()
    sites = {}
    if kind is USER:
        sites = sites_of_users(state.session, scope, [row[0].vendor_id for row in rows])
    back = url_for("ensora.created", slug=kind.slug)
    return [row_view(row, scope, state.host, kind, sites=sites, back=back) for row in rows]


def _may_sync() -> bool:
    scope = _scope()
    allowed = scope.may("admin") or (scope.may("map") and scope.has_agency)
    return _connection().state == "connected" and allowed


def _progress_context() -> dict[str, Any]:
    return {
        "panel": progress(_state().session, _connection()),
        "may_sync": _may_sync(),
        "may_connect": _scope().may("admin"),
    }


def _window(template: str, **context: Any) -> str:
    return render_template(
        f"ensora/{template}", base=_state().host.base_template, connection=_connection(), **context
    )


@bp.get("/")
def window() -> Any:
    """The address of the Synchronization button: the first open tab, or the pop-up."""
    if _connection().state == "activated":
        return _window("connect_page.html", form=ConnectForm(), may_connect=_scope().may("admin"))
    slug = SITE.slug if _scope().has_agency else KINDS[1].slug
    return redirect(url_for("ensora.tab", slug=slug))


@bp.get("/connect")
@needs("admin")
def connect_again() -> Any:
    """The pop-up once more, for an account whose connection was lost."""
    return _window("connect_page.html", form=ConnectForm(), may_connect=True)


@bp.post("/connect")
def connect_now() -> Any:
    """Shake hands; what goes wrong is said in the pop-up, with nothing lost but the password."""
    form = ConnectForm()
    if not form.validate_on_submit():
        return fragment("connect.html", 422, form=form, may_connect=_scope().may("admin"))
    try:
        _shake_hands(form)
    except EnsoraError as error:
        context = {"form": form, "error": str(error), "may_connect": _scope().may("admin")}
        return fragment("connect.html", 422, **context)
    response = fragment("connected.html")
    response.headers["HX-Redirect"] = url_for("ensora.window")
    return response


def _shake_hands(form: ConnectForm) -> None:
    scope, state = _scope(), _state()
    if not scope.may("admin"):
        raise NotAnAdmin(
            "You are no administrator here; the handshake needs an Admin of both systems."
        )
    with state.vendor() as vendor:
        connect(
            state.session,
            scope.account,
            vendor,
            state.sealer,
            username=form.username.data,
            password=form.password.data,
            by=scope.actor.name,
        )
    _request_run()


def _request_run() -> None:
    """Make a run, or find the one that is live, and wake a worker for it."""
    scope, state = _scope(), _state()
    run_id = schedule.request_run(state.session, scope.account_id, scope.actor.name)
    schedule.ring(schedule.open_queue(state.settings.redis_url), run_id, 0)


@bp.post("/sync")
def sync_now() -> Any:
    """Ask for a run now; a double click makes one."""
    if not _may_sync():
        abort(403)
    _request_run()
    return fragment("progress.html", **_progress_context())


@bp.post("/stop")
def stop_run() -> Any:
    """Stop the pull that goes on; what it stored stays, and the next one goes on there."""
    if not _may_sync():
        abort(403)
    scope, state = _scope(), _state()
    runs.ask_to_stop(state.session, scope.account_id, scope.actor.name)
    return tell(fragment("progress.html", **_progress_context()), changed={}, rows={})


@bp.get("/progress")
def progress_panel() -> Any:
    """The panel that polls while a run goes on; its last answer says that the run has ended."""
    context = _progress_context()
    response = fragment("progress.html", **context)
    # Counts move while a run goes on; rows come anew with each step and at the end. A short run
    # may have ended before it was seen at any step.
    events: dict[str, Any] = {"changed": {}}
    panel = context["panel"]
    if not panel.live or request.args.get("was") != str(panel.step):
        events["rows"] = {}
    return tell(response, **events) if "was" in request.args else response


@bp.get("/tabs")
def tabs() -> Any:
    """The tabs with their counts, anew after a change."""
    return fragment("tabs.html", **_tabs_context(BY_SLUG.get(request.args.get("current", ""))))


@bp.get("/<slug>/")
def tab(slug: str) -> Any:
    """A tab's page; a closed one says how many sites are to be mapped first."""
    kind = _kind(slug)
    if _connection().state == "activated":
        return redirect(url_for("ensora.window"))
    context = {**_tabs_context(kind), **_progress_context()}
    if _closed(kind):
        return _window("closed.html", kind=kind, **context), 403
    context |= _states_context(kind) | _rows_context(kind)
    return _window("tab.html", **context)


@bp.get("/<slug>/states")
def states(slug: str) -> Any:
    """The filters by state with their counts, anew after a change."""
    return fragment("states.html", **_states_context(_open_kind(slug)))


@bp.get("/<slug>/rows")
def rows(slug: str) -> Any:
    """The table of a tab by its filters."""
    return fragment("table.html", **_rows_context(_open_kind(slug)))


def _row(kind: Kind, record_id: int) -> Any:
    state = _state()
    row = list_row(state.session, _scope(), state.host, kind, record_id)
    return row if row is not None else abort(404)


def _row_answer(
    kind: Kind, record_id: int, status: int = 200, message: str = "", *, confirm: str = ""
) -> Response:
    view = _views(kind, [_row(kind, record_id)])[0]
    return fragment("row.html", status, row=view, message=message, confirm=confirm)


@bp.get(f"/<slug>/<{_ID}:record_id>/options")
@needs("map")
def row_options(slug: str, record_id: int) -> Any:
    """What the drop-down of a row offers for what was typed."""
    kind, state = _open_kind(slug), _state()
    row = _row(kind, record_id)
    search = _search()
    offered = options(state.session, _scope(), state.host, kind, row[0], search)
    view = _views(kind, [row])[0]
    return fragment("options.html", row=view, options=offered, search=search)


@bp.post(f"/<slug>/<{_ID}:record_id>/map")
@needs("map")
def map_row(slug: str, record_id: int) -> Any:
    """Map a row to what was chosen in its drop-down."""
    return _change(slug, record_id, _map)


@bp.post(f"/<slug>/<{_ID}:record_id>/unmap")
@needs("map")
def unmap_row(slug: str, record_id: int) -> Any:
    """Delete the mapping of a row."""
    return _change(slug, record_id, _unmap)


@bp.get("/<slug>/created")
@needs("map")
def created(slug: str) -> Any:
    """The way back from a create page of the host: what is to map in the tab."""
    kind = _open_kind(slug)
    address = url_for("ensora.tab", slug=kind.slug, show="to-map")
    return redirect(address)


def _change(slug: str, record_id: int, verb: Callable[[Desk, Kind, Any, RowForm], str]) -> Response:
    """Do a change of a row in one transaction and answer with the row as it stands then."""
    kind, scope, state = _open_kind(slug), _scope(), _state()
    form = RowForm()
    if not form.validate_on_submit():
        return _row_answer(kind, record_id, 422, "This could not be read; load the page again.")
    begin_write(state.session)
    desk = Desk(
        state.session, scope.account_id, scope.account, state.host, state.sealer, scope.actor.name
    )
    lock_account(state.session, scope.account_id)
    row = _row(kind, record_id)
    try:
        if reason := why_not_changed(row):
            raise NotAllowed(f"{reason}.")
        told = verb(desk, kind, row[0], form)
    except Consequent as question:
        state.session.rollback()
        return _row_answer(kind, record_id, 409, str(question), confirm=question.host_id)
    except (EnsoraError, IntegrityError) as error:
        state.session.rollback()
        # A database's own words may quote health data; a unique constraint was quicker here.
        said = str(error) if isinstance(error, EnsoraError) else _QUICKER
        return _row_answer(kind, record_id, 409, said)
    schedule.hasten(state.session, scope.account_id)
    state.session.commit()
    return tell(_row_answer(kind, record_id), changed={}, toast={"text": told})


class Consequent(NotAllowed):
    """Raised to ask first: a change has consequences for what depends on the mapping."""

    def __init__(self, depending: int, host_id: str) -> None:
        what = "1 mapping stands" if depending == 1 else f"{depending} mappings stand"
        super().__init__(
            f"{what} on this one. Automatic ones are removed and tried again, and their notes "
            "leave their appointments; what is locked or was mapped by a person stays."
        )
        self.host_id = host_id


_QUICKER = "Somebody else mapped one of the two meanwhile. Look at it as it stands now."


def _map(desk: Desk, kind: Kind, record: Any, form: RowForm) -> str:
    host_id = form.host_id.data or ""
    if not may_choose(desk.session, _scope(), desk.host, kind, host_id):
        raise NotAllowed(f"There is no such {kind.entity_noun.lower()} in your agencies.")
    depending = dependents(desk, kind, record)
    if depending and not form.confirmed.data and form.seen.data:
        raise Consequent(depending, host_id)
    map_record(desk, kind, record, host_id, seen=form.seen.data)
    return f"{kind.noun} mapped"


def _unmap(desk: Desk, kind: Kind, record: Any, form: RowForm) -> str:
    unmap_record(desk, kind, record, seen=form.seen.data)
    return "Mapping deleted"
