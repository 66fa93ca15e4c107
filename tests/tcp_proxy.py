"""A TCP proxy in front of a server on this machine: passes on, holds its tongue, or hangs up."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType


class Proxy:
    """Listens on a free port of 127.0.0.1 inside a `with` block.

    `hold`: connections stand and nothing comes through, as where a machine vanished without a
    word. `cut`: all connections end now.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self._flows = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def open(self) -> None:
        """Let everything through, also what waited."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def hold(self) -> None:
        """Let nothing through, and end nothing."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def cut(self) -> None:
        """End all connections that stand."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._flows.set()
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._flows.set()
        self._cut()
        # What was cut ends by itself.
        self._loop.run_until_complete(
            asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True)
        )
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._flows.wait()
            there, out = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(out)
            try:
                await asyncio.gather(self._pass(reader, out), self._pass(there, writer))
            finally:
                self._writers.discard(out)
                out.transport.abort()
        except OSError:
            # Nobody is behind us: the connection ends, as it would without us.
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, _t: type[BaseException] | None, _v: BaseException | None, _b: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
