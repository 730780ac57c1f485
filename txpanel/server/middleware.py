"""All that is installed between the server and its visitors, in one place: what each request passes, and what is called when the server is made.

`install` is called by ``app_hooks``, so all of it holds under a bare ``panel serve txpanel``. To add one: a replacement in a library is a
file in ``compat`` with ``mend()``; what may answer a request for a page before there is a session is a `Gate` (``GATES``); what belongs to the made
server, such as an address of its own (``tornado_app.add_handlers``), is a listener (``ON_SERVER``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from bokeh.settings import settings

from txpanel.compat import (
    component_files,
    long_requests,
    one_thread,
    page_requests,
    password_variable,
    root_requests,
    server_made,
)
from txpanel.compat import login_pages as compat_login
from txpanel.messages import _
from txpanel.models.environment import environment
from txpanel.server import compressed, cross_site, entry_limits, headers, login_pages, odd_requests, visitors

__all__ = ["GATES", "ON_SERVER", "install"]

log = logging.getLogger("txpanel.server")


def _who_may_come(tornado_app: Any, http_server: Any) -> None:
    """Decides from the server's addresses and allowed origins who counts as local (`txpanel.server.visitors`), and logs it once."""
    origins = {*tornado_app.websocket_origins, *(settings.allowed_ws_origin() or ())}
    visitors.expose(server_made.addresses(http_server), origins)
    if visitors.exposed() and environment().public is None:
        text = _(
            "Visitors from outside can reach this server ({ways}), so they get only the models it offers. Set "
            "TXPANEL_PUBLIC=0 if you trust them all."
        )
        log.warning(text.format(ways=", ".join(visitors.exposed())))


GATES: tuple[page_requests.Gate, ...] = (cross_site.gate, entry_limits.gate)
"""Called in this order before a page is made."""

ON_SERVER: tuple[Callable[[Any, Any], None], ...] = (
    _who_may_come,
    headers.install,
    compressed.install,
    entry_limits.bound,
    odd_requests.install,
)
"""Called with the Tornado application and the HTTP server when it is made."""

_once = threading.Lock()
_installed = False


def install() -> None:
    """Installs all of it; once per process, may be called again.

    Raises:
        RuntimeError: a library has changed, so that a check would not work. The server does not start then, since it would be unprotected.
    """
    global _installed
    with _once:
        if _installed:
            return
        for workaround in (
            component_files,
            one_thread,
            page_requests,
            password_variable,
            root_requests,
            server_made,
        ):
            workaround.mend()
        long_requests.mend(odd_requests.too_large)
        entry_limits.install()
        compat_login.mend(
            login_pages.template,
            lambda: bool(headers.embedders()),
            login_pages.wrong_password,
            login_pages.turned_away,
        )
        page_requests.gates.extend(GATES)
        server_made.listeners.extend(ON_SERVER)
        _installed = True
