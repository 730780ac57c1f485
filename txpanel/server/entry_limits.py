"""The limits that hold before a session is there: places, requests for pages, messages and their size.

They are put in front of Bokeh's handlers before the server has been made, so they hold under ``panel serve txpanel`` as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any
from urllib.parse import urlsplit

from bokeh.server import urls
from bokeh.server.tornado import DEFAULT_WEBSOCKET_MAX_MESSAGE_SIZE_BYTES
from bokeh.server.util import check_allowlist
from bokeh.server.views.session_handler import SessionHandler
from bokeh.server.views.ws import WSHandler
from bokeh.settings import settings
from bokeh.util.token import get_session_id

from txpanel.compat import frame_rate
from txpanel.compat.kept_connections import PAGE_LEFT
from txpanel.messages import _
from txpanel.models import metrics
from txpanel.models.limits import Limits
from txpanel.server import visitors, waiting_page
from txpanel.server.admission import Admission, limits_of
from txpanel.server.dead_connections import Connections, PageSocket, PageSockets
from txpanel.server.refusals import refuse
from txpanel.server.waiting_line import Answer, Room
from txpanel.server.work_budget import LONGEST, budget, measured

__all__ = ["LimitedPage", "LimitedSocket", "admission", "bound", "gate", "install"]

log = logging.getLogger("txpanel.server")

ODD, TOO_BIG, TRY_LATER = 1002, 1009, 1013
CALM = 0.7
"""Seconds between two messages to a page that is slowed down: after 1.5 without one it says that the server does not answer."""
NOTED = 0.5
"""Seconds of waiting from which on a page is told that it is slowed down."""
WHOLE = (6.0, 0.2)
"""Requests for the whole document that a page may make at once, and per second afterwards."""

AT_ONCE = 4
"""Connections of one session: a browser has one, and one more while a broken one is replaced."""

BODY = 1_000_000
"""Most bytes of a request's body: nothing here is larger than a login; files come as messages."""
PATIENT, IDLE = 30.0, 75.0
"""Seconds for a body, and between two requests of a connection that is kept open."""

admission = Admission()
"""Of this process."""
metrics.WAITING.of(lambda: len(admission.line))


def gate(handler: Any) -> bool:
    """See `txpanel.compat.page_requests.Gate`: answers where there is no place, or its address asks too often."""
    if handler.request.method != "GET" or handler.current_user is None:
        return False
    address, now, asks = visitors.address(handler.request), limits_of(handler.request), _wants_json(handler.request)
    again = 0 if asks else admission.too_often(address, now)
    if again:
        refuse("pages", address)
        _answer(handler, 429, waiting_page.too_often(again), again)
        return True
    ticket, room = handler.get_query_argument("place", ""), admission.room(handler)
    answer = admission.line.ask(address, ticket, room, enters=not asks)
    if asks:
        _tell(handler, answer)
    elif not answer.enter:
        _turn_away(handler, answer, ticket, room, address)
    return bool(handler._finished)


def _turn_away(handler: Any, answer: Answer, ticket: str, room: Room, address: str) -> None:
    only = room.refuses_only(address)
    if answer.ticket != ticket or not ticket:  # who asks again is not refused again
        refuse("line-full" if not answer.ticket else "address-full" if only else "full", address)
    again = _again(answer)
    _answer(handler, 503, waiting_page.full(answer, again=again, address_only=only), again)


def _tell(handler: Any, answer: Answer) -> None:
    handler.set_header("Content-Type", "application/json")
    handler.set_header("Cache-Control", "no-store")
    handler.finish(json.dumps({"enter": answer.enter, "place": answer.place, "again": _again(answer)}))


def _answer(handler: Any, status: int, page: str, again: int) -> None:
    handler.set_status(status)
    handler.set_header("Content-Security-Policy", waiting_page.policy())
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("Retry-After", str(again))
    handler.finish(page)


class LimitedPage(SessionHandler):
    """Bokeh's handler of pages; each page takes a place."""

    async def get_session(self) -> Any:
        """The session of this page, which has a place from now on."""
        return await admission.bring(visitors.address(self.request), super().get_session())


class LimitedSocket(WSHandler):
    """Bokeh's handler of websockets, with limits on the size and rate of messages and on connections."""

    _limits = Limits()
    _largest = DEFAULT_WEBSOCKET_MAX_MESSAGE_SIZE_BYTES
    _size = 0  # bytes received of an incomplete message
    _since = 0.0  # when the last line about too many messages was written
    _page_socket: PageSocket | None = None

    def check_origin(self, origin: str) -> bool:
        """Whether pages of that origin may connect, as Bokeh decides it; a refusal is not logged as an error, since anybody can send that header."""
        known = settings.allowed_ws_origin() or self.application.websocket_origins
        if check_allowlist(urlsplit(origin).netloc.lower(), list(known)):
            return True
        refuse("cross-site", visitors.address(self.request))
        log.warning(
            "Refusing websocket connection from Origin %s; if that is your name for this server, start it with --allow-websocket-origin and that name",
            ascii(origin[:100]),
        )
        return False

    @property
    def max_message_size(self) -> int:
        """Bytes of a message, at most."""
        most = limits_of(self.request).max_message_mb * 1_000_000
        own = int(super().max_message_size)  # --websocket-max-message-size of Panel and Bokeh
        if not most or own == DEFAULT_WEBSOCKET_MAX_MESSAGE_SIZE_BYTES:
            return most or own
        return min(own, most)

    def open(self, *args: Any, **named: Any) -> Any:
        """The websocket is open; from now on it is checked whether it is alive (`txpanel.server.dead_connections`)."""
        everybody = self.application.settings.setdefault("txpanel_page_sockets", PageSockets())
        self._page_socket = everybody.begin(self)
        return super().open(*args, **named)

    def on_pong(self, data: bytes) -> None:
        """The browser has answered a ping."""
        if self._page_socket is not None:
            self._page_socket.heard = time.monotonic()
        super().on_pong(data)

    async def _receive(self, fragment: str | bytes) -> Any:
        """Puts the frames of a message together and limits their sum: each may be small and the message still without end."""
        if self._page_socket is not None:
            self._page_socket.begun = self._page_socket.begun or time.monotonic()
        self._size += len(fragment)
        if self._size > self._largest:
            self.close(TOO_BIG, "message too big")
            return None
        try:
            message = await super()._receive(fragment)
        except Exception as error:  # anything can be sent: Bokeh would write a traceback
            self._protocol_error(type(error).__name__)
            return None
        if message is not None:
            self._size = 0
            if self._page_socket is not None:
                self._page_socket.begun = 0.0
        return message

    def _protocol_error(self, message: str) -> None:
        """What came is not a message of a page. It is not logged: strangers could fill the log."""
        if self.ws_connection is not None and not self.ws_connection.is_closing():
            refuse("message-odd", visitors.address(self.request))
            self.close(ODD, "no message of a page")

    def get_websocket_protocol(self) -> Any:
        """Tornado's, which ends the connection by itself when a message is too large: that is noted."""
        protocol, self._largest = super().get_websocket_protocol(), self.max_message_size
        own = protocol.close if protocol is not None else None

        def close(code: int | None = None, reason: str | None = None) -> None:
            if code == TOO_BIG and not protocol.is_closing():
                refuse("message-size", visitors.address(self.request))
            if own is not None:
                own(code, reason)

        if protocol is not None:
            protocol.close = close
            frame_rate.bound(protocol)
        return protocol

    async def _async_open(self, token: str) -> None:
        name, address, self._limits = (
            str(get_session_id(token)),
            visitors.address(self.request),
            limits_of(self.request),
        )
        session = _by_name(self.application_context, name)
        crowded = session is not None and session.connection_count >= AT_ONCE
        if crowded or admission.too_often(address, self._limits, connects=True):
            refuse("connections", address)
            self.close(TRY_LATER, "this server takes no further connection now")
            return
        await super()._async_open(token)
        session = _by_name(self.application_context, name)
        if session is not None:
            admission.arrived(session, address)

    async def on_message(self, fragment: str | bytes) -> None:
        """A frame of a message. Where too many come, it waits, and nothing more is read from this connection meanwhile."""
        if self._page_socket is not None:
            self._page_socket.heard, self._page_socket.spoken = time.monotonic(), True
        if self.receiver is None:  # a page waits until it is told that it may speak
            self._protocol_error("too early")
            return
        session = _session_of(self)
        if session is None:  # the page was closed, and its last message is read now
            return
        address, name = visitors.address(self.request), str(session.id)
        pause, work = admission.pause(session.id, address, self._limits), budget.pause(session.id)
        if pause or work > NOTED:
            self._slowed(address, work=work > pause)
        if pause or work:
            await self._wait(max(pause, work))
            if _session_of(self) is None:  # left meanwhile: Bokeh would call it an error
                return
        await measured(super().on_message(fragment), lambda seconds: budget.spent(name, seconds))

    async def _handle(self, message: Any) -> Any:
        """Handles a message. A page asks for its whole document once per connection; further such requests wait."""
        session = _session_of(self)
        if session is not None and message.msgtype == "PULL-DOC-REQ" and self._limits.max_messages_per_second:
            pause = min(admission.messages.owe(f"page {session.id} whole", *WHOLE), LONGEST)
            if pause:
                self._slowed(visitors.address(self.request), work=True)
                await self._wait(pause)
        return await super()._handle(message) if _session_of(self) is not None else None

    async def _wait(self, seconds: float) -> None:
        """Reads nothing for so many seconds; the page is told meanwhile that the server is there, since its pings wait, too."""
        kept = getattr(self, "_txpanel_kept", None)
        while seconds > 0:
            await asyncio.sleep(min(seconds, CALM))
            seconds -= CALM
            if kept is not None and seconds > 0:
                kept.say("pong", got=kept.got)

    def _slowed(self, address: str, *, work: bool) -> None:
        now = time.monotonic()
        if now - self._since < 10 and self._since:
            self._since = now  # it goes on
            return
        self._since = now
        refuse("work" if work else "messages", address)
        session = _session_of(self)
        page = _page_of(session) if session is not None else None
        if page is None:
            return
        if work:
            page.say(_("This page asks for more than its share of work while others are here, so it is slowed down."))
            return
        page.say(
            _("This page sends more messages than the server takes ({n} a second), so it is slowed down.").format(
                n=self._limits.max_messages_per_second
            )
        )

    def on_close(self) -> None:
        """The connection has ended. If the page was closed, too, what it has asked for is cancelled."""
        session = _session_of(self)
        if (
            session is None and self.connection is not None
        ):  # Bokeh's keep-alive found the connection dead and dropped the session
            kept = getattr(self, "_txpanel_kept", None)
            if kept is not None:
                kept.closed(self)
            return
        super().on_close()
        if session is None:
            return
        for name in (f"page {session.id}", f"page {session.id} whole"):
            admission.messages.forget(name)
        if self.close_code in PAGE_LEFT and not session.connection_count:
            session.request_expiration()
            page = _page_of(session)
            if page is not None:
                page.left()


def _session_of(handler: Any) -> Any:
    """The session of a connection; None before there is one, and once it has ended."""
    return getattr(handler.connection, "_session", None)


def _by_name(context: Any, name: str) -> Any:
    return next((session for session in context.sessions if session.id == name), None)


def _page_of(session: Any) -> Any:
    from txpanel.server import session_page  # late: the page's own modules, which a server imports by itself

    return session_page.of(session.document)


def _wants_json(request: Any) -> bool:
    return str(request.headers.get("Accept", "")).strip() == "application/json"


def _again(answer: Answer) -> int:
    """Seconds after which a waiting page asks again: the first in the line soon, since places are kept for them."""
    return 3 if answer.enter or 0 < answer.place <= 20 else 6 if answer.ticket else 20


def bound(_tornado_app: Any, http_server: Any) -> None:
    """Sets how much of a request is read, and for how long: Tornado's own limits are 100 MB and an hour."""
    parameters = getattr(http_server, "conn_params", None)
    if parameters is not None:
        parameters.max_body_size = min(parameters.max_body_size or BODY, BODY)
        parameters.body_timeout = parameters.body_timeout or PATIENT
        parameters.header_timeout = min(parameters.header_timeout or IDLE, IDLE)
    if hasattr(http_server, "handle_stream"):
        Connections(http_server)


def install() -> None:
    """Puts the limits in front of the handlers of all pages; before a server is made. May be called again."""
    for n, (route, handler, *more) in enumerate(urls.per_app_patterns):
        limited = LimitedSocket if issubclass(handler, WSHandler) else LimitedPage
        if (
            issubclass(handler, (WSHandler, SessionHandler))
            and not issubclass(handler, limited)
            and "metadata" not in route
        ):
            both = type(handler.__name__, (limited, handler), {"__doc__": handler.__doc__})
            urls.per_app_patterns[n] = (route, both, *more)
