"""A visitor without a browser: speaks to the server as a page in Chromium does, over the same websocket, and says what came when.

It fetches the page, takes up its session, answers what a page answers by itself (that its parts stand, the sizes and theme of new figures, that a
step was drawn), and acts: a head, a slider, a text, tokens. What a page sends was read off a real one, frame by frame.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

__all__ = ["Lost", "Visitor"]

TOKEN = re.compile(r'render_items = \[\{"token":"([^"]+)"')
"""Where Bokeh's embedding names the session: the first picture's words, which stand before it, have a "token" too."""
PARTS = {
    "page/top_bar/top_bar": "bar",
    "page/timeline/timeline": "timeline",
    "page/sheet": "sheet",
    "page/tabs": "tabs",
    "views/flow/main": "flow",
}
THEME: dict[str, dict[str, Any]] = {
    "Figure": {"background_fill_color": "#ffffff"},
    "Grid": {"grid_line_color": "rgba(0, 0, 0, 0.1)"},
    "Toolbar": {"stylesheets": [".bk-right.bk-active { --highlight-color: #7c3aed !important; }"]},
    "Title": {"text_color": "#1f2937", "text_font": "Roboto", "text_font_size": "1.05em", "text_font_style": "normal"},
    "LinearAxis": {"axis_line_color": "rgba(0, 0, 0, 0.22)", "major_tick_line_color": "rgba(0, 0, 0, 0.22)"},
}
"""What panel-material-ui's theme sets on Bokeh's models in the browser, which tells the server."""
SIZES = {"inner_width": 311, "inner_height": 339, "outer_width": 343, "outer_height": 378}
DRAWN = 0.02
"""Seconds that a page takes to draw a step before it says so."""


class Lost(Exception):
    """An answer that did not come, or a connection that has gone; ``str()`` says which."""


@dataclass
class Visitor:
    """One visitor.

    Args:
        address: of the page, with ``http://``. text: to begin with. patience: seconds that an answer may take.

    Attributes:
        received: bytes. frames: events of the server. timings: by action, seconds until it was answered.
        shown: the head, temperature: the slider, as last asked for.
        began: seconds until the flow was drawn. lost: actions without an answer. wrong: texts that were somebody else's.
    """

    address: str
    text: str
    patience: float = 60.0
    received: int = 0
    frames: int = 0
    timings: dict[str, list[float]] = field(default_factory=dict)
    shown: int = 0
    temperature: float = float("nan")
    began: float = float("nan")
    lost: list[str] = field(default_factory=list)
    wrong: int = 0

    def __post_init__(self) -> None:
        self._socket: WebSocketClientConnection | None = None
        self._models: dict[str, str] = {}  # id of a component, or of its data -> its part
        self._of: dict[str, str] = {}  # part -> id of the component
        self._count = 0
        self._changed: list[tuple[Callable[[str, str, Any], bool], asyncio.Future[None]]] = []
        self._reader: asyncio.Task[None] | None = None
        self._runs = 0
        self._opened = ""

    async def enter(self) -> None:
        """Opens the page and waits for its flow; raises `Lost`."""
        start = time.monotonic()
        client = AsyncHTTPClient(force_instance=True)
        answer = await client.fetch(f"{self.address}?text={quote(self.text)}", request_timeout=self.patience)
        page = answer.body.decode()
        self.received += len(answer.body)
        found = TOKEN.search(page)
        if found is None:
            raise Lost("there is no session in the page")
        where = HTTPRequest(self.address.replace("http", "ws", 1) + "/ws", headers={"Origin": _origin(self.address)})
        self._socket = await websocket_connect(where, subprotocols=["bokeh", found[1]], max_message_size=1 << 30)
        drawn = self._when(lambda part, name, value: part == "flow" and name == "block" and bool(value))
        self._reader = asyncio.create_task(self._read())
        await self._answered(drawn, "enter")
        self.began = time.monotonic() - start

    async def leave(self) -> None:
        """Closes the page."""
        if self._socket is not None:
            self._socket.close()
        if self._reader is not None:
            self._reader.cancel()

    async def head(self, n: int) -> None:
        """Another head than the one that is `shown`, until the flow shows it."""
        self.shown = n
        told = self._when(lambda part, name, value: part == "flow" and name == "head")
        self._message("flow", {"type": "focus", "focus": {"head": n}})
        await self._timed("head", told)

    async def slider(self, temperature: float) -> None:
        """A step of a slider away from `temperature`, until the server has confirmed it."""
        self.temperature = temperature
        told = self._when(lambda part, name, value: part == "bar" and name == "settings")
        self._message("bar", {"kind": "set", "temperature": temperature})
        await self._timed("slider", told)

    async def open(self, view: str) -> None:
        """Another view below the flow, until its tab is the chosen one."""
        if view == self._opened:
            return
        told = self._when(lambda part, name, value: part == "tabs" and name == "chosen" and value == view)
        self._message("tabs", {"open": view})
        await self._timed("view", told)

    async def run(self, text: str) -> None:
        """Another text than `text`, until the flow shows its run."""
        self.text = text
        told = self._when(lambda part, name, value: part == "flow" and name == "block")
        self._count += 1
        self._message("bar", {"kind": "run", "text": text, "asked": f"load/{self._count}"})
        await self._timed("text", told)

    async def generate(self, n: int) -> None:
        """Tokens, until the last one is there; the text that is then shown is a longer one."""
        told = self._when(lambda part, name, value: part == "bar" and name == "status" and not value.get("generating"))
        self._message("bar", {"kind": "generate", "n": n})
        await self._timed("generate", told)

    # -- the wire --------------------------------------------------------------------------------------------------------

    async def _timed(self, what: str, told: asyncio.Future[None]) -> None:
        start = time.monotonic()
        await self._answered(told, what)
        self.timings.setdefault(what, []).append(time.monotonic() - start)

    async def _answered(self, told: asyncio.Future[None], what: str) -> None:
        try:
            await asyncio.wait_for(told, self.patience)
        except (TimeoutError, asyncio.CancelledError) as error:
            self.lost.append(what)
            raise Lost(f"no answer to: {what}") from error

    def _when(self, test: Callable[[str, str, Any], bool]) -> asyncio.Future[None]:
        """Done when a property of a part changes as `test(part, property, value)` says."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed.append((test, told))
        return told

    async def _read(self) -> None:
        assert self._socket is not None
        while True:
            header = await self._piece()
            if header is None:
                break
            await self._piece()
            content = await self._piece()
            kind = json.loads(header)
            if kind["msgtype"] == "ACK":  # before that the server does not listen
                self._frame("PULL-DOC-REQ", {})
            for _buffer in range(int(kind.get("num_buffers", 0))):
                await self._piece()
                await self._piece()
            if kind["msgtype"] in ("PATCH-DOC", "PULL-DOC-REPLY") and content is not None:
                self.frames += 1
                await self._heard(json.loads(content), first=kind["msgtype"] == "PULL-DOC-REPLY")
        for _test, told in self._changed:
            if not told.done():
                told.set_exception(
                    Lost(f"the connection has gone: {self._socket.close_code} {self._socket.close_reason}")
                )

    async def _piece(self) -> str | bytes | None:
        assert self._socket is not None
        piece = await self._socket.read_message()
        self.received += len(piece or "")
        return piece

    async def _heard(self, content: dict[str, Any], *, first: bool) -> None:
        new = list(_objects(content))
        for model in new:
            self._learn(model)
        if first:
            self._begin()
        for model in new:
            self._stands(model)
        for event in content.get("events", ()):
            if event.get("kind") == "ModelChanged":
                self._change(self._models.get(event["model"]["id"], ""), event["attr"], event["new"])
        for model in new:
            part = self._models.get(model["id"], "")
            for name, value in model["attributes"].items():
                self._change(part, name, value)

    def _learn(self, model: dict[str, Any]) -> None:
        part = PARTS.get(str(model["attributes"].get("class_name")))
        data = model["attributes"].get("data")
        if part is not None and isinstance(data, dict):
            self._of[part] = model["id"]
            self._models[model["id"]] = self._models[data["id"]] = part

    def _begin(self) -> None:
        """What a page says when it has its document."""
        self._message("timeline", {"kind": "hello", "value": 0})
        self._event("document_ready", {})
        self._message("sheet", {"narrow": False, "dark": False})

    def _stands(self, model: dict[str, Any]) -> None:
        """What a page says of a new part when it stands."""
        # the line under the first pictures ("toolkit/waiting") is below a screen of 1440 x 900: nobody looks there
        changes = THEME.get(model["name"].rpartition(".")[2], {})
        if model["name"] == "Figure":
            changes = changes | SIZES
        if changes:
            which = {"id": model["id"]}
            self._patch(
                [{"kind": "ModelChanged", "model": which, "attr": attr, "new": new} for attr, new in changes.items()]
            )

    def _change(self, part: str, name: str, value: Any) -> None:
        if not part:
            return
        value = _plain(value)
        if part == "tabs" and name == "chosen":
            self._opened = str(value)
        if part == "bar" and name == "text" and value and not str(value).startswith(self.text):
            self.wrong += 1
        if part == "timeline" and name == "place" and isinstance(value, dict) and value.get("busy"):
            asyncio.get_running_loop().call_later(
                DRAWN, self._message, "timeline", {"kind": "seen", "value": value.get("at", 0)}
            )
        for one in list(self._changed):
            test, told = one
            if told.done():
                self._changed.remove(one)
            elif test(part, name, value):
                told.set_result(None)
                self._changed.remove(one)

    def _message(self, part: str, data: dict[str, Any]) -> None:
        if part not in self._of:
            raise Lost(f"the page has no {part}")
        self._event("data_event", {"model": {"id": self._of[part]}, "data": _map(data)})

    def _event(self, name: str, values: dict[str, Any]) -> None:
        data = {
            "type": "event",
            "name": name,
            "values": {"type": "map", "entries": [[*pair] for pair in values.items()]},
        }
        self._patch([{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data}])

    def _patch(self, events: list[dict[str, Any]]) -> None:
        self._frame("PATCH-DOC", {"events": events})

    def _frame(self, kind: str, content: dict[str, Any]) -> None:
        assert self._socket is not None
        self._count += 1
        try:
            for piece in ({"msgid": f"V{self._count}", "msgtype": kind}, {}, content):
                self._socket.write_message(json.dumps(piece))
        except WebSocketClosedError:
            self.lost.append("connection")


def _map(data: dict[str, Any]) -> dict[str, Any]:
    entries = [[name, _map(value) if isinstance(value, dict) else value] for name, value in data.items()]
    return {"type": "map", "entries": entries}


def _plain(value: Any) -> Any:
    """Bokeh's written maps as dicts, one level deep."""
    if isinstance(value, dict) and value.get("type") == "map":
        return {str(name): each for name, each in value.get("entries", ())}
    return value


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All models that are written out in a message."""
    if isinstance(value, dict):
        if value.get("type") == "object" and "id" in value and isinstance(value.get("attributes"), dict):
            yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


def _origin(address: str) -> str:
    return "/".join(address.split("/")[:3])
