"""What Panel calls by itself: once per process before anybody looks, and for each request for a page."""

from __future__ import annotations

from typing import Any

from txpanel.server import doors, outside, visitors

doors.install()  # before there is a server: nothing of it is ever open without
outside.install()


def on_server_loaded(server_context: Any) -> None:
    """Starts loading torch, transformers and the first model in the background."""
    from txpanel.server.start_up import start  # late: Panel reads this file before it serves anything

    outside.begin()
    start()


def process_request(request: Any) -> dict[str, str]:
    """Who is on the other side, as the session will know it (see :mod:`txpanel.server.visitors`), and whose limits hold for it."""
    return {"txpanel_peer": visitors.peer(request), "txpanel_address": visitors.address(request)}
