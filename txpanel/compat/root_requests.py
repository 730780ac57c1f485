"""A link to the server's root keeps what follows its ``?``, and a program that asks with HEAD whether a page is there is told so.

``/?text=...`` leads to ``/txpanel``, but Panel leaves the text out. And HEAD, with which link checkers, chats and monitors ask, is answered by 405.
Here it is answered as GET would be, without a body; for a page no session is made, since nobody will look at it.

Versions: Bokeh 3.9 to 3.10, Panel 1.9.4 to 1.10.0.
Reason: correctness; a shared link opens another page than it names, and looks broken to programs.
Upstream: holoviz/panel, panel/io/server.py, `RootHandler.get` and `DocHandler`: there is no ``head``.
Test: tests/compat/test_root_requests.py::test_panel_still_drops_the_query_and_knows_no_head
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from panel.io.server import DocHandler, RootHandler
from tornado.web import authenticated

from txpanel.compat.replacing import replace

__all__ = ["mend"]


def mend() -> None:
    """Applies the workaround; once per process, may be called again."""
    replace(RootHandler, "redirect", _with_query)
    replace(RootHandler, "head", lambda _own: _as_get)
    replace(DocHandler, "head", lambda _own: _without_session)


def _with_query(own: Callable[..., None]) -> Callable[..., None]:
    def redirect(self: Any, url: str, *args: Any, **named: Any) -> None:
        if self.request.query and "?" not in url:
            url = f"{url}?{self.request.query}"
        own(self, url, *args, **named)

    return redirect


async def _as_get(self: Any, *args: Any, **named: Any) -> None:
    answering = self.get(*args, **named)
    if answering is not None:  # else Tornado has sent the visitor to the login
        await answering


@authenticated
def _without_session(self: Any, *_args: Any, **_named: Any) -> None:
    self.set_header("Content-Type", "text/html; charset=utf-8")
    self.set_header("Cache-Control", "no-store")
    self.finish()
