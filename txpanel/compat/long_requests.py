"""A request whose address or headers are too large is answered: 414 or 431 with a sentence.

Tornado closes such a connection without an answer, while the rest of the request is still on its way, so that a browser says "connection reset" and
its user can only guess that a link was too long. Here the answer is written first, and what comes after is read and thrown away for a moment, because
a close before that would take the answer away again.

Versions: Tornado 6.5 to 6.6.
Reason: a link that is too long leaves a blank page without a word.
Upstream: tornadoweb/tornado, tornado/iostream.py, `UnsatisfiableReadError`, and http1connection.py, `HTTP1ServerConnection._server_request_loop`.
Test: tests/compat/test_long_requests.py::test_tornado_still_says_nothing
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tornado.http1connection import HTTP1ServerConnection
from tornado.iostream import UnsatisfiableReadError

from txpanel.compat.replacing import replace

__all__ = ["mend"]

LINGER = 1.0
"""Seconds for which what comes after is read."""
MOST = 8_000_000
"""Bytes that are read of it."""


Told = Callable[[int, Any], str]
"""Called with the status, 414 or 431, and Tornado's context of the connection, with ``remote_ip``; returns what the person is told."""


def mend(told: Told) -> None:
    """Applies the workaround; once per process, may be called again.

    Args:
        told: called for each such request.
    """

    def telling(own: Callable[..., None]) -> Callable[..., None]:
        def made(self: Any, stream: Any, params: Any = None, context: Any = None) -> None:
            own(self, stream, params, context)
            _Answer(stream, lambda status: told(status, context))

        return made

    replace(HTTP1ServerConnection, "__init__", telling)


class _Answer:
    """Replaces the ``close`` of one connection's stream: answers first."""

    def __init__(self, stream: Any, told: Callable[[int], str]) -> None:
        self.stream, self.told, self.own = stream, told, stream.close
        self.seen = 0
        self.said = False
        stream.close = self.close

    def close(self, exc_info: Any = False) -> None:
        """As the stream's own."""
        if not isinstance(exc_info, UnsatisfiableReadError) or self.stream.closed():
            self.own(exc_info)
            return
        buffer = self.stream._read_buffer
        first = not self.said
        if first:
            self.said = True
            line = bytes(buffer).partition(b"\n")[0]
            status = 414 if len(line) > len(buffer) // 2 else 431
            try:
                self.stream.socket.send(_answer(status, self.told(status)))
            except OSError:  # it is gone, or takes nothing now
                self.own(exc_info)
                return
        self.seen += len(buffer)
        del buffer[:]
        self.stream._read_buffer_size = 0
        if self.seen > MOST:
            self.own(exc_info)
        elif first:
            self.stream.io_loop.call_later(LINGER, self.own, exc_info)
            self.stream._add_io_state(self.stream.io_loop.READ)


def _answer(status: int, said: str) -> bytes:
    name = {414: "URI Too Long", 431: "Request Header Fields Too Large"}[status]
    body = f"{said}\n".encode()
    head = (
        f"HTTP/1.1 {status} {name}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
