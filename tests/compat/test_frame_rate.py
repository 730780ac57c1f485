"""Pings, pongs and empty pieces are read at a bounded rate, and no compressed frame is taken."""

from __future__ import annotations

import inspect
import json
import socket
import time
from collections.abc import Iterator

import pytest
from tornado.websocket import WebSocketProtocol13

from tests.server.served import Running, served
from tests.server.test_dead_connections import handshake, say
from txpanel.compat import frame_rate


@pytest.fixture
def running() -> Iterator[Running]:
    with served() as found:
        yield found


@pytest.mark.parametrize(
    "frame", [b"\x89\x80\0\0\0\0", b"\x8a\x80\0\0\0\0", b"\x00\x80\0\0\0\0"], ids=["pings", "pongs", "empty pieces"]
)
def test_frames_that_nobody_counts_are_read_slowly(
    running: Running, frame: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_rate, "MOST", 500)
    line = handshake(running, running.get())
    line.settimeout(20)
    pull = [{"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}]
    begin = time.monotonic()
    if frame[0] == 0:  # the pieces belong to the first frame of the message
        text = json.dumps(pull[0]).encode()
        line.sendall(bytes([0x01, 0x80 | len(text)]) + bytes(4) + text + 500 * frame + b"\x80\x80\0\0\0\0")
        say(line, *pull[1:])
    else:
        line.sendall(500 * frame)
        say(line, *pull)
    heard = b""
    while b"PULL-DOC-REPLY" not in heard:
        heard = heard[-20:] + line.recv(65536)
    assert time.monotonic() - begin > 0.8
    line.close()


def test_no_compression_is_agreed_on(running: Running) -> None:
    """A frame of a few bytes could be one of gigabytes."""
    page = running.get()
    with socket.create_connection(("127.0.0.1", int(running.root.rpartition(":")[2])), 10) as line:
        line.sendall(
            f"GET /txpanel/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bokeh, {page.token}\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n".encode()
        )
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += line.recv(100)
        assert heard.startswith(b"HTTP/1.1 101")
        assert b"permessage-deflate" not in heard


def test_tornado_still_reads_as_fast_as_it_can() -> None:
    """When this fails, look whether Tornado bounds the rate of frames by itself: drop `frame_rate`."""
    source = inspect.getsource(WebSocketProtocol13._receive_frame_loop)
    assert "await self._receive_frame()" in source
    assert "time" not in source
