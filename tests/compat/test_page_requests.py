"""Bokeh still lets a request choose its session (what our guard does is held by tests/server/test_middleware.py)."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from importlib.util import find_spec

from bokeh.server.views.session_handler import SessionHandler
from bokeh.server.views.ws import WSHandler

from txpanel.compat import replacing


def test_bokeh_still_takes_the_session_from_the_address() -> None:
    """When this fails, look whether Bokeh makes a new session for each request by itself: drop `page_requests`."""
    source = inspect.getsource(inspect.unwrap(replacing.original(SessionHandler, "get_session")))
    if find_spec("bokeh.server.core") is not None:  # since Bokeh 3.10
        assert "self.application.create_session(" in source
        source = inspect.getsource(import_module("bokeh.server.core").create_session)
    for brought in ("bokeh-token", "bokeh-session-id", "Bokeh-Session-Id"):
        assert re.search(f"[\"']{brought}[\"']", source)
    assert "create_session_if_needed" in inspect.getsource(replacing.original(WSHandler, "_async_open"))
