"""Errors as RFC 9457 problems: `title`, `status`, `detail`, and for 422 `errors`."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from demo.vendor.cursors import CursorGone
from demo.vendor.store import NoSuchRecord, encode


class Problem(Exception):
    """Raised anywhere in a request; becomes its answer. `members` are added to the problem."""

    def __init__(self, status: int, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.members = status, detail, members

    def response(self) -> Response:
        """The problem as an answer."""
        return problem(self.status, self.detail, **self.members)


class Invalid(Problem):
    """422: the fields are wrong; `errors` are pairs of field and message."""

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        listed = [{"field": field, "message": message} for field, message in errors]
        super().__init__(422, "Some fields are wrong.", errors=listed)


def problem(status: int, detail: str, **members: Any) -> Response:
    """A problem document."""
    title = HTTPStatus(status).phrase
    body = encode({"title": title, "status": status, "detail": detail, **members})
    answer = Response(body, status, content_type="application/problem+json")
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="organization", charset="UTF-8"'
    return answer


def install(app: Flask) -> None:
    """Let every error of the app leave as a problem."""

    def from_http(error: HTTPException) -> Response:
        answer = problem(error.code or 500, error.description or error.name)
        allowed = dict(error.get_headers()).get("Allow")
        if allowed:
            answer.headers["Allow"] = allowed
        return answer

    app.register_error_handler(Problem, Problem.response)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(
        CursorGone, lambda _: problem(410, "The cursor is no longer known. Start over without one.")
    )
    app.register_error_handler(NoSuchRecord, lambda error: problem(404, str(error)))
