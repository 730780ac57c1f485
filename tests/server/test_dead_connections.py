"""Who holds a connection and says nothing, reads nothing or does not answer is gone, and so is what was kept for him; who is there is not."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import socket
import struct
import time
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.server.served import Running, served
from txpanel.compat import kept_connections
from txpanel.models import metrics
from txpanel.server import dead_connections, entry_limits, visitors
from txpanel.server.dead_connections import PageSocket, PageSockets

NOW = 1000.0


def a_socket(**known: Any) -> PageSocket:
    page_socket = PageSocket(NOW)
    page_socket.spoken = True
    for name, value in known.items():
        setattr(page_socket, name, value)
    return page_socket


@pytest.mark.parametrize(
    ("page_socket", "after", "waiting", "gone", "why"),
    [
        (a_socket(), 1, 0, 0, ""),
        (a_socket(spoken=False), dead_connections.FIRST - 1, 0, 0, ""),
        (a_socket(spoken=False), dead_connections.FIRST + 1, 0, 0, "it has not spoken"),
        (a_socket(), dead_connections.SILENT - 1, 0, 0, ""),
        (a_socket(), dead_connections.SILENT + 1, 0, 0, "it does not answer"),
        (a_socket(heard=NOW + 90), dead_connections.SILENT + 80, 0, 0, ""),
        (a_socket(), 1, dead_connections.UNREAD + 1, 5, "what it is sent is not read"),
        (a_socket(gone=5), dead_connections.STUCK + 1, 10, 5, "what it is sent is not read"),
        (a_socket(gone=5), dead_connections.STUCK + 1, 10, 6, ""),  # slow, but something goes
        (a_socket(begun=NOW, heard=NOW + 200), dead_connections.UNFINISHED + 1, 0, 0, "its message does not end"),
    ],
)
def test_what_closes_a_connection(page_socket: PageSocket, after: float, waiting: int, gone: int, why: str) -> None:
    assert page_socket.over(NOW + after, waiting, gone) == why


def test_time_in_which_the_server_was_busy_closes_no_connection() -> None:
    now = [NOW]
    sockets = PageSockets(lambda: now[0])
    handler = SimpleNamespace(
        ws_connection=SimpleNamespace(stream=SimpleNamespace(closed=lambda: False), _abort=lambda: pytest.fail("it is there")),
        request=SimpleNamespace(remote_ip="127.0.0.1"), ping=lambda _data: None,
    )  # fmt: skip
    Holder = type("Holder", (), vars(handler))
    kept = Holder()
    sockets._all[kept] = a_socket()
    sockets.look()
    now[0] += 300  # a view that froze the server, or a closed lid
    sockets.look()
    assert kept in sockets._all


def test_a_silent_connection_is_pinged() -> None:
    page_socket = a_socket()
    asked = [page_socket.asks(NOW + second) for second in range(61)]
    assert [second for second, one in enumerate(asked) if one] == [20, 40, 60]


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(dead_connections, "EVERY", 0.05)
    with served() as found:
        yield found


def handshake(running: Running, page: Any, room: int = 0) -> socket.socket:
    """A websocket by hand, of which the system answers nothing by itself.

    Args:
        room: bytes that the system takes of what is not read.
    """
    line = socket.create_connection(("127.0.0.1", int(running.root.rpartition(":")[2])), 10)
    if room:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    host = running.root.removeprefix("http://")
    line.sendall(
        f"GET /txpanel/ws HTTP/1.1\r\nHost: {host}\r\nOrigin: {running.root}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bokeh, {page.token}\r\n\r\n".encode()
    )
    heard = b""
    while b'"ACK"' not in heard:
        heard += line.recv(1)
    assert heard.startswith(b"HTTP/1.1 101")
    return line


def say(line: socket.socket, *frames: Any) -> None:
    for frame in frames:
        data = (frame if isinstance(frame, str) else json.dumps(frame)).encode()
        size = (
            struct.pack("!BB", 0x81, 0x80 | len(data))
            if len(data) < 126
            else struct.pack("!BBH", 0x81, 0x80 | 126, len(data))
        )
        line.sendall(size + bytes(4) + data)


def ended(running: Running, line: socket.socket, seconds: float = 5) -> None:
    """The server ends a connection."""
    line.settimeout(seconds)
    try:
        while line.recv(65536):
            pass
    except ConnectionResetError:
        pass
    line.close()


def silent() -> int:
    return int(metrics.REFUSALS.values().get("silent", 0))


def test_a_page_that_never_speaks_is_ended(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_connections, "FIRST", 0.3)
    before = silent()
    ended(running, handshake(running, running.get()))
    assert silent() == before + 1


def test_a_page_that_does_not_answer_pings_is_ended_and_one_that_does_is_not(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_connections, "PING", 0.1)
    monkeypatch.setattr(dead_connections, "SILENT", 0.6)
    before = silent()
    pages = [running.get() for _each in range(2)]
    line = handshake(running, pages[0])
    say(line, {"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {})

    async def stay() -> int | None:
        asked = HTTPRequest(running.root.replace("http", "ws", 1) + "/txpanel/ws", headers={"Origin": running.root})
        there = await websocket_connect(asked, subprotocols=["bokeh", pages[1].token])  # answers pings by itself
        assert '"ACK"' in str(await there.read_message())
        for piece in ({"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}):
            await there.write_message(json.dumps(piece))
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            try:
                if await asyncio.wait_for(there.read_message(), 0.2) is None:
                    break
            except TimeoutError:
                continue
        code = there.close_code
        there.close()
        await asyncio.sleep(0.1)
        return code

    assert asyncio.run(stay()) is None
    ended(running, line)
    assert silent() == before + 1


@pytest.mark.parametrize("kept", [False, True])
def test_a_page_that_reads_nothing_is_ended(
    running: Running, kept: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Bokeh waits until a page has read an answer before it writes the next one; what is kept for a page that may come back is written at once."""
    monkeypatch.setattr(dead_connections, "UNREAD" if kept else "STUCK", 1_000_000 if kept else 0.5)
    monkeypatch.setattr(entry_limits, "WHOLE", (1e6, 1e6))
    kept_connections.mend()
    before, page = silent(), running.get()
    line = handshake(running, page, room=4096)
    if kept:
        say(line, 'txpanel {"kind":"begin"}')
    deadline = time.monotonic() + 15
    try:
        while silent() == before and time.monotonic() < deadline:
            say(line, *20 * [{"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}])
            time.sleep(0.02)
    except ConnectionError:  # ended while we spoke
        pass
    line.close()
    while silent() == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.here(gc.collect)
    assert [
        one.message for one in caplog.records if one.levelno >= logging.ERROR
    ] == []  # each frame that had not gone was one


def test_idle_connections_are_counted_by_address_and_closed_when_there_are_too_many(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXPANEL_MAX_SESSIONS_PER_ADDRESS", "1")
    monkeypatch.setattr(visitors, "is_loopback", lambda _host: False)
    before = int(metrics.REFUSALS.values().get("connections", 0))
    port = int(running.root.rpartition(":")[2])
    lines = [socket.create_connection(("127.0.0.1", port), 5) for _each in range(dead_connections.EACH)]
    with socket.create_connection(("127.0.0.1", port), 5) as more:
        closed = more.recv(10)
    for line in lines:
        line.close()
    assert closed == b""
    assert int(metrics.REFUSALS.values()["connections"]) == before + 1
    deadline = time.monotonic() + 5
    while True:
        try:
            assert running.get("/static/none.js").status == 404
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("now", "then"),
    [((1024, 524_288), (16_384, 524_288)), ((1024, 4096), (4096, 4096)), ((65_536, 524_288), None), ((1024, -1), (16_384, -1)), ((-1, -1), None)],
)  # fmt: skip
def test_a_server_may_open_more_files_than_is_usual(
    now: tuple[int, int], then: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = importlib.import_module("resource")
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: now)
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, both: made.append(both))
    dead_connections.more_files()
    assert made == ([then] if then is not None else [])


def test_an_open_websocket_is_not_counted_as_an_idle_connection(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXPANEL_MAX_SESSIONS_PER_ADDRESS", "3")
    monkeypatch.setattr(dead_connections, "EACH", 1)
    monkeypatch.setattr(visitors, "is_loopback", lambda _host: False)
    held = []
    try:
        for _each in range(3):
            held.append(handshake(running, running.get()))
        assert running.get("/static/none.js").status == 404
    finally:
        for line in held:
            line.close()


def test_what_is_kept_for_browsers_that_are_away_is_bounded_for_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def one() -> Any:
        session = SimpleNamespace(destroyed=False)
        handler = SimpleNamespace(
            application=None,
            connection=SimpleNamespace(session=session, _session=session),
            receiver=None,
            write_lock=None,
            handler=object(),
        )
        kept = kept_connections.KeptConnection(handler)
        kept._handler = None  # it is away
        return kept

    monkeypatch.setattr(kept_connections, "_all", weakref.WeakSet())
    before = kept_connections.held()
    monkeypatch.setattr(kept_connections, "_bound", lambda: before + 1_000_000)
    small, large = one(), one()
    small.put("a" * 100_000)
    for _again in range(20):
        large.put("b" * 100_000)
    assert kept_connections.held() - before < 1_000_000
    assert (small._size, large._size) == (100_000 + kept_connections.FRAME, 0)
    assert large.sent == 20
    assert not large.resume(SimpleNamespace(), 5)
    small._acknowledged(1)
    assert kept_connections.held() == before
