"""What every route needs of the request: the emulator behind it, its JSON body, a JSON answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from flask import Response, current_app, request

from demo.vendor.problems import Problem
from demo.vendor.scenario import Journal, Scenario
from demo.vendor.store import Store, encode


@dataclass(frozen=True)
class Emulator:
    """What stands behind an app: `app.extensions["emulator"]`."""

    store: Store
    scenario: Scenario
    journal: Journal
    #: No page has more records than this, whatever size was asked for.
    page_limit: int


def emulator() -> Emulator:
    """The emulator of the current app."""
    return cast(Emulator, current_app.extensions["emulator"])


def store() -> Store:
    """The store of the current app."""
    return emulator().store


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def json_body() -> Any:
    """The request's JSON. 415 where it is not declared as such, 400 where it is broken."""
    if request.mimetype != "application/json":
        raise Problem(415, "Send Content-Type: application/json.")
    try:
        return json.loads(request.get_data().decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "The body is no JSON in UTF-8.") from error


def json_answer(value: object, status: int = 200) -> Response:
    """An answer in JSON; bytes are taken as JSON already."""
    body = value if isinstance(value, bytes) else encode(value)
    return Response(body, status, content_type="application/json")
