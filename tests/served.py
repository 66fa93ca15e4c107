"""A WSGI application in this process, over real HTTP, for a browser or for the vendor's client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from flask import Flask
from werkzeug.serving import make_server

from tests.practices import Practice


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an application on a free port of this machine; yield its address."""

    def closed_at_its_end(environ: Any, start_response: Any) -> Iterator[bytes]:
        # Werkzeug's server leaves an answer's file open where a browser hangs up early.
        with closing(app(environ, start_response)) as parts:
            yield from parts

    server = make_server("127.0.0.1", 0, closed_at_its_end, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def over_http(practice: Practice) -> Iterator[None]:
    """Put a real server between the plugin and the emulator, as in a deployment."""
    with served(practice.emulator) as address:
        practice.state.transport = None
        practice.state.settings = replace(practice.state.settings, vendor_url=address)
        yield
