"""The vendor of the pull: the contract's answers over real HTTP, every page made ready before.

The demo's emulator reads, packs and spoils pages as they are asked for, which costs more than
storing them does; here the vendor's own speed is out of the way. Pages lie in a file, packed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .vendor_world import ADMIN, ORGANIZATION, all_feeds

PAGE = 100


@contextmanager
def vendor(folder: Path, notes: int, seed: int) -> Iterator[str]:
    """Make the pages and serve them from a process of its own; yield the address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs, folder / "pages", notes, seed))
    process.start()
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, path: Path, notes: int, seed: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    with path.open("w+b") as file:
        _Handler.file = file.fileno()
        for feed, records in all_feeds(notes, seed):
            _Handler.pages[feed] = [_write(file, page) for page in _pages(records)]
        file.flush()
        pipe.send(server.server_port)
        server.serve_forever()


def _pages(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the pages of a feed and an empty one; a cursor is the number of the page behind it."""
    left = iter(records)
    items, number = list(islice(left, PAGE)), 0
    while items:
        coming, number = list(islice(left, PAGE)), number + 1
        yield _page(items, number, more=bool(coming))
        items = coming
    yield _page([], number, more=False)


def _page(items: list[dict[str, Any]], cursor: int, *, more: bool) -> bytes:
    page = {"items": items, "cursor": str(cursor), "hasMore": more}
    return json.dumps(page, separators=(",", ":")).encode()


def _write(file: Any, page: bytes) -> tuple[int, int]:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(page) + packer.flush()
    return file.tell(), file.write(packed)


class _Handler(BaseHTTPRequestHandler):
    """Answers the handshake, whose token it is, and pages of 100."""

    protocol_version = "HTTP/1.1"
    #: Feed -> where each of its pages lies in the file, and its length.
    pages: dict[str, list[tuple[int, int]]] = {}  # noqa: RUF012 - of the one server
    file = -1
    asked: list[str] = []  # noqa: RUF012

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        user = {"id": "admin", "email": ADMIN, "role": "Admin"}
        self._answer(201, self._organization() | {"token": "bench", "user": user})

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/journal":
            self._answer(200, {"asked": self.asked})
            self.asked.clear()
        elif asked.path in self.pages:
            self.asked.append(asked.path)
            cursor = re.search(r"cursor=(\d+)", asked.query)
            at, length = self.pages[asked.path][int(cursor[1]) if cursor else 0]
            self._send(200, os.pread(self.file, length, at), packed=True)
        else:
            self._answer(200, self._organization())

    def _organization(self) -> dict[str, Any]:
        return {"organization": {"id": ORGANIZATION, "name": "Bench"}}

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), packed=False)

    def _send(self, status: int, body: bytes, *, packed: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
