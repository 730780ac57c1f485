"""A session and its browser, over connections that break: nothing is lost in either direction, nothing comes twice, and no session is kept too long."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import bokeh
import panel as pn
import pytest
from bokeh.util.token import get_token_payload
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from txpanel.compat import kept_connections, page_requests
from txpanel.compat.thread_handover import hand_over

LIFETIME = 2.0
"""Seconds for which the tests' servers keep an unused session."""


class App:
    """A page with one text box, and the last session of it."""

    def __init__(self) -> None:
        self.box = pn.widgets.TextInput()
        self.doc: Any = None
        self.ended: list[str] = []

    def page(self) -> pn.Column:
        """What `pn.serve` calls for each session."""
        self.box = pn.widgets.TextInput(value="at first")
        self.doc = pn.state.curdoc
        pn.state.on_session_destroyed(lambda context: self.ended.append(context.id))
        return pn.Column(self.box)

    def write(self, text: str) -> None:
        """The server changes the text, and the browser is to hear of it."""
        done: list[bool] = []

        def change() -> None:
            self.box.value = text
            done.append(True)

        hand_over(self.doc, change)
        wait_for(lambda: done)


def wait_for(what: Callable[[], object], seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.01)


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("localhost", port)) == 0


@contextmanager
def served(app: App, **options: Any) -> Iterator[str]:
    kept_connections.mend()
    page_requests.mend()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    usual = {
        "unused_session_lifetime_milliseconds": int(LIFETIME * 1000),
        "check_unused_sessions_milliseconds": 100,
    }
    server = pn.serve(app.page, port=port, show=False, threaded=True, verbose=False, **(usual | options))
    wait_for(lambda: listens(port))
    try:
        yield f"localhost:{port}"
    finally:
        server.stop()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def host(app: App) -> Iterator[str]:
    with served(app) as running:
        yield running


def page_token(host: str) -> str:
    """What a page gets with which it may open its session's connection."""
    with urllib.request.urlopen(f"http://{host}/") as answer:
        found = re.search(r'"token":"([^"]+)"', answer.read().decode())
    assert found is not None
    return found[1]


class Client:
    """What a page does with its connection, by hand.

    Attributes:
        frames: of Bokeh's protocol, since both sides count. said: frames of our own.
    """

    opened: ClassVar[list[WebSocketClientConnection]] = []

    def __init__(self, host: str, token: str) -> None:
        self.host, self.token = host, token
        self.frames: list[str | bytes] = []
        self.said: list[dict[str, Any]] = []
        self.socket: WebSocketClientConnection | None = None
        self._begun = False

    async def connect(self, got: int | str | None = None) -> None:
        query = "" if got is None else f"?txpanel-got={got}"
        self.socket = await websocket_connect(
            f"ws://{self.host}/ws{query}", subprotocols=["bokeh", self.token], max_message_size=50_000_000
        )
        self.opened.append(self.socket)

    async def next(self, seconds: float = 5) -> str | bytes | None:
        """The next frame, sorted; None: closed."""
        assert self.socket is not None
        frame = await asyncio.wait_for(self.socket.read_message(), seconds)
        if isinstance(frame, str) and frame.startswith(kept_connections.MARK):
            self.said.append(json.loads(frame[len(kept_connections.MARK) :]))
            self._begun = self._begun or self.said[-1]["kind"] == "begun"
        elif frame is not None and self._begun:
            self.frames.append(frame)
        return frame

    async def until(self, what: Callable[[], object]) -> None:
        limit = time.monotonic() + 5
        while not what():
            assert await self.next(limit - time.monotonic()) is not None, "closed"

    async def begin(self) -> None:
        """As a page: the first connection, which is kept from then on."""
        await self.connect()
        await self.next()
        await self.say(kind="begin")
        await self.until(lambda: self._begun)

    async def say(self, **what: Any) -> None:
        await self.send(kept_connections.MARK + json.dumps(what))

    async def send(self, frame: str) -> None:
        assert self.socket is not None
        await self.socket.write_message(frame)

    def heard(self, kind: str) -> dict[str, Any] | None:
        return next((said for said in self.said if said["kind"] == kind), None)

    def values(self) -> list[str]:
        """The texts that the server has sent, in their order."""
        told = "".join(frame for frame in self.frames if isinstance(frame, str))
        return re.findall(r'"attr":"value","new":"([^"]*)"', told)

    def break_off(self) -> None:
        """The connection is away, and no goodbye was said."""
        assert self.socket is not None
        self.socket.protocol.stream.close()


def change(app: App, text: str, number: int) -> list[str]:
    """The frames with which a browser changes the text."""
    root = app.doc.roots[0]
    box = next(model for model in root.references() if getattr(model, "value", None) is not None)
    header = {"msgid": f"m{number}", "msgtype": "PATCH-DOC"}
    event = {"kind": "ModelChanged", "model": {"id": box.id}, "attr": "value", "new": text}
    return [json.dumps(part) for part in (header, {}, {"events": [event]})]


def run(work: Any) -> None:
    """Runs a visit, and closes whatever it has opened."""

    async def whole() -> None:
        try:
            await work
        finally:
            for opened in Client.opened:
                stream = opened.protocol.stream if opened.protocol is not None else None
                opened.close()
                if stream is not None:
                    stream.close()
            Client.opened.clear()
            await asyncio.sleep(0.1)  # until the server has noticed

    asyncio.run(whole())


# taken up -------------------------------------------------------------------------------------------------------------


def test_what_the_server_said_meanwhile_comes_once_and_in_order(app: App, host: str) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        app.write("one")
        await client.until(lambda: client.values() == ["one"])
        got = len(client.frames)
        client.break_off()
        await asyncio.to_thread(wait_for, lambda: app.doc.session_context.session._txpanel_kept._handler is None)
        for text in ("two", "three"):
            await asyncio.to_thread(app.write, text)
        await client.connect(got)
        await client.until(lambda: client.values() == ["one", "two", "three"])
        assert client.heard("resumed") == {"kind": "resumed", "got": 0}
        await asyncio.to_thread(app.write, "four")
        await client.until(lambda: client.values() == ["one", "two", "three", "four"])
        assert app.doc.session_context.session.connection_count == 1

    run(visit())


def test_frames_that_did_not_arrive_are_sent_again_even_in_the_middle_of_a_message(app: App, host: str) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        await asyncio.to_thread(app.write, "one")
        await client.until(lambda: client.values() == ["one"])
        client.frames = client.frames[:-2]  # these were lost on their way
        client.break_off()
        await client.connect(len(client.frames))
        await client.until(lambda: client.values() == ["one"])
        first, second, third = change(app, "from the page", 1)
        await client.send(first)
        await client.send(second)
        await client.say(kind="ping", got=len(client.frames))
        await client.until(lambda: client.heard("pong"))
        client.break_off()
        await client.connect(len(client.frames))
        client.said.clear()
        await client.until(lambda: client.heard("resumed"))
        assert client.heard("resumed") == {"kind": "resumed", "got": 2}
        await client.send(third)
        await asyncio.to_thread(wait_for, lambda: app.box.value == "from the page")

    run(visit())


def test_a_connection_that_only_the_browser_knows_to_be_dead_is_replaced(app: App, host: str) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        dead = client.socket
        await client.connect(0)
        await client.until(lambda: client.heard("resumed"))
        await asyncio.to_thread(app.write, "one")
        await client.until(lambda: client.values() == ["one"])
        assert dead is not None
        with suppress(WebSocketClosedError):
            for frame in change(app, "from the dead", 1):
                await dead.write_message(frame)
        for frame in change(app, "from the living", 2):
            await client.send(frame)
        await asyncio.to_thread(wait_for, lambda: app.box.value == "from the living")
        assert app.doc.session_context.session.connection_count == 1

    run(visit())


def test_a_page_comes_back_when_its_token_has_expired(app: App) -> None:
    """It is renewed as long as its session is there (`page_requests`)."""
    with served(app, session_token_expiration=1, unused_session_lifetime_milliseconds=60_000) as host:

        async def visit() -> None:
            client = Client(host, page_token(host))
            await client.begin()
            client.break_off()
            await asyncio.sleep(2.1)
            assert get_token_payload(client.token)["session_expiry"] < time.time()
            await client.connect(0)
            await client.until(lambda: client.heard("resumed"))

        run(visit())


# not taken up ---------------------------------------------------------------------------------------------------------


def test_a_session_that_nobody_comes_back_to_ends_as_bokeh_ends_it(app: App, host: str) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        client.break_off()
        lost = time.monotonic()
        await asyncio.to_thread(wait_for, lambda: app.ended)
        assert LIFETIME - 0.2 < time.monotonic() - lost < LIFETIME + 1.5, "not twice as long"
        await client.connect(0)
        await client.until(lambda: client.heard("gone"))
        assert await client.next() is None
        assert client.socket is not None
        assert client.socket.close_code == page_requests.GONE

    run(visit())


def test_a_try_that_the_browser_gave_up_ends_nothing(app: App, host: str) -> None:
    """Chromium closes it as it closes a page."""

    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        client.break_off()
        await client.connect(0)
        await client.until(lambda: client.heard("resumed"))
        assert client.socket is not None
        client.socket.close(1001)
        kept = app.doc.session_context.session._txpanel_kept
        await asyncio.to_thread(wait_for, lambda: kept._handler is None)
        await client.connect(0)
        client.said.clear()
        await client.until(lambda: client.heard("resumed"))

    run(visit())


def test_a_tab_that_is_closed_ends_its_session_at_once(app: App, host: str) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        assert client.socket is not None
        session = app.doc.session_context.session
        client.socket.close(1001)
        await asyncio.to_thread(wait_for, lambda: session.connection_count == 0, 1.0)

    run(visit())


def test_a_server_started_anew_makes_no_session_for_an_old_page(app: App, host: str) -> None:
    """Bokeh would: with the state that the address had when the page was opened."""

    async def visit() -> None:
        with served(App()) as before:
            token = page_token(before)
        client = Client(host, token)
        await client.connect(0)
        await client.until(lambda: client.heard("gone"))
        assert app.doc is None

    run(visit())


@pytest.mark.parametrize("got", [-1, 1, 10**20, "x", "", "²"])
def test_a_browser_that_counts_otherwise_is_not_taken_up(app: App, host: str, got: Any) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        client.break_off()
        try:
            await client.connect(got)
        except HTTPClientError:
            return  # refused as a request
        await client.until(lambda: client.heard("gone"))

    run(visit())


def test_of_a_browser_that_is_away_only_so_much_is_kept(app: App, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connections, "MOST", 50_000)

    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.begin()
        kept = app.doc.session_context.session._txpanel_kept
        client.break_off()
        await asyncio.to_thread(wait_for, lambda: kept._handler is None)
        for number in range(20):
            await asyncio.to_thread(app.write, str(number) * 10_000)
        await asyncio.to_thread(wait_for, lambda: kept.sent >= 60)
        assert kept._size <= 50_000
        await client.connect(0)
        await client.until(lambda: client.heard("gone"))

    run(visit())


@pytest.mark.parametrize(
    "said", ["", "{", "[]", "3", '{"kind": []}', '{"kind": "ping"}', '{"kind":"ping","got":"x"}', '{"kind":"ping","got":1e99}',
             '{"kind":"ping","got":true}', '{"kind":"ping","got":-5}', '{"kind":"begin"}', '{"kind":"resumed","got":3}', "[" * 100_000]
)  # fmt: skip
def test_whatever_a_browser_says_the_session_lives(app: App, host: str, said: str) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.connect()
        await client.next()
        await client.send(kept_connections.MARK + said)  # before it is kept
        await client.say(kind="begin")
        await client.until(lambda: client.heard("begun"))
        await client.send(kept_connections.MARK + said)
        await asyncio.to_thread(app.write, "one")
        await client.until(lambda: client.values() == ["one"])

    run(visit())


def test_a_page_that_does_not_ask_for_it_is_served_as_before(app: App, host: str) -> None:
    async def visit() -> None:
        client = Client(host, page_token(host))
        await client.connect()
        await client.next()
        client._begun = True
        await asyncio.to_thread(app.write, "one")
        await client.until(lambda: client.values() == ["one"])
        session = app.doc.session_context.session
        client.break_off()
        await asyncio.to_thread(wait_for, lambda: session.connection_count == 0, 1.0)

    run(visit())


def test_bokeh_still_draws_the_whole_page_anew() -> None:
    """And 3.9 reads it without its arrays. When this fails, look what Bokeh does now when a connection is back."""
    source = (Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.js").read_text(encoding="utf-8")
    pull = source[source.index("async _repull_session_doc(") :][:3000]
    assert "this.session.document.replace_with_json(doc_json" in pull
    assert re.search(
        r"const replacement = Document\.from_json\(json.*\);\s+replacement\.destructively_move\(this\);", source
    )


def test_a_server_that_does_not_answer_is_said_within_three_seconds() -> None:
    """The longest time until a ping, its answer, and a look at the clock; of a page at rest."""
    source = Path(kept_connections.__file__).with_name("kept_connection.js").read_text(encoding="utf-8")
    found = {name: int(value) for name, value in re.findall(r"^const (PING|SILENT|LOOK) = (\d+)", source, re.MULTILINE)}
    assert found["PING"] + found["SILENT"] + found["LOOK"] <= 3000
    assert found["SILENT"] >= 1500  # a busy server is not lost
