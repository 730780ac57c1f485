"""A session outlives its connection: messages that were lost are sent again when the browser has reconnected, to the same page.

Bokeh's own reconnecting draws the whole page anew from a document that it reads without its arrays, and what was on its way in either
direction is lost. Here a page that asks for it (``begin``) has a `KeptConnection`: both sides count the frames of Bokeh's protocol and keep those that
the other has not acknowledged. When the connection breaks, the session keeps it for as long as Bokeh would keep an unused
session. A new connection that names the same session and says how far it had come gets the rest, and the page goes on as if nothing had
happened. A tab that is closed says so, and ends its session as always. The browser's half is ``kept_connection.js``.

Besides Bokeh's frames there are a few of our own, text that begins with `MARK`, which are neither counted nor kept:

* ``begin`` → ``begun``: from here on both count.
* ``ping`` (got) → ``pong`` (got): the server is there, however busy the model is.
* a connection with ``?txpanel-got=N`` → ``resumed`` (got), or ``gone``: the server does not have this session any more. The page's own token
  opens it, however old (``page_requests.py``).

Versions: Bokeh 3.9 to 3.10, Panel 1.9.4 to 1.10.0.
Reason: correctness; a text typed while the connection is away is lost otherwise, and an old prediction stands behind it.
Upstream: bokeh/bokeh, bokehjs/src/lib/client/connection.ts, `_repull_session_doc`: a new page (in 3.9 without its arrays); bokeh/server/views/ws.py.
Test: tests/compat/test_kept_connections.py::test_bokeh_still_draws_the_whole_page_anew
"""

from __future__ import annotations

import json
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.session import current_time
from bokeh.server.views.ws import WSHandler
from bokeh.util.token import get_session_id
from panel.io import document as panel_document
from panel.io.server import WSHandler as PanelWSHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from txpanel.compat.page_requests import close_as_gone
from txpanel.compat.replacing import replace

__all__ = ["MARK", "PAGE_LEFT", "KeptConnection", "bound", "held", "mend", "mended"]

MARK = "txpanel "
"""How a frame of our own begins; a frame of Bokeh's begins with a brace or is binary."""
MOST = 4_000_000
"""Bytes that are kept of what a browser has not acknowledged; with more, a broken connection is not taken up, and nothing is kept for it."""
FRAME = 100
"""Bytes that a frame takes besides its own."""
REPLACED = 4409
PAGE_LEFT = (1000, 1001)
"""With which codes a browser closes the connection of a page that is left."""

_mended: list[bool] = []
_all: weakref.WeakSet[KeptConnection] = weakref.WeakSet()
_total = 0  # bytes kept for all of them
_bound: Callable[[], int] = int(16 * MOST).__int__  # until a server sets it


def held() -> int:
    """Bytes that are kept for all browsers together."""
    return _total


def bound(most: Callable[[], int]) -> None:
    """Sets how many bytes may be kept for all browsers together, asked for whenever there are more; the largest are given up first."""
    global _bound
    _bound = most


class KeptConnection:
    """A session's connection that stays the same while sockets come and go; it takes the place of Bokeh's handler of a websocket.

    Args:
        handler: of the connection on which the page has asked for it.

    Attributes:
        got: how many frames of the browser have arrived. sent: how many the session has sent, on whatever connection.
        write_lock: Bokeh's, so that the frames of a message are not torn apart.
    """

    def __init__(self, handler: Any) -> None:
        self._size = 0
        self.application = handler.application
        self.connection = handler.connection
        self.receiver, self.write_lock = handler.receiver, handler.write_lock
        self.got = self.sent = 0
        self._handler: Any = None
        self._unheard: deque[tuple[str | bytes, bool]] = deque()
        self._torn = False
        self._lost = 0.0  # when, on Bokeh's clock
        self._timer: Any = None
        _all.add(self)
        self._take(handler)
        self.connection._socket = self
        self.connection.session._txpanel_kept = self

    def _take(self, handler: Any) -> None:
        self._handler = handler
        handler._txpanel_kept, handler._txpanel_heard = self, False
        handler.write_message = self.write_message  # Bokeh's own answers, in their turn among the others
        handler.write_lock, handler.receiver, handler.connection = self.write_lock, self.receiver, self.connection
        handler.handler = handler.handler or ProtocolHandler()

    # -- what Bokeh and Panel call ---------------------------------------------------------------------------------------

    async def send_message(self, message: Any) -> None:
        """As Bokeh's handler does."""
        await message.send(self)

    async def write_message(self, message: str | bytes, binary: bool = False, locked: bool = True) -> None:
        """As Bokeh's handler does; a frame for a browser that is away is kept for it."""
        if locked:
            with await self.write_lock.acquire():
                self.put(message, binary)
        else:
            self.put(message, binary)

    def ping(self, data: bytes = b"") -> None:
        """As Tornado's handler does."""
        try:
            if self._handler is not None:
                self._handler.ping(data)
        except WebSocketClosedError:  # it will be told as lost
            pass

    def put(self, message: str | bytes, binary: bool = False) -> None:
        """Sends a frame, and keeps it until the browser has acknowledged it."""
        self.sent += 1
        if self._handler is not None or self._unheard or not self._torn:
            self._unheard.append((message, binary))
            self._grown(len(message) + FRAME)
        if self._size > MOST:
            self.tear()
        elif _total > _bound():
            max(_all, key=lambda kept: kept._size).tear()
        self._write(message, binary)

    def tear(self) -> None:
        """Drops the frames that the browser has not acknowledged: if the connection breaks before they arrive, it cannot be resumed."""
        self._unheard.clear()
        self._grown(-self._size)
        self._torn = True

    def __del__(self) -> None:
        self._grown(-self._size)

    def _grown(self, more: int) -> None:
        global _total
        self._size += more
        _total += more

    def _write(self, message: str | bytes, binary: bool = False) -> None:
        try:
            if self._handler is not None:
                WebSocketHandler.write_message(self._handler, message, binary).add_done_callback(_over)
        except WebSocketClosedError:  # it will be told as lost
            pass

    # -- frames of our own -----------------------------------------------------------------------------------------------

    def say(self, kind: str, **more: Any) -> None:
        """A frame of our own."""
        self._write(MARK + json.dumps({"kind": kind, **more}))

    def hear(self, said: dict[str, Any]) -> None:
        """A frame of our own from the browser: the only one that is answered is a ping."""
        if said.get("kind") != "ping":
            return
        self._acknowledged(said.get("got"))
        self.say("pong", got=self.got)

    def _acknowledged(self, got: Any) -> None:
        if not isinstance(got, int) or isinstance(got, bool):
            return
        while self._unheard and self.sent - len(self._unheard) < got:
            self._grown(-len(self._unheard.popleft()[0]) - FRAME)
        if got >= self.sent - len(self._unheard):  # it has received what was dropped
            self._torn = False

    # -- connections come and go -----------------------------------------------------------------------------------------

    def closed(self, handler: Any) -> bool:
        """A socket was closed. Returns whether the session is kept for the browser to come back."""
        if handler is not self._handler:  # another one has taken its place
            return True
        self._handler = None
        session = self.connection._session
        left = handler.close_code in PAGE_LEFT and handler._txpanel_heard  # else it is a try that was given up
        if session is None or session.destroyed or left:
            self._forget()
            return False
        self._lost = current_time()
        wait = self.application._unused_session_lifetime_milliseconds / 1000
        self._timer = self.application.io_loop.call_later(wait, self._give_up)
        return True

    def resume(self, handler: Any, got: int) -> bool:
        """A new socket of the same browser, which has received `got` frames. Returns whether the session goes on with it."""
        session = self.connection._session
        if session is None or session.destroyed or not self.sent - len(self._unheard) <= got <= self.sent:
            return False
        before, self._handler = self._handler, None
        if self._timer is not None:
            self.application.io_loop.remove_timeout(self._timer)
            self._timer = None
        if before is not None:  # this side had not noticed yet that it is dead
            before._txpanel_kept = None
            before._txpanel_over = True
            before.close(REPLACED, "another connection has taken its place")
        self._acknowledged(got)
        self._take(handler)
        self.say("resumed", got=self.got)
        for message, binary in self._unheard:
            self._write(message, binary)
        return True

    def _give_up(self) -> None:
        """The browser did not reconnect: the session counts as unused since the connection was lost."""
        self._timer = None
        session = self.connection._session
        self._forget()
        if session is not None and not session.destroyed:
            session.notify_connection_lost()
            self.application.client_lost(self.connection)
            session._last_unsubscribe_time = self._lost

    def _forget(self) -> None:
        self.tear()
        session = self.connection._session
        if session is not None:
            session._txpanel_kept = None


def _over(written: Any) -> None:
    """Retrieves the error of a frame's write, if its connection was gone: else asyncio would log that nobody did."""
    if not written.cancelled():
        written.exception()


def mend() -> None:
    """Lets sessions outlive their connections; once per process, may be called again."""
    there = [
        replace(WSHandler, "on_message", _on_message, needs=("self._receive(",)),
        replace(WSHandler, "on_close", _on_close, needs=("client_lost(self.connection)",)),
        replace(PanelWSHandler, "_async_open", _async_open, needs=("super()._async_open(token)",)),
    ]
    panel_document.extra_socket_handlers[KeptConnection] = _dispatch
    if all(there) and not _mended:
        _mended.append(True)


def mended() -> bool:
    """Whether `mend` was called, so that pages may ask for it."""
    return bool(_mended)


def _dispatch(connection: Any, events: Any = None, msg: Any = None) -> list[Any]:
    """As Panel's `dispatch_tornado`: all frames of a message at once."""
    if msg is None and events:
        msg = connection.protocol.create("PATCH-DOC", events)
    if msg is None:
        return []
    kept = connection._socket
    for part in (msg.header_json, msg.metadata_json, msg.content_json):
        kept.put(part)
    for buffer in msg._buffers:
        kept.put(json.dumps(buffer.ref))
        kept.put(buffer.to_bytes(), True)
    return []


def _said(fragment: Any) -> dict[str, Any] | None:
    """What a frame of our own says; None: it is one of Bokeh's."""
    if not isinstance(fragment, str) or not fragment.startswith(MARK):
        return None
    try:
        said = json.loads(fragment[len(MARK) :])
    except (ValueError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {}


def _on_message(own: Callable[..., Any]) -> Callable[..., Any]:
    async def on_message(self: Any, fragment: str | bytes) -> None:
        if getattr(self, "_txpanel_over", False):
            return
        kept: KeptConnection | None = getattr(self, "_txpanel_kept", None)
        self._txpanel_heard = True
        said = _said(fragment)
        if said is None:
            if kept is not None:
                kept.got += 1
            await own(self, fragment)
        elif kept is not None:
            kept.hear(said)
        elif said.get("kind") == "begin" and self.connection is not None:
            with await self.write_lock.acquire():  # not in the middle of a message
                if getattr(self, "_txpanel_kept", None) is None:
                    KeptConnection(self).say("begun")
                    self._txpanel_heard = True

    return on_message


def _on_close(own: Callable[..., Any]) -> Callable[..., Any]:
    def on_close(self: Any) -> None:
        kept: KeptConnection | None = getattr(self, "_txpanel_kept", None)
        if getattr(self, "_txpanel_over", False) or (kept is not None and kept.closed(self)):
            return
        own(self)

    return on_close


def _async_open(own: Callable[..., Any]) -> Callable[..., Any]:
    async def _async_open(self: Any, token: str) -> None:
        got = self.get_query_argument("txpanel-got", None)
        if got is None:
            await own(self, token)
            return
        # the token was looked at when the connection was opened
        session = self.application_context._sessions.get(get_session_id(token))
        kept: KeptConnection | None = getattr(session, "_txpanel_kept", None)
        count = int(got) if got.isascii() and got.isdecimal() and len(got) < 16 else -1
        if kept is not None and kept.resume(self, count):
            return
        close_as_gone(self)

    return _async_open
