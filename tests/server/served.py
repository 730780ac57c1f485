"""A server in this process with all of our middleware and a small page of ours, for tests of what it answers."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import panel as pn
from panel.io.server import get_server
from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

from txpanel.page import theme
from txpanel.server import middleware


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: Any
    text: str

    @property
    def token(self) -> str:
        """That the page got."""
        found = re.search(r'"token":"([^"]+)"', self.text)
        assert found, self.text[:300]
        return found[1]

    @property
    def session(self) -> str:
        """The id of the page's session."""
        head = self.token.split(".")[0]
        return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["session_id"])


@dataclass
class Running:
    """A server.

    Attributes:
        server: Panel's. loop: in whose thread it runs. root: where it is.
    """

    server: Any
    loop: IOLoop
    root: str

    def get(self, path: str = "/txpanel", **headers: str) -> Answer:
        """What it answers, redirects not followed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with _opener.open(urllib.request.Request(self.root + path, headers=named), timeout=60) as found:
                return Answer(found.status, found.headers, found.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())

    def post(self, path: str, **fields: str) -> Answer:
        """What it answers to a form, redirects not followed."""
        request = urllib.request.Request(self.root + path, urlencode(fields).encode())
        try:
            with _opener.open(request, timeout=60) as found:
                return Answer(found.status, found.headers, found.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())

    @property
    def sessions(self) -> set[str]:
        """Ids of all that there are."""
        return self.here(lambda: {one.id for one in self.server._tornado.get_sessions("/txpanel")})  # type: ignore[no-any-return]

    def here(self, function: Callable[[], Any]) -> Any:
        """What a function says on the server's thread."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop.asyncio_loop).result(60)

    def socket(self, token: str, query: str = "") -> tuple[str, int | None]:
        """Opens a websocket with a token: its first message, or the code with which it was closed."""

        async def open_it() -> tuple[str, int | None]:
            address = self.root.replace("http", "ws", 1) + f"/txpanel/ws{query}"
            connection = await websocket_connect(address, subprotocols=["bokeh", token])
            message = await connection.read_message()
            code = connection.close_code
            connection.close()
            return str(message or ""), code

        return asyncio.run_coroutine_threadsafe(open_it(), self.loop.asyncio_loop).result(60)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


_opener = urllib.request.build_opener(_Stay)


async def stop(server: Any, loop: IOLoop) -> None:
    """Ends a server of Bokeh's, and then its loop."""
    if hasattr(server, "stop_async"):  # since Bokeh 3.10, whose `stop` only begins it
        await server.stop_async()
    else:
        server.stop()
    loop.stop()


@contextmanager
def served(**options: Any) -> Iterator[Running]:
    """A running server; `options` are those of Panel's ``get_server``."""
    middleware.install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made: list[Any] = []
    ready = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        loop = IOLoop.current()
        origins: Sequence[str] = options.pop("origins", [f"localhost:{port}", f"127.0.0.1:{port}"])
        server = get_server(
            {"/txpanel": lambda: theme.page([pn.Column("text")], title="txpanel")},
            port=port, address="127.0.0.1", websocket_origin=list(origins), show=False, start=False, **options,
        )  # fmt: skip
        made.extend([server, loop])
        server.start()
        loop.add_callback(ready.set)
        loop.start()
        loop.close(all_fds=True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    server, loop = made
    try:
        yield Running(server, loop, f"http://127.0.0.1:{port}")
    finally:
        loop.add_callback(stop, server, loop)
        thread.join(60)
