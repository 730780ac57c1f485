"""Every message reaches the browser, also the one that is written while another is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from bokeh.document import Document
from panel.io import document as panel_document
from tornado.websocket import WebSocketHandler

from txpanel.compat import write_queue
from txpanel.compat.replacing import original


class Socket(WebSocketHandler):
    """Of the kind that Panel writes to; without a connection."""

    def __init__(self) -> None: ...


class Connection:
    """Makes messages of events as they are."""

    def __init__(self) -> None:
        self._socket = Socket()
        self.protocol = SimpleNamespace(create=lambda kind, events: events)


def _said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written of two messages, of which the second comes just as the first has been written."""
    written: list[str] = []

    async def both() -> None:
        gate = asyncio.Event()

        def dispatch(connection: Connection, events: object = None, msg: Any = None) -> list[Coroutine[Any, Any, None]]:
            async def write() -> None:
                await gate.wait()
                written.extend(msg)

            return [write()]

        monkeypatch.setattr(panel_document, "dispatch_tornado", dispatch)
        doc, connection = Document(), Connection()
        panel_document.schedule_write_events(doc, [connection], ["Asking the hub"])
        await asyncio.sleep(0)
        gate.set()
        panel_document.schedule_write_events(doc, [connection], ["It has no such model"])
        for _ in range(5):
            await asyncio.sleep(0.001)

    asyncio.run(both())
    return written


@pytest.fixture
def as_panel_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_document, "_dispatch_msgs", original(panel_document, "_dispatch_msgs"))


@pytest.mark.usefixtures("as_panel_has_it")
def test_a_message_that_comes_as_another_one_ends_is_written_too(monkeypatch: pytest.MonkeyPatch) -> None:
    write_queue.mend()
    write_queue.mend()
    assert _said(monkeypatch) == ["Asking the hub", "It has no such model"]


@pytest.mark.usefixtures("as_panel_has_it")
def test_the_workaround_is_still_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, Panel has mended it: drop `write_queue`."""
    assert _said(monkeypatch) == ["Asking the hub"]
