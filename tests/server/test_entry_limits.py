"""A real server with the limits in front of an empty page: places, the line, requests, messages."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import panel as pn
import pytest
from bokeh.server import urls
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from txpanel.models import metrics
from txpanel.server import entry_limits, middleware, visitors
from txpanel.server.admission import Admission
from txpanel.server.waiting_page import policy


@dataclass
class Place:
    """A server."""

    url: str
    running: Any
    opened: list[Any] = field(default_factory=list)

    def get(self, query: str = "", **headers: str) -> tuple[int, str, Any]:
        """Status, body and headers of a request for the page."""
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + query, headers=headers), timeout=20
            ) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers

    def ask(self, ticket: str) -> dict[str, Any]:
        """What the page of somebody who waits asks."""
        return json.loads(self.get(f"?place={ticket}", Accept="application/json")[1])

    async def connect(self, token: str) -> Any:
        """The websocket of a page."""
        request = HTTPRequest(f"ws{self.url[4:]}ws", headers={"Origin": self.url.rstrip("/")})
        opened = await websocket_connect(request, subprotocols=["bokeh", token])
        self.opened.append(opened)
        return opened

    @property
    def sessions(self) -> list[Any]:
        return list(self.running._tornado.get_sessions("/"))

    def until(self, what: Callable[[], object]) -> None:
        limit = time.monotonic() + 20
        while not what():
            assert time.monotonic() < limit
            time.sleep(0.02)


def spoken(talk: Coroutine[Any, Any, Any]) -> Any:
    """What comes of a conversation; one that does not end is a failure."""
    return asyncio.run(asyncio.wait_for(talk, 40))


async def until_closed(socket: Any) -> None:
    """Reads until the server has closed the connection."""
    while await socket.read_message() is not None:
        pass


async def leave(socket: Any, code: int | None = 1001) -> None:
    """Closes a connection, or breaks it off without goodbye; returns when nothing of it is left."""
    if code is None:
        socket.protocol._abort()
    else:
        socket.close(code)
    await until_closed(socket)


def token_of(page: str) -> str:
    found = re.search(r'"token":"([^"]+)"', page)
    assert found
    return found.group(1)


def ticket_of(page: str) -> str:
    found = re.search(r'data-ticket="([^"]*)"', page)
    assert found
    return found.group(1)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A server whose page is empty."""
    monkeypatch.setattr(entry_limits, "admission", Admission())
    middleware.install()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    holder: list[Any] = []
    app = pn.serve(
        lambda: pn.pane.Str("here"), port=port, show=False, threaded=True, verbose=False, server_id=f"limits {port}"
    )
    holder.append(app)
    found = Place(f"http://localhost:{port}/", None)
    limit = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("localhost", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < limit
            time.sleep(0.02)
    while f"limits {port}" not in pn.state._servers:  # it listens a moment before Panel notes it
        assert time.monotonic() < limit
        time.sleep(0.02)
    found.running = pn.state._servers[f"limits {port}"][0]
    yield found
    for one in found.opened:
        one.protocol = None  # else Tornado warns of a connection that it takes for open
    app.stop()


def refused(kind: str) -> int:
    return int(metrics.REFUSALS.values().get(kind, 0))


def test_who_finds_the_server_full_waits_in_line_and_enters(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MAX_SESSIONS", "1")
    before = refused("full")
    status, page, _headers = place.get()
    assert status == 200
    status, first, headers = place.get()
    assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "3", "no-store")
    assert headers["Content-Security-Policy"].startswith(f"{policy()}; frame-ancestors ")
    assert "The server is full" in first
    assert "Your place in the line is 1." in first
    status, second, _headers = place.get()
    assert "Your place in the line is 2." in second
    assert refused("full") == before + 2
    assert place.ask(ticket_of(second)) == {"enter": False, "place": 2, "again": 3}
    assert len(place.sessions) == 1

    async def come_and_go() -> None:
        socket = await place.connect(token_of(page))
        await socket.read_message()
        await leave(socket)

    spoken(come_and_go())
    place.until(lambda: place.sessions and not place.sessions[0].connection_count)
    place.until(lambda: place.ask(ticket_of(first))["enter"])
    assert place.sessions[0].expiration_requested
    assert place.get()[0] == 503  # a newcomer does not overtake
    assert place.ask(ticket_of(second)) == {"enter": False, "place": 2, "again": 3}
    assert place.get(f"?place={ticket_of(first)}")[0] == 200
    assert place.ask(ticket_of(second))["place"] == 1


def test_a_line_that_breaks_keeps_its_session_and_gives_up_its_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXPANEL_MAX_SESSIONS", "1")
    page = place.get()[1]

    async def break_off() -> None:
        socket = await place.connect(token_of(page))
        await socket.read_message()
        await leave(socket, None)

    spoken(break_off())
    place.until(
        lambda: not place.sessions[0].connection_count and place.sessions[0].id in entry_limits.admission._connected
    )
    assert not place.sessions[0].expiration_requested
    assert place.get()[0] == 200  # somebody who loads his page again has a place
    assert place.get()[0] == 503


def test_an_address_has_its_own_number_of_places(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MAX_SESSIONS_PER_ADDRESS", "1")
    before = refused("address-full")
    assert place.get()[0] == 200
    status, page, _headers = place.get()
    assert (status, refused("address-full")) == (503, before + 1)
    assert "All places of your network" in page


def test_pages_that_are_broken_off_close_the_server_to_their_own_address_only(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 pages of one address that were opened and broken off filled a server of 10 places, whatever an address may have."""
    monkeypatch.setenv("TXPANEL_MAX_SESSIONS", "4")
    monkeypatch.setenv("TXPANEL_MAX_SESSIONS_PER_ADDRESS", "2")
    address = ["203.0.113.5"]
    monkeypatch.setattr(visitors, "address", lambda _request: address[0])

    async def break_off(page: str) -> None:
        socket = await place.connect(token_of(page))
        await socket.read_message()
        await leave(socket, None)

    found = []
    for _each in range(6):
        status, page, _headers = place.get()
        found.append(status)
        if status == 200:
            spoken(break_off(page))
            place.until(lambda: all(not one.connection_count for one in place.sessions))
    assert found == [200] * 4 + [503] * 2
    address[0] = "198.51.100.7"
    assert place.get()[0] == 200


def test_pages_that_are_asked_for_too_often_are_refused_in_words(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MAX_PAGES_PER_MINUTE", "2")
    assert [place.get()[0] for _again in range(3)] == [200, 200, 429]
    status, page, headers = place.get()
    assert (status, int(headers["Retry-After"])) == (429, pytest.approx(30, abs=1))
    assert "tries again by itself in" in page
    assert place.get("autoload.js?bokeh-autoload-element=1")[0] == 429  # the other way to a page


def test_a_session_has_a_few_connections_and_no_more(place: Place) -> None:
    page, before = place.get()[1], refused("connections")

    async def crowd() -> list[int | None]:
        sockets = [await place.connect(token_of(page)) for _each in range(entry_limits.AT_ONCE)]
        for one in sockets:
            await one.read_message()
        more = await place.connect(token_of(page))
        said, more.protocol = await more.read_message(), None  # else Tornado warns, as in `until_closed`
        for one in sockets:
            await leave(one)
        return [said, more.close_code]

    assert spoken(crowd()) == [None, 1013]
    assert refused("connections") == before + 1


def test_a_message_that_is_too_large_ends_the_connection(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MAX_MESSAGE_MB", "1")
    before = refused("message-size")
    page = place.get()[1]

    async def shout() -> None:
        socket = await place.connect(token_of(page))
        await socket.read_message()
        with suppress(WebSocketClosedError):  # the server may be faster than the end of the message
            await socket.write_message("x" * 1_100_000)
        await until_closed(socket)

    spoken(shout())
    place.until(lambda: refused("message-size") == before + 1)


def test_a_message_of_small_pieces_without_end_is_ended_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_MAX_MESSAGE_MB", "1")
    before = refused("message-size")
    page = place.get()[1]

    async def babble() -> tuple[int, int | None]:
        socket = await place.connect(token_of(page))
        await socket.read_message()  # the server is ready
        heard = asyncio.ensure_future(until_closed(socket))
        header = {"msgid": "1", "msgtype": "PATCH-DOC", "num_buffers": 10**9}
        for piece in (json.dumps(header), "{}", json.dumps({"events": []})):
            await socket.write_message(piece)
        sent = 0
        while not heard.done() and sent < 100:
            with suppress(WebSocketClosedError):
                await socket.write_message(json.dumps({"id": str(sent)}))
                await socket.write_message(b"x" * 100_000, binary=True)
            sent += 1
            await asyncio.sleep(0.02)
        await heard
        return sent, socket.close_code

    sent, code = spoken(babble())
    assert 10 <= sent < 100
    assert code == 1009
    assert refused("message-size") == before + 1


def test_a_page_that_sends_too_many_messages_is_slowed_down_and_nobody_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXPANEL_MAX_MESSAGES_PER_SECOND", "1")
    before, pages = refused("messages"), [place.get()[1] for _each in range(2)]

    async def ask(page: str, times: int) -> float:
        socket = await place.connect(token_of(page))
        await socket.read_message()
        begin = time.monotonic()
        for n in range(times):
            for piece in ({"msgid": str(n), "msgtype": "PULL-DOC-REQ"}, {}, {}):
                await socket.write_message(json.dumps(piece))
        answers = 0
        while answers < times:
            answers += '"PULL-DOC-REPLY"' in str(await socket.read_message())
        took = time.monotonic() - begin
        await leave(socket)
        return took

    assert spoken(ask(pages[0], 5)) > 1
    assert refused("messages") == before + 1
    assert spoken(ask(pages[1], 1)) < 1
    assert refused("messages") == before + 1


def test_the_last_message_of_a_closed_page_is_no_error(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A class goes home while its pages are still being opened: a last message waits for its turn when Bokeh's keep-alive finds that nobody is there."""
    page, odd = place.get()[1], refused("message-odd")

    async def talk() -> None:
        socket = await place.connect(token_of(page))
        await socket.read_message()
        monkeypatch.setattr(entry_limits.budget, "pause", lambda _session: 0.45)  # a page is told of more
        for piece in ({"msgid": "1", "msgtype": "PATCH-DOC"}, {}):
            await socket.write_message(json.dumps(piece))
        await asyncio.sleep(2.5)
        await socket.write_message(json.dumps({"events": []}))
        await asyncio.sleep(0.2)
        await leave(socket, None)
        for _each in range(4):
            place.running._tornado._loop.add_callback(place.running._tornado._keep_alive)
            await asyncio.sleep(0.05)

    spoken(talk())
    place.until(lambda: not any(session.connection_count for session in place.sessions))
    time.sleep(1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert refused("message-odd") == odd


def test_the_limits_stand_before_each_way_to_a_session() -> None:
    """What is in Panel's list now: a further route to a session would need one as well."""
    middleware.install()
    entry_limits.install()  # once more changes nothing
    ways = {route: handler for route, handler, *_more in urls.per_app_patterns}
    assert set(ways) == {"/ws", "/metadata", "/autoload.js", "/?"}
    assert issubclass(ways["/ws"], entry_limits.LimitedSocket)
    assert issubclass(ways["/?"], entry_limits.LimitedPage)
    assert issubclass(ways["/autoload.js"], entry_limits.LimitedPage)


def test_no_body_of_a_request_is_read_that_is_larger_than_a_login(place: Place) -> None:
    host, port = place.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), 20) as line:
        line.sendall(f"POST / HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 50000000\r\n\r\n".encode())
        assert line.recv(1000).startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")) or not line.recv(1000)
