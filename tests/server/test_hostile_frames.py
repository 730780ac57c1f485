"""A live server and visitors who send whatever they like: it lives, nothing of it is on the page, and the next text runs within 30 s."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from tornado.websocket import WebSocketClosedError

from tests.server.frames import Visitor
from tests.sweeping import apart, first
from tests.ui.conftest import Server, start_server, stop_server

pytestmark = pytest.mark.slow
LETTERS = random.Random(1)
BAR = "page/top_bar/top_bar"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("server"), TXPANEL_PLUGINS="none")
    yield running
    alive = running.process.poll() is None
    stop_server(running)
    assert alive, "the server has ended:\n" + "\n".join(running.lines[-30:])


def visit(server: Server, does: Callable[[Visitor], Awaitable[None]], search: str = "") -> None:
    """A visitor comes, does something, and runs a text; and so does another one."""

    async def both() -> None:
        async with Visitor.at(server.url + search) as visitor:
            await does(visitor)
            await visitor.runs("".join(LETTERS.choices("ABC", k=7)) + "=")

    asyncio.run(both())
    assert server.process.poll() is None


async def nothing(_visitor: Visitor) -> None:
    """Opens the page, that is all."""


@pytest.mark.parametrize("text", first(2, ["²", "%ff", "9" * 4301, "what?", "[[[", "\ud83e\udd8a"]))
def test_any_text_in_the_address(server: Server, text: str) -> None:
    search = f"?text={text}" if text == "%ff" else f"?text={quote(text, safe='?', errors='surrogatepass')}"
    visit(server, nothing, search)


def test_the_same_texts_typed(server: Server) -> None:
    async def type_them(visitor: Visitor) -> None:
        for text in ("CAB²", "²", "9" * 4301, "CAB="):
            await visitor.say(BAR, {"kind": "run", "text": text})

    visit(server, type_them)


HOSTILE: list[Any] = [
    None, [], {}, "x", 1e400, {"kind": None}, {"kind": "generate", "n": "many"}, {"kind": "generate", "n": 1e308}, {"kind": ["run"]},
    {"kind": "open", "at": 0, "data": "%%"}, {"kind": "open", "at": 0, "data": "AAAA", "last": True, "name": 5}, {"kind": "focus", "layer": 1e300},
    {"kind": "load", "name": "\ud800"}, {"kind": "load", "name": "/etc/passwd\x00"}, {"kind": "set", "temperature": {"type": "number", "value": "nan"}},
    {"kind": "set", "seed": 10**400}, {"kind": "chat", "on": []}, {"kind": "kept", "name": [], "data": {"a": 1}}, {"kind": "run", "text": {"a": "b"}},
    {"type": "ndarray", "array": {"type": "bytes", "data": "AAAA"}, "dtype": "float32", "shape": [10**9], "order": "little"},
]  # fmt: skip


def test_hostile_messages_to_every_part(server: Server) -> None:
    async def all_of_them(visitor: Visitor) -> None:
        for part in visitor.models:
            for data in HOSTILE:
                await visitor.say(part, data)

    visit(server, all_of_them)


def test_the_timeline_hears_anything_while_tokens_come(server: Server) -> None:
    async def generate(visitor: Visitor) -> None:
        await visitor.runs("CBABBC=")
        await visitor.say("page/timeline/timeline", {"kind": "hello", "value": 1})
        await visitor.say(BAR, {"kind": "generate", "n": 8})
        for kind in ("go", "switch", "compare", "take", "pace", "seen", "sync", "hello"):
            for value in (
                -1,
                10**9,
                1e308,
                True,
                "1",
                None,
                {"type": "number", "value": "nan"},
                {"type": "number", "value": "+inf"},
            ):
                await visitor.say("page/timeline/timeline", {"kind": kind, "value": value})

    visit(server, generate)


def test_a_page_that_takes_itself_apart(server: Server) -> None:
    async def tear(visitor: Visitor) -> None:
        roots = [{"kind": "RootRemoved", "model": {"id": one}} for one in visitor.ids[:5]]
        for event in [
            *roots,
            {"kind": "TitleChanged", "title": 5},
            {"kind": "RootAdded", "model": {"type": "object", "name": "Div", "id": "x1"}},
        ]:
            await visitor.send("PATCH-DOC", {"events": [event]})
        for one in visitor.ids:
            for name in ("children", "data", "js_event_callbacks", "tags", "name", "no_such"):
                event = {"kind": "ModelChanged", "model": {"id": one}, "attr": name, "new": []}
                await visitor.send("PATCH-DOC", {"events": [event]})
        await visitor.send("PUSH-DOC", {"doc": {"roots": [], "title": "", "version": "3.9.2"}})
        for name in ("document_ready", "document_ready", "connection_lost", "tap", "no_such_event"):
            await visitor.event(name, {})

    visit(server, tear)


FRAMES: list[Any] = [
    "txpanel ", "txpanel null", "txpanel " + "[" * 100_000, 'txpanel {"kind": "begin"}', 'txpanel {"kind": "ping", "got": "x"}', 'txpanel {"kind": []}',
    'txpanel {"kind": "begin"}', 'txpanel {"kind": "ping", "got": 1e400}', 'txpanel {"kind": "ping", "got": -5}',
    "", "[" * 200_000, "{}", "null", '"x"', b"\x00\xff", '{"msgid": 1}', '{"msgtype": "PATCH-DOC"}', "\ud7ff" * 1000, '{"msgid": "1", "msgtype": "ACK"}',
    '{"msgid": "1", "msgtype": "PATCH-DOC", "num_buffers": -1}', '{"msgid": "1", "msgtype": "PATCH-DOC", "num_buffers": 1e9}',
    '{"msgid": "1", "msgtype": "PATCH-DOC"}', "{}", '{"events": 5}', '{"events": [{"kind": 5}]}', '{"events": [' + '{"a":' * 5000 + "1" + "}" * 5000 + "]}",
]  # fmt: skip


@pytest.mark.parametrize("rounds", [2, apart(6)])
def test_frames_of_any_shape_end_at_most_their_own_connection(server: Server, rounds: int) -> None:
    """What is no message closes the connection that sent it, as Bokeh does; everybody else's goes on."""
    rest = random.Random(5)

    async def throw() -> None:
        async with Visitor.at(server.url) as other:
            for _round in range(rounds):
                async with Visitor.at(server.url) as visitor:
                    for frame in rest.choices(FRAMES, k=8):
                        try:
                            await visitor.socket.write_message(frame, binary=isinstance(frame, bytes))
                        except WebSocketClosedError:
                            break
            await other.runs("CABC=")

    asyncio.run(throw())
    assert server.process.poll() is None


def test_requests_of_any_shape(server: Server) -> None:
    base = server.url.rsplit("/", 1)[0]
    for path in (
        "/txpanel?" + "&" * 5000,
        "/txpanel?text=%",
        "/txpanel?%00=%00",
        "/txpanel?layer=" + "9" * 5000,
        "/txpanel?text=a?b?c",
        "/no/such",
    ):
        try:
            with urlopen(base + path, timeout=60) as reply:
                assert reply.status == 200
        except OSError as error:
            assert "HTTP Error 404" in str(error) or "HTTP Error 400" in str(error)
    visit(server, nothing)


def test_none_of_it_is_a_page_of_traceback_in_the_log(server: Server) -> None:
    """Runs last: what all of the above left. Refusals are one line each; a traceback is a fault of ours."""
    log = "\n".join(server.lines)
    assert "Internal Server Error" not in log
    ours = [line for line in server.lines if 'File "' in line and "/txpanel/txpanel/" in line]
    assert not ours, json.dumps(server.lines[-80:], indent=1)
