"""`make demo`: the emulator, Redis, workers and the site, until Ctrl-C."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from ensora_plugin import EnsoraError
from ensora_plugin.connecting import activate, activated, connect
from ensora_plugin.migrating import upgrade
from ensora_plugin.plugin import state_of

from .children import Children
from .host import create_app
from .made import make_world
from .once import ACCOUNTS, BY, PASSWORD
from .redis_server import free_port, redis_command
from .settings import alone, write_settings_file

#: Connected from the start; the other account is what a new customer sees.
CONNECTED = "harbor-kids"
_READY = re.compile(r"Emulator ready: (http://\S+)")
LOGINS = """\
Sign in with the password demo:
  ada   Bright Steps ABA     every agency, may do everything
  bo    Bright Steps ABA     Northside Clinic only; may map, may not create
  cy    Bright Steps ABA     every agency; may look, report and audit
  dee   Bright Steps ABA     no agency
  eve   Harbor Kids Therapy  every agency, may do everything
Ensora Data Collection:
  admin@brightsteps.example / admin-demo           an Admin
  therapist@brightsteps.example / therapist-demo   no Admin
Ctrl-C ends the demo; `make demo` goes on with the same data."""


@dataclass(frozen=True)
class Choices:
    """What a person may choose; ports 0 take any free one."""

    folder: Path
    host: str
    port: int
    notes: int
    vendor_port: int
    workers: int

    @property
    def address(self) -> str:
        """Return where the site answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def serve(choices: Choices) -> int:
    """Run everything until SIGINT or SIGTERM; return the exit status.

    0: ended by a person; 1: something failed, or one of the processes ended; 2: wrong choices.
    """
    wrong = _port_trouble(choices)
    if wrong:
        print(wrong, file=sys.stderr)
        return 2
    # Started in the background of a script, SIGINT would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with alone(choices.folder):
            return _serve(choices, Children(choices.folder / "logs"))
    except KeyboardInterrupt:
        print("\nThe demo ends.", flush=True)
        return 0
    except (EnsoraError, RuntimeError, ValueError) as error:
        print(f"make demo failed: {error}", file=sys.stderr)
        return 1


def _serve(choices: Choices, children: Children) -> int:
    try:
        _start(choices, children)
        print(f"Ready: {choices.address}\n\n{LOGINS}", flush=True)
        ended = children.watch()
        print(f"{ended.trouble()}. The demo ends.", file=sys.stderr, flush=True)
        return 1
    finally:
        # A second Ctrl-C would leave processes behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        children.stop()


def _start(choices: Choices, children: Children) -> None:
    folder = choices.folder
    print(make_world(folder, create_app(write_settings_file(folder)), notes=choices.notes))
    settings = {"DEMO_DATA": str(folder)}
    vendor = _start_emulator(choices, children)
    written = {"ENSORA_VENDOR_URL": vendor}
    if not os.environ.get("ENSORA_REDIS_URL"):
        written["ENSORA_REDIS_URL"] = _start_redis(folder, children)
    write_settings_file(folder, **written)
    os.environ.update(settings)
    _prepare()
    # As one module each, so that each of them makes its own application.
    python = [sys.executable, "-u"]
    children.start("worker", [*python, "worker.py", "-n", str(choices.workers)], settings)
    bind = choices.address.removeprefix("http://")
    site = [*python, "-m", "gunicorn", "--bind", bind, "--workers", "2", "--threads", "4"]
    child = children.start("site", [*site, "--no-control-socket", "wsgi:app"], settings)
    children.wait_for(child, lambda: _answers(choices.address))


def _start_emulator(choices: Choices, children: Children) -> str:
    command = [sys.executable, "-u", "-m", "demo.vendor", "--host", "127.0.0.1"]
    command += ["--port", str(choices.vendor_port), "--data", str(choices.folder)]
    child = children.start("emulator", command, {})
    children.wait_for(child, lambda: bool(_READY.search(child.log.read_text())))
    found = _READY.search(child.log.read_text())
    assert found is not None  # noqa: S101 - it was waited for
    return found[1]


def _start_redis(folder: Path, children: Children) -> str:
    port = free_port()
    child = children.start("redis", redis_command(port, folder), {})

    def answers() -> bool:
        with redis.Redis(port=port) as client, suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    children.wait_for(child, answers)
    return f"redis://127.0.0.1:{port}/0"


def _prepare() -> None:
    """Migrate, activate both accounts, and connect the one that is connected from the start."""
    from wsgi import app  # reads the settings that were written just now

    with app.app_context():
        state = state_of(app)
        upgrade(state.engine)
        for account in ACCOUNTS:
            activate(state.session, account, by=BY)
        if activated(state.session, CONNECTED).state != "connected":
            hands = {"username": ACCOUNTS[CONNECTED], "password": PASSWORD, "by": BY}
            with state.vendor() as vendor:
                connect(state.session, CONNECTED, vendor, state.sealer, **hands)
        app.extensions["sqlalchemy"].session.remove()
        state.engine.dispose()


def _answers(address: str) -> bool:
    # No proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _port_trouble(choices: Choices) -> str | None:
    """Return in words why the site could not listen, None where it can."""
    host, port = choices.host, choices.port
    if not 1 <= port <= 65535:
        return f"{port} is no port: choose one from 1 to 65535, as in `make demo PORT=5001`."
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"Port {port} of {host} is in use. Choose another one: `make demo PORT=5001`."
        return f"The demo cannot listen on {host}, port {port}: {error.strerror}."
    return None
