"""Who asks to know of a server is told where it listens, before its first request."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from bokeh.application import Application
from bokeh.application.application import ServerContext
from bokeh.server.server import BaseServer, Server
from tornado.ioloop import IOLoop

from txpanel.compat import replacing, server_made


def test_bokeh_still_tells_an_application_nothing_of_its_server() -> None:
    """When this fails, Bokeh may tell by itself where it listens: look whether `server_made` is needed."""
    assert not {name for name in vars(ServerContext) if "address" in name or name == "server"}
    assert "on_server" not in inspect.getsource(replacing.original(BaseServer, "__init__"))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_server_tells_its_addresses(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, list[str]]] = []
    monkeypatch.setattr(server_made, "listeners", [lambda app, http: told.append((app, server_made.addresses(http)))])
    server_made.mend()

    async def make() -> None:
        options = {"port": 0, "address": address, "allow_websocket_origin": ["a.example"]}
        server = Server({"/x": Application()}, io_loop=IOLoop.current(), **options)
        server._http.stop()

    asyncio.run(make())
    ((app, addresses),) = told
    assert addresses == [address]
    assert app.websocket_origins == {"a.example:80"}
