"""Dead connections, which hold memory: each connection is checked every few seconds, and closed where no browser answers any more.

After a machine was switched off or a cable cut, or on purpose, the system keeps a connection for hours, and the server its session, its place and
what was written to it. A browser answers a ping by itself, also for a page in the background; a page sends its first message as soon as it is
connected; and it reads what it is sent. A connection that does none of this is closed: a page that was only asleep takes its session up again,
as after any break.
"""

from __future__ import annotations

import contextlib
import logging
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tornado.ioloop import PeriodicCallback

from txpanel.models.limits import limits
from txpanel.server import visitors
from txpanel.server.rates import network
from txpanel.server.refusals import refuse

__all__ = ["Connections", "PageSocket", "PageSockets", "more_files"]

log = logging.getLogger("txpanel.server")

EVERY = 2.0
"""Seconds between two checks."""
PING = 20.0
"""Seconds without anything received after which a connection is pinged."""
SILENT = 70.0
"""Seconds without anything received after which it is closed."""
FIRST = 30.0
"""Seconds that a page has for its first message, which it sends as soon as it is connected."""
STUCK = 60.0
"""Seconds after which a connection is closed that takes nothing of what waits to be sent."""
UNREAD = 32_000_000
"""Most bytes that may wait to be sent: a page with all its pictures has a tenth of it."""
UNFINISHED = 120.0
"""Seconds that one message may take to arrive."""

EACH = 8
"""Connections other than websockets, for each page that is allowed: a browser opens up to six to fetch what a page needs."""
MORE = 100
"""Further ones of the whole server."""


@dataclass(slots=True)
class PageSocket:
    """What is known of one page's websocket. All times in seconds, by the clock of `PageSockets`.

    Attributes:
        heard: when something was received last. pinged: when it was pinged last.
        spoken: whether a message has come. begun: since when a message is incomplete; 0: none is.
        gone: bytes sent so far. moved: when that last grew, or nothing waited to be sent.
    """

    opened: float
    heard: float = 0.0
    pinged: float = 0.0
    spoken: bool = False
    begun: float = 0.0
    gone: int = 0
    moved: float = 0.0

    def __post_init__(self) -> None:
        self.heard = self.pinged = self.moved = self.opened

    def later(self, seconds: float) -> None:
        """Moves all times: the server itself was busy for so many seconds, which must not count."""
        self.opened += seconds
        self.heard += seconds
        self.pinged += seconds
        self.moved += seconds
        self.begun += seconds if self.begun else 0

    def over(self, now: float, waiting: int, gone: int) -> str:
        """Why the connection is to be closed; empty: it is not.

        Args:
            waiting: bytes that wait to be sent. gone: bytes that were sent so far.
        """
        if gone != self.gone or not waiting:
            self.gone, self.moved = gone, now
        if waiting > UNREAD or now - self.moved > STUCK:
            return "what it is sent is not read"
        if not self.spoken and now - self.opened > FIRST:
            return "it has not spoken"
        if now - self.heard > SILENT:
            return "it does not answer"
        if self.begun and now - self.begun > UNFINISHED:
            return "its message does not end"
        return ""

    def asks(self, now: float) -> bool:
        """Whether it is time for a ping."""
        if now - max(self.heard, self.pinged) < PING:
            return False
        self.pinged = now
        return True


class PageSockets:
    """The websockets of all pages of one server. Used on its thread only.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._all = weakref.WeakKeyDictionary[Any, PageSocket]()
        self._looked = 0.0
        self._timer: PeriodicCallback | None = None

    def begin(self, handler: Any) -> PageSocket:
        """A connection was opened; `handler` is Tornado's."""
        socket = self._all[handler] = PageSocket(self.clock())
        if self._timer is None:
            self._timer, self._looked = PeriodicCallback(self.look, 1000 * EVERY), 0.0
            self._timer.start()
        return socket

    def look(self) -> None:
        """Checks each of them, and closes dead ones; the timer stops when there is none."""
        if not self._all and self._timer is not None:
            self._timer.stop()
            self._timer = None
        now = self.clock()
        late = now - self._looked - EVERY if self._looked else 0.0
        self._looked = now
        for handler, socket in list(self._all.items()):
            if late > EVERY:
                socket.later(late)
            self._look(handler, socket, now)

    def _look(self, handler: Any, socket: PageSocket, now: float) -> None:
        protocol = handler.ws_connection
        stream = getattr(protocol, "stream", None)
        if stream is None or stream.closed():
            self._all.pop(handler, None)
            return
        gone = int(getattr(stream, "_total_write_done_index", 0))
        why = socket.over(now, int(getattr(stream, "_total_write_index", 0)) - gone, gone)
        if why:
            self._all.pop(handler, None)
            refuse("silent", visitors.address(handler.request))
            log.info("a connection was ended: %s", why)
            protocol._abort()  # a close frame would wait behind what is not read
        elif socket.asks(now):
            handler.ping(b"")


class Connections:
    """Counts the connections of one HTTP server other than pages' websockets, and closes those that are too many.

    Args:
        server: Tornado's.
        most: how many there may be in all, given the limits.
    """

    def __init__(self, server: Any) -> None:
        self._open = Counter[str]()
        self._said: dict[str, float] = {}
        self._take, self._give = server.handle_stream, server.on_close
        server.handle_stream, server.on_close = self.opened, self.closed

    def opened(self, stream: Any, address: Any) -> None:
        """As the server's own ``handle_stream``."""
        where = network(str(address[0])) if isinstance(address, tuple) and address else ""
        if self._too_many(where):
            self._refuse(where)
            stream.close()
            return
        self._open[where] += 1
        stream._txpanel_from = where
        self._take(stream, address)

    def closed(self, connection: Any) -> None:
        """As the server's own ``on_close``; also called when a connection becomes a websocket."""
        self._give(connection)
        where = getattr(connection.stream, "_txpanel_from", None)
        if where is not None:
            self._open[where] -= 1
            if self._open[where] <= 0:
                del self._open[where]

    def _too_many(self, where: str) -> bool:
        now = limits(public=visitors.is_public(where or None))
        most, each = EACH * now.max_sessions + MORE, EACH * now.max_sessions_per_address
        if now.max_sessions and sum(self._open.values()) >= min(most, _files() // 2):
            return True
        # behind a proxy on this machine all come from it
        return bool(each) and bool(where) and not visitors.is_loopback(where) and self._open[where] >= each

    def _refuse(self, where: str) -> None:
        now = time.monotonic()
        if now - self._said.get(where, -100.0) > 10:
            self._said = {name: then for name, then in self._said.items() if now - then < 10} | {where: now}
            refuse("connections", where)


FILES = 16_384
"""Files and connections that a server may have open where the system allows it: the usual 1024 are used up by a few hundred pages with several
connections each, and then every further one is an error."""


def more_files() -> None:
    """For the process of a server: raises its own limit of open files, as far as the system allows and `FILES`."""
    try:
        import resource  # late: not on Windows
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _files() -> int:
    """How many files and connections the system lets this process have."""
    try:
        import resource  # late: not on Windows
    except ImportError:
        return FILES
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft > 0 else FILES
