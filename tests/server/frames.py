"""A page without a browser: opens a session of a running server and speaks Bokeh's protocol by hand, right or wrong."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import urlopen

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

__all__ = ["Visitor"]

TOKEN = re.compile(r'render_items = \[\{"token":"([^"]+)"')
"""Where Bokeh's embedding names the session: the first picture's words, which stand before it, have a "token" too."""
RUNS = re.compile(r'"runs",\s*(\d+)')
RESTS = re.compile(r'"busy",\s*false')


class Visitor:
    """One session."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.models: dict[str, str] = {}  # class of a component -> id of its model
        self.ids: list[str] = []
        self.said: list[str] = []  # contents of what the server has sent
        self.since_it_came: list[str] = []  # the same, of the whole visit: `runs` begins `said` anew
        self.closed = False

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, *, ready: bool = True) -> AsyncIterator[Visitor]:
        """Opens a page and its connection, as a browser does, and closes it.

        Args:
            ready: False: as a browser that has the document and still draws it.
        """
        visitor = await cls._come(url)
        if ready:
            await visitor.event("document_ready", {})
        try:
            yield visitor
        finally:
            await visitor.leave()

    @classmethod
    async def _come(cls, url: str) -> Visitor:
        with urlopen(url, timeout=60) as reply:
            page = reply.read().decode()
        found = TOKEN.search(page)
        assert found is not None, "the page is blank: it names no session"
        address = re.sub(r"\?.*", "", url).replace("http", "ws", 1) + "/ws"
        origin = re.sub(r"(http://[^/]+).*", r"\1", url)
        request = HTTPRequest(address, headers={"Origin": origin}, request_timeout=60)
        visitor = cls(await websocket_connect(request, subprotocols=["bokeh", found[1]]))
        await visitor.hear(lambda content: "ACK" in content, 30)
        await visitor.send("PULL-DOC-REQ", {})
        document = await visitor.hear(lambda content: '"roots"' in content, 30)
        for model in _models(json.loads(document)):
            visitor.ids.append(model["id"])
            kind = model.get("attributes", {}).get("class_name")
            if kind:
                visitor.models[kind] = model["id"]
        return visitor

    async def leave(self) -> None:
        """Closes the connection; of one that is closed already, the end is told once only."""
        self.socket.close()
        while not self.closed:
            self.closed = await asyncio.wait_for(self.socket.read_message(), 60) is None

    async def send(self, kind: str, content: Any, *, raw: str | None = None) -> None:
        """One message: header, metadata, content."""
        await self.socket.write_message(json.dumps({"msgid": str(time.monotonic_ns()), "msgtype": kind}))
        await self.socket.write_message("{}")
        await self.socket.write_message(json.dumps(content) if raw is None else raw)

    async def event(self, name: str, values: dict[str, Any]) -> None:
        """An event, as a page reports it."""
        data = {"type": "event", "name": name, "values": values}
        await self.send("PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data}]})

    async def say(self, part: str, data: Any) -> None:
        """A message to a component, by its module's name."""
        await self.event("data_event", {"model": {"id": self.models[part]}, "data": data})

    async def hear(self, wanted: Any, seconds: float) -> str:
        """The first thing said from now on, or before, for which `wanted` is true."""
        for content in self.said:
            if wanted(content):
                return content
        limit = time.monotonic() + seconds
        while True:
            left = limit - time.monotonic()
            assert left > 0, f"not heard within {seconds} s"
            content = await asyncio.wait_for(self.socket.read_message(), left)
            self.closed = content is None
            assert content is not None, "the server has closed the connection"
            if isinstance(content, str):
                self.said.append(content)
                self.since_it_came.append(content)
                if wanted(content):
                    return content

    async def runs(self, text: str, seconds: float = 30) -> None:
        """A text of this visitor's own runs: the bar shows it, then counts one more run and rests."""
        limit = time.monotonic() + seconds
        before = self._runs()
        self.said.clear()
        await self.say("page/top_bar/top_bar", {"kind": "run", "text": text})
        await self.hear(lambda content: json.dumps(text) in content, limit - time.monotonic())
        del self.said[:-1]

        def rests(content: str) -> bool:
            return any(int(n) > before for n in RUNS.findall(content)) and RESTS.search(content) is not None

        await self.hear(rests, limit - time.monotonic())

    def _runs(self) -> int:
        return max((int(n) for content in self.said for n in RUNS.findall(content)), default=0)


def _models(value: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if isinstance(value, dict):
        if value.get("type") == "object" and "id" in value:
            found.append(value)
        for each in value.values():
            found += _models(each)
    elif isinstance(value, list):
        for each in value:
            found += _models(each)
    return found
