"""What changes while a browser draws the page reaches it: it has the page, and has not said yet that it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
import param
import pytest
from bokeh.document.events import ModelChangedEvent
from panel.custom import JSComponent
from panel.io import document as panel_document

from tests.server.frames import Visitor
from tests.ui.conftest import served
from txpanel.compat import early_changes
from txpanel.compat.replacing import original
from txpanel.compat.thread_handover import hand_over

NEEDED = not hasattr(panel_document, "_client_has_document")
"""Panel 1.10 asks whether the browser has the document."""


class Word(JSComponent):
    """Panel holds the changes of such components back until all of one moment are there."""

    word = param.String()
    _esm = "export function render() { return document.createElement('p') }"


def _sent(fetched: bool = True) -> list[str]:
    """Which of two changes are sent to a page that is not ready yet, the second once the first one has been dealt with."""
    sent = list[str]()
    built: list[tuple[Any, Word]] = []

    def page() -> Word:
        document = pn.state.curdoc
        assert document is not None
        document.on_change(lambda event: sent.extend([event.new] if isinstance(event, ModelChangedEvent) else []))
        built.append((document, Word(word="before")))
        if not fetched:
            change("first")()
        return built[0][1]

    def change(value: str) -> Callable[[], None]:
        return lambda: setattr(built[0][1], "word", value)

    async def visit(address: str) -> None:
        async with Visitor.at(address, ready=False):
            for value in ("first", "second") if fetched else ():
                dealt_with = asyncio.Event()
                done = partial(asyncio.get_running_loop().call_soon_threadsafe, dealt_with.set)
                hand_over(built[0][0], change(value))
                hand_over(built[0][0], partial(hand_over, built[0][0], done))
                await asyncio.wait_for(dealt_with.wait(), 60)

    with served(page) as address:
        asyncio.run(visit(address.rstrip("/")))
    return sent


def test_a_change_between_the_page_and_its_word_that_it_is_ready_is_sent() -> None:
    early_changes.mend()
    early_changes.mend()
    assert _sent() == ["first", "second"]


def test_a_change_before_the_page_is_fetched_is_sent_with_it() -> None:
    early_changes.mend()
    assert _sent(fetched=False) == []


def test_the_workaround_is_still_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When Panel 1.9 is no longer supported: drop `early_changes`."""
    own = original(panel_document, "_drain_unconnected_events")
    monkeypatch.setattr(panel_document, "_drain_unconnected_events", own)
    assert _sent() == ([] if NEEDED else ["first", "second"])
