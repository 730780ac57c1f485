"""Files of the page as gzip: the same bytes, fewer of them, and only files."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler, StaticFileHandler

from txpanel.server import compressed

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


class Page(RequestHandler):
    """Made for one visitor, with a secret in it."""

    def get(self) -> None:
        self.write("<p>secret</p>" * 500)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    dice = random.Random(0)
    words = [f"const a{dice.randrange(9999)} = {dice.random()};" for _line in range(20_000)]
    (tmp_path / "large.js").write_text("\n".join(words), encoding="utf-8")
    (tmp_path / "small.js").write_text("let a", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(dice.randbytes(20_000))
    return tmp_path


@pytest.fixture
def port(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(compressed, "_kept", type(compressed._kept)())
    ready: list[Any] = []
    up = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        app = Application([("/page", Page), ("/(.*)", StaticFileHandler, {"path": str(files)})])
        compressed.install(app, None)
        server = HTTPServer(app)
        server.listen(0, "127.0.0.1")
        ready.extend([next(iter(server._sockets.values())).getsockname()[1], IOLoop.current()])
        up.set()
        IOLoop.current().start()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(10)
    yield ready[0]
    ready[1].add_callback(ready[1].stop)
    thread.join(10)


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    line.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = line.getresponse()
    body = answer.read()
    line.close()
    return answer, body


def test_the_first_and_the_next_visitor_get_the_same_file(port: int, files: Path) -> None:
    own = (files / "large.js").read_bytes()
    for _visitor in range(2):
        answer, body = get(port, "/large.js", **GZIP)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert gzip.decompress(body) == own
        assert len(body) < len(own) / 2
    assert answer.headers["Content-Length"] == str(len(body))  # kept: nothing is compressed again
    assert len(compressed._kept) == 1


def test_who_does_not_ask_for_it_gets_the_file_as_it_is(port: int, files: Path) -> None:
    get(port, "/large.js", **GZIP)
    own = (files / "large.js").read_bytes()
    for headers in ({}, {"Accept-Encoding": "br"}):
        answer, body = get(port, "/large.js", **headers)
        assert (answer.headers["Content-Encoding"], body) == (None, own)
        assert "Accept-Encoding" in answer.headers["Vary"]  # a proxy keeps both
    answer, body = get(port, "/large.js", Range="bytes=10-29", **GZIP)
    assert (answer.status, answer.headers["Content-Encoding"], body) == (206, None, own[10:30])
    answer, body = get(port, "/large.js", "HEAD", **GZIP)
    assert (answer.status, answer.headers["Content-Length"], body) == (200, str(len(own)), b"")


def test_a_file_that_the_browser_has_is_not_sent_again(port: int) -> None:
    first, _body = get(port, "/large.js", **GZIP)
    again, body = get(port, "/large.js", If_None_Match=first.headers["Etag"], **GZIP)
    assert (again.status, body) == (304, b"")


def test_pages_small_files_and_pictures_stay_as_they_are(port: int) -> None:
    """A page holds a secret of its session beside words of its address: its compressed length would tell."""
    for path in ("/page", "/small.js", "/picture.png"):
        answer, _body = get(port, path, **GZIP)
        assert answer.status == 200
        assert answer.headers["Content-Encoding"] is None
    assert not compressed._kept


def test_a_changed_file_is_compressed_anew(port: int, files: Path) -> None:
    get(port, "/large.js", **GZIP)
    (files / "large.js").write_text("let other\n" * 3000, encoding="utf-8")
    StaticFileHandler.reset()
    _answer, body = get(port, "/large.js", **GZIP)
    assert gzip.decompress(body) == b"let other\n" * 3000


def test_a_visitor_who_leaves_halfway_leaves_no_half_file(port: int, files: Path) -> None:
    (files / "large.js").write_text(
        "".join(f"const a = {random.random()}\n" for _line in range(400_000)), encoding="utf-8"
    )
    StaticFileHandler.reset()
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(b"GET /large.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
    _answer, body = get(port, "/large.js", **GZIP)
    assert gzip.decompress(body) == (files / "large.js").read_bytes()


def test_a_proxy_that_speaks_http_1_0_gets_a_length(port: int, files: Path) -> None:
    for expected in (None, "gzip"):  # nothing is kept yet, then it is
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(b"GET /large.js HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(line)
            answer.begin()
            body = answer.read()
        assert answer.headers["Content-Encoding"] == expected
        assert answer.headers["Content-Length"] == str(len(body))
        get(port, "/large.js", **GZIP)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "_kept", type(compressed._kept)())
    monkeypatch.setattr(compressed, "MOST", 100)
    for name in "abc":
        compressed._keep((name, "1"), b"x" * 40)
    assert list(compressed._kept) == [("b", "1"), ("c", "1")]
