"""`python -m demo.vendor`: the emulator as a process of its own, over DIR/vendor.db."""

from __future__ import annotations

import argparse
import errno
import signal
import socket
import sys
import threading
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from demo.vendor.app import create_app
from demo.vendor.store import Store


class Quiet(WSGIRequestHandler):
    """Logs errors, but not every request: the journal has those."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line's choices, each with a default."""
    parser = argparse.ArgumentParser(prog="python -m demo.vendor", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8701, help="port, 0 for any free one (%(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("var"), help="folder of vendor.db (%(default)s)"
    )
    return parser.parse_args(arguments)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, or the end of the process with exit code 2 and the reason in words."""
    try:
        return socket.create_server((host, port), backlog=128)
    except OverflowError:
        reason = f"{port} is no port: choose one from 0 to 65535 with --port."
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} of {host} is in use. Choose another one with --port."
        else:
            reason = f"Cannot listen on {host}, port {port}: {error.strerror}."
    print(reason, file=sys.stderr)
    raise SystemExit(2)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code."""
    chosen = options(arguments)
    listener = listen(chosen.host, chosen.port)
    chosen.data.mkdir(parents=True, exist_ok=True)
    store = Store(chosen.data / "vendor.db")
    port = listener.getsockname()[1]
    app = create_app(store)
    server = make_server(
        chosen.host, port, app, threaded=True, request_handler=Quiet, fd=listener.fileno()
    )

    def stop(number: int, frame: object) -> None:
        # shutdown() waits for the loop that this handler interrupts.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"Emulator ready: http://{chosen.host}:{port}", flush=True)
    server.serve_forever()
    listener.close()
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
