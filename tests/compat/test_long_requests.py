"""An address or headers that are too large get an answer; other connections and what comes after are as ever."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from tornado.http1connection import HTTP1ServerConnection

from tests.server.served import Running, served
from txpanel.compat import long_requests, replacing
from txpanel.models import metrics


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with served() as found:
        yield found


def asked(running: Running, request: bytes) -> bytes:
    """What a server answers before it closes."""
    with socket.create_connection(("127.0.0.1", int(running.root.rpartition(":")[2])), 5) as line:
        line.settimeout(5)
        line.sendall(request)
        found = b""
        while piece := line.recv(65536):
            found += piece
    return found


def request(*, address: int = 0, cookies: int = 0) -> bytes:
    return (
        b"GET /favicon.ico?a="
        + b"a" * address
        + b" HTTP/1.1\r\nHost: localhost\r\nCookie: a="
        + b"b" * cookies
        + b"\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("long", "status", "said"),
    [
        (request(address=66_000), b"414 URI Too Long", b"This address is too long"),
        (request(address=3_000_000), b"414 URI Too Long", b"This address is too long"),
        (request(cookies=66_000), b"431 Request Header Fields Too Large", b"Clear this site's cookies"),
        (request(cookies=3_000_000), b"431 Request Header Fields Too Large", b"Clear this site's cookies"),
    ],
    ids=["address", "long address", "cookies", "many cookies"],
)
def test_what_is_too_large_is_told_so(running: Running, long: bytes, status: bytes, said: bytes) -> None:
    before = metrics.REFUSALS.values().get("request-size", 0)
    found = asked(running, long)
    assert found.startswith(b"HTTP/1.1 " + status)
    assert said in found
    assert metrics.REFUSALS.values().get("request-size", 0) == before + 1


def test_what_is_not_is_answered(running: Running) -> None:
    assert asked(running, request(address=60_000)).startswith(b"HTTP/1.1 200 OK")


def test_who_sends_on_and_on_is_closed(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_requests, "LINGER", 0.3)
    with socket.create_connection(("127.0.0.1", int(running.root.rpartition(":")[2])), 5) as line:
        line.settimeout(0.5)
        begin = time.monotonic()
        with contextlib.suppress(OSError):  # a reset, or a broken pipe
            while time.monotonic() < begin + 3:
                line.sendall(b"a" * 100_000)
                time.sleep(0.01)
        assert time.monotonic() - begin < 2


def test_tornado_still_says_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, Tornado answers by itself: drop `long_requests`."""
    monkeypatch.setattr(HTTP1ServerConnection, "__init__", replacing.original(HTTP1ServerConnection, "__init__"))
    try:
        found = asked(running, request(address=100_000))
    except ConnectionError:
        found = b""
    assert found == b""
