"""Faults of whole answers: in place of one, in its bytes, and on its way over the wire."""

from __future__ import annotations

import json
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, g, request
from werkzeug.http import http_date

from demo.vendor.page_faults import PAGE_FAULTS
from demo.vendor.problems import problem
from demo.vendor.requests import json_answer
from demo.vendor.scenario import Turn

HTML = "<!doctype html><title>Sorry</title><h1>We will be back soon</h1>"


def status(
    turn: Turn, code: int, retry_after: str | int | None = None, retry_at: int | None = None
) -> Response:
    """A problem; Retry-After as given, or as the date in `retry_at` seconds, or none."""
    answer = problem(code, "The scenario says so.")
    if retry_at is not None:
        retry_after = http_date(datetime.now(UTC) + timedelta(seconds=retry_at))
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def redirect(turn: Turn, host: str = "elsewhere.example", code: int = 302) -> Response:
    """To the same path on another host."""
    return Response(status=code, headers={"Location": f"https://{host}{request.full_path}"})


def html(turn: Turn, code: int = 200) -> Response:
    """A page for people, as a proxy in front of the vendor would send it."""
    return Response(HTML, code, content_type="text/html; charset=utf-8")


def empty(turn: Turn) -> Response:
    """200 and nothing in it."""
    return json_answer(b"")


def no_content(turn: Turn) -> Response:
    """204."""
    return Response(status=204)


def bare_list(turn: Turn) -> Response:
    """An empty list in place of a page."""
    return json_answer(b"[]")


def deep_json(turn: Turn, depth: int = 100_000) -> Response:
    """A list in a list in a list."""
    return json_answer(b"[" * depth + b"]" * depth)


def gzip_bomb(turn: Turn, mebibytes: int = 256) -> Response:
    """An empty page that inflates to so many MiB of white space, and promises more where it is."""
    packer = zlib.compressobj(level=9, wbits=31)
    space = b" " * (1 << 20)
    parts = [packer.compress(b'{"items":[')]
    parts += [packer.compress(space) for _ in range(mebibytes)]
    end = b'],"cursor":"%s","hasMore":true}' % request.args.get("cursor", "after").encode()
    parts += [packer.compress(end), packer.flush()]
    answer = json_answer(b"".join(parts))
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def hang(turn: Turn, seconds: float = 300) -> None:
    """Nothing for so long, not even a header; then the true answer."""
    turn.released.wait(seconds)


def truncated_json(answer: Response, share: float = 0.5) -> None:
    """The body ends early, and Content-Length agrees with it."""
    body = answer.get_data()
    answer.set_data(body[: int(len(body) * share)])


def wrong_type(answer: Response, content_type: str = "text/plain") -> None:
    """The true body under another Content-Type."""
    answer.content_type = content_type


def another_organization(answer: Response, id: str = "org-elsewhere") -> None:
    """What the token's owner is, as though the token were another organization's."""
    told = json.loads(answer.get_data())
    told["organization"] |= {"id": id}
    answer.set_data(json.dumps(told))


def bom(answer: Response) -> None:
    """A byte order mark before the body."""
    answer.set_data(b"\xef\xbb\xbf" + answer.get_data())


def utf16(answer: Response) -> None:
    """The body in UTF-16."""
    answer.set_data(answer.get_data().decode().encode("utf-16"))


def drip(answer: Response, pause: float = 1.0, chunk: int = 1) -> None:
    """The body, `chunk` bytes after each `pause` of seconds, until the scenario ends."""
    body, released = answer.get_data(), g.turn.released

    def drops() -> Iterator[bytes]:
        for place in range(0, len(body), chunk):
            released.wait(pause)
            yield body[place : place + chunk]

    _send(answer, drops(), len(body))


def short_body(answer: Response, share: float = 0.5) -> None:
    """The connection ends before the body is as long as Content-Length says."""
    body = answer.get_data()
    _send(answer, iter([body[: int(len(body) * share)]]), len(body))


def two_lengths(answer: Response) -> None:
    """Two Content-Lengths that differ: two readers would see the body end in two places."""
    body = answer.get_data()
    _send(answer, iter([body]), len(body))
    answer.headers.add("Content-Length", str(len(body) + 1))


def reset(answer: Response) -> None:
    """The connection is reset instead of an answer; in process, without one: an empty body."""
    connection: socket.socket | None = request.environ.get("werkzeug.socket")
    length = len(answer.get_data())

    def gone() -> Iterator[bytes]:
        if connection is not None:
            _break(connection)
            raise ConnectionResetError
        yield b""

    _send(answer, gone(), length)


def _break(connection: socket.socket) -> None:
    # With no time to linger, closing sends RST. The server goes on with the same descriptor, so
    # something else stands there from now on: one end of a pair whose other end is closed.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near, far = socket.socketpair()
    with near, far:
        os.dup2(near.fileno(), connection.fileno())


def _send(answer: Response, chunks: Iterator[bytes], length: int) -> None:
    answer.response = chunks
    answer.headers["Content-Length"] = str(length)


def _by_name(*faults: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {fault.__name__: fault for fault in faults}


#: In place of the answer (or before it, where they give None). First argument: the turn.
ANSWERS = _by_name(status, redirect, html, empty, no_content, bare_list, deep_json, gzip_bomb, hang)
#: Change the true answer's body before it is compressed. First argument: the answer.
BODIES = _by_name(truncated_json, wrong_type, another_organization, bom, utf16)
#: Change how the answer is sent. First argument: the answer.
WIRE = _by_name(drip, short_body, two_lengths, reset)
#: Every fault by the name that a scenario calls it.
CATALOGUE: dict[str, Callable[..., Any]] = {**ANSWERS, **PAGE_FAULTS, **BODIES, **WIRE}
