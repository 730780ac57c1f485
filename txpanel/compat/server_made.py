"""Calls listeners when a server was made: Bokeh tells an application neither its addresses nor its origins, and has no hook for headers.

Versions: Bokeh 3.9 to 3.10.
Reason: whether strangers can reach the server depends on where it listens and who may connect; headers belong to every answer.
Upstream: bokeh/bokeh, bokeh/server/server.py, BaseServer: no hook between the making of a server and its first request.
Test: tests/compat/test_server_made.py::test_bokeh_still_tells_an_application_nothing_of_its_server
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.server.server import BaseServer

from txpanel.compat.replacing import replace

__all__ = ["addresses", "listeners", "mend"]

listeners: list[Callable[[Any, Any], None]] = []
"""Each is called with the Tornado application and the HTTP server, before the first request."""


def mend() -> None:
    """Applies the workaround; once per process, may be called again.

    Raises:
        RuntimeError: Bokeh's server has changed, so that nobody would be called.
    """
    if not replace(BaseServer, "__init__", _telling):
        raise RuntimeError("Bokeh's server is not what it was: txpanel cannot see who may reach it")


def _telling(own: Callable[..., None]) -> Callable[..., None]:
    def made(self: Any, io_loop: Any, tornado_app: Any, http_server: Any) -> None:
        own(self, io_loop, tornado_app, http_server)
        for listener in listeners:
            listener(tornado_app, http_server)

    return made


def addresses(http_server: Any) -> list[str]:
    """The addresses that a server listens on; a path, or nothing, for a Unix socket."""
    found = [socket.getsockname() for socket in getattr(http_server, "_sockets", {}).values()]
    return [str(name[0]) if isinstance(name, tuple) else str(name) for name in found]
