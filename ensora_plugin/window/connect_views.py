"""The pop-up of the handshake."""

from __future__ import annotations

from typing import Any

from flask import url_for

from ..connecting import connect
from ..errors import EnsoraError, NotAnAdmin
from .forms import ConnectForm
from .htmx import fragment
from .run_views import request_run
from .views import window_page
from .web import bp, needs, scope_of, state_of_app


@bp.get("/connect")
@needs("admin")
def connect_again() -> Any:
    """The pop-up once more, for an account whose connection was lost."""
    return window_page("connect_page.html", form=ConnectForm(), may_connect=True)


@bp.post("/connect")
def connect_now() -> Any:
    """Shake hands; what goes wrong is said in the pop-up, with nothing lost but the password."""
    form = ConnectForm()
    if not form.validate_on_submit():
        return fragment("connect.html", 422, form=form, may_connect=scope_of().may("admin"))
    try:
        _shake_hands(form)
    except EnsoraError as error:
        context = {"form": form, "error": str(error), "may_connect": scope_of().may("admin")}
        return fragment("connect.html", 422, **context)
    response = fragment("connected.html")
    response.headers["HX-Redirect"] = url_for("ensora.window")
    return response


def _shake_hands(form: ConnectForm) -> None:
    scope, state = scope_of(), state_of_app()
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
    request_run()
