"""A proxy between a browser and a server, whose connections can be cut, stalled and mended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Proxy"]


class Proxy:
    """Passes TCP connections on, byte by byte, in a thread of its own.

    Args:
        target: port of the server, on this machine; may be changed.

    Attributes:
        port: where it listens. opened: how many connections it has passed on.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = self.opened = 0
        self._up = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._begin())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _begin(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._accepted, "localhost", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        for other in self._server.sockets[1:]:  # IPv6 beside IPv4 would have a port of its own
            other.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if not self._up:
            await self._drop(writer)
            return
        try:
            await self._flowing.wait()
            inner, outer = await asyncio.open_connection("localhost", self.target)
        except OSError:
            await self._drop(writer)
            return
        self.opened += 1
        self._writers.add(outer)
        await asyncio.gather(self._pass(reader, outer), self._pass(inner, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        await self._drop(writer)

    async def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    async def _cut(self) -> None:
        self._up = False
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def _call(self, function: Callable[[], object]) -> None:
        function()

    def cut(self) -> None:
        """Breaks all connections; new ones are refused."""
        self._run(self._cut())

    def stall(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._run(self._call(self._flowing.clear))

    def mend(self) -> None:
        """All is well again; what was held back goes through."""
        self._up = True
        self._run(self._call(self._flowing.set))

    def close(self) -> None:
        """Ends it."""
        self.mend()
        self.cut()
        self._run(self._call(self._server.close))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
