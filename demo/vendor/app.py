"""The emulator as a Flask app: the contract's routes, with the scenario around every request."""

from __future__ import annotations

import zlib

from flask import Flask, Response, g, request

from demo.vendor import control, faults, feeds, handshake, problems, writes
from demo.vendor.page_faults import PAGE_FAULTS
from demo.vendor.requests import Emulator, emulator
from demo.vendor.scenario import Asked, Journal, Scenario
from demo.vendor.store import Store

MAX_BODY = 1 << 20


def create_app(store: Store, *, page_limit: int = 100) -> Flask:
    """The API over a store. `page_limit` caps every page, so that a small world has many.

    `app.extensions["emulator"]` gives `.scenario` and `.journal`. It runs under any WSGI server and
    under `httpx2.WSGITransport`; there `drip`, `short_body` and `reset` are a body that ends early
    or comes in pieces, since there is no connection.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    scenario = Scenario(faults.CATALOGUE, frozenset(PAGE_FAULTS))
    app.extensions["emulator"] = Emulator(store, scenario, Journal(), page_limit)
    problems.install(app)
    for blueprint in (handshake.bp, feeds.bp, writes.bp, control.bp):
        app.register_blueprint(blueprint)
    app.before_request(meet_fault)
    app.after_request(send)
    return app


def _asked() -> Asked:
    given = request.authorization
    organization = given.username if given is not None and given.type == "basic" else None
    return Asked(request.method, request.path, organization, request.args.get("cursor"))


def meet_fault() -> Response | None:
    """Before anything else: what the scenario has for this request, perhaps a whole answer."""
    g.turn = None
    if request.blueprint == control.bp.name:
        return None
    g.turn = emulator().scenario.take(_asked())
    if g.turn is None or g.turn.fault not in faults.ANSWERS:
        return None
    answer: Response | None = faults.ANSWERS[g.turn.fault](g.turn, **g.turn.args)
    return answer


def send(answer: Response) -> Response:
    """After everything else: spoil, compress and note down the answer."""
    if request.blueprint == control.bp.name:
        return answer
    fault, args = (g.turn.fault, g.turn.args) if g.turn is not None else (None, {})
    if fault in faults.BODIES:
        faults.BODIES[fault](answer, **args)
    compress(answer)
    if fault in faults.WIRE:
        faults.WIRE[fault](answer, **args)
    status = None if fault == "reset" else answer.status_code
    emulator().journal.write(_asked(), request.query_string.decode("latin-1"), status, fault)
    return answer


def compress(answer: Response) -> None:
    """Gzip the body where the request accepts it."""
    answer.headers["Vary"] = "Accept-Encoding"
    body = answer.get_data()
    if not body or "Content-Encoding" in answer.headers or not request.accept_encodings["gzip"]:
        return
    # The lightest level: the vendor's speed is not what anybody measures here.
    packer = zlib.compressobj(level=1, wbits=31)
    answer.set_data(packer.compress(body) + packer.flush())
    answer.headers["Content-Encoding"] = "gzip"
