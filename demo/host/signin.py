"""Signing in and out."""

from __future__ import annotations

from functools import cache

from flask import (
    Blueprint,
    Flask,
    Response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import LoginManager, current_user, login_user, logout_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response as BaseResponse

from .access import own_path
from .models import Login, db

blueprint = Blueprint("signin", __name__)


def init_app(app: Flask) -> None:
    """Add the pages and the login manager to `app`."""
    manager = LoginManager(app)
    manager.user_loader(load)
    manager.unauthorized_handler(ask)
    app.register_blueprint(blueprint)


def load(text: str) -> Login | None:
    """Return the login of a cookie, or None where it was disabled or has signed out since."""
    id, _, epoch = text.partition(".")
    if not (id.isdecimal() and epoch.isdecimal()):
        return None
    login = db.session.get(Login, int(id), options=[joinedload(Login.account)])
    return login if login and login.active and login.epoch == int(epoch) else None


def ask() -> BaseResponse:
    """Lead to the sign-in page and, after it, back to the page that was asked for."""
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("signin.login", next=target))


@blueprint.get("/login")
def login() -> str | BaseResponse:
    if current_user.is_authenticated:
        return redirect(_next())
    return render_template("host/login.html", name="", next=_next(), wrong=False)


@blueprint.post("/login")
def enter() -> BaseResponse | tuple[str, int]:
    name = request.form.get("name", "").strip()
    person = _person(name, request.form.get("password", ""))
    if person is None:
        return render_template("host/login.html", name=name, next=_next(), wrong=True), 401
    # Nothing that was planted in the session before the sign-in survives it.
    session.clear()
    session.permanent = True
    login_user(person)
    return redirect(_next())


@blueprint.post("/logout")
def logout() -> BaseResponse:
    if current_user.is_authenticated:
        current_user.epoch += 1
        db.session.commit()
    logout_user()
    session.clear()
    response: Response = redirect(url_for("signin.login"))  # type: ignore[assignment]
    return response


def _next() -> str:
    return own_path(request.values.get("next")) or url_for("admin.index")


def _person(name: str, password: str) -> Login | None:
    """Return the login, or None. An unknown name takes as long as a wrong password."""
    person = db.session.scalar(select(Login).where(Login.name == name.replace("\0", "")))
    right = check_password_hash(person.password_hash if person else _nobody(), password)
    return person if person and right and person.active else None


@cache
def _nobody() -> str:
    return generate_password_hash("nobody")
