"""What Panel calls by itself: once per process before anybody looks, and for each request for a page."""

from __future__ import annotations

from typing import Any


def on_server_loaded(server_context: Any) -> None:
    """Starts loading torch, transformers and the first model in the background."""
    from txpanel.server.session_page import start  # late: Panel reads this file before it serves anything

    start()


def process_request(request: Any) -> dict[str, str]:
    """Who is on the other side: the page's own words about its address could be made up, the connection's can't.

    A proxy on this machine speaks for others; it says so in its headers, and then nobody is taken for local.
    """
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip"))
    return {"txpanel_peer": "" if forwarded else str(request.remote_ip)}
