"""The hooks that Panel calls: once per process when the server starts, and for each request for a page."""

from __future__ import annotations

from typing import Any

from txpanel.server import middleware, operator_pages, visitors

middleware.install()  # before there is a server, so that no request is answered without these checks
operator_pages.install()


def on_server_loaded(server_context: Any) -> None:
    """Starts loading torch, transformers and the first model in the background."""
    from txpanel.server.start_up import start  # late: Panel reads this file before it serves anything

    operator_pages.begin()
    start()


def process_request(request: Any) -> dict[str, str]:
    """What the session will know of its visitor: where he comes from (:mod:`txpanel.server.visitors`), and whose limits hold for him."""
    return {"txpanel_peer": visitors.peer(request), "txpanel_address": visitors.address(request)}
