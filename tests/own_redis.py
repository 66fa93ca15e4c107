"""A Redis of a test's own, which it may kill, empty, fill and start again on the same port."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import redis

from demo.redis_server import free_port, redis_command


class OwnRedis:
    """A real server; as a context manager it runs inside the block."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a client, which the caller closes."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def up(self) -> None:
        """Start it, empty, where it does not run; wait until it answers."""
        if self._process is None:
            command = redis_command(self.port, self.folder)
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        with self.client() as client:
            while time.monotonic() < end:
                with suppress(redis.ConnectionError):
                    client.ping()
                    client.config_set("maxmemory", 0)
                    return
                time.sleep(0.02)
        raise TimeoutError("Redis does not answer")

    def kill(self) -> None:
        """End it by force; all that it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def flush(self) -> None:
        """Let it forget everything."""
        with self.client() as client:
            client.flushall()

    def fill(self) -> None:
        """Leave it no memory, so that it refuses whatever wants some."""
        with self.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)

    def __enter__(self) -> OwnRedis:
        self.up()
        return self

    def __exit__(
        self, _t: type[BaseException] | None, _v: BaseException | None, _b: TracebackType | None
    ) -> None:
        self.kill()
