"""Headers of every response, and the pages that people see when something is refused or broken."""

from __future__ import annotations

from flask import Flask, Response, render_template
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException

POLICY = "; ".join(
    (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: What people read instead of the words of the protocol.
WORDS = {
    403: "You may not do this. Ask an administrator of your practice for the permission.",
    404: "There is no such page, or it is not yours to see.",
    500: "Something went wrong on our side. Nothing was saved.",
}
csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    """Protect every form of `app` and set the headers; a route that sets one itself keeps it."""
    csrf.init_app(app)
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _error_page)


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if response.mimetype == "text/html":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _error_page(error: HTTPException) -> tuple[str, int] | HTTPException:
    """A CSRF failure arrives here as a 400 that says what to do."""
    if error.code is None or error.code < 400:
        return error
    words = WORDS.get(error.code, error.description)
    return render_template("host/error.html", error=error, words=words), error.code
