"""What another thread hands over is called, also while the session collects a change."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.document.events import TitleChangedEvent
from bokeh.io.doc import curdoc

from txpanel.compat.thread_handover import hand_over


class Loop:
    """Of a server: keeps what it is to call."""

    def __init__(self) -> None:
        self.waits: list[Callable[[], Any]] = []

    def add_callback(self, function: Callable[[], Any]) -> None:
        self.waits.append(function)


class Session:
    """Keeps the document's callbacks, as Bokeh's `ServerSession` does, and calls them when the loop comes to it."""

    def __init__(self) -> None:
        self._loop = Loop()
        self.document = Document()
        self.context = SimpleNamespace(session=self)
        self.document._session_context = lambda: self.context
        self.document.callbacks.on_change_dispatch_to(self)
        self.timers: list[Any] = []

    def _session_callback_added(self, event: Any) -> None:
        self._loop.add_callback(event.callback.callback)
        self.timers.append(getattr(event.callback, "timeout", None))

    def _session_callback_removed(self, event: Any) -> None: ...

    def run(self) -> None:
        """The loop's turns, until nothing waits."""
        while self._loop.waits:
            self._loop.waits.pop(0)()


def taken(document: Document) -> TitleChangedEvent:
    """A collected change; as it is looked at for a second one, the session's thread takes all changes away (`panel.io.document.unlocked`)."""
    event: Any = TitleChangedEvent(document, "another title")

    def combine(_event: Any) -> bool:
        held = document.callbacks
        held._held_events, document.taken = [], list(held._held_events)
        return False

    event.combine = combine
    return event


def _handed_over_in_the_middle(hand: Callable[[Document, Callable[[], Any]], Any]) -> list[str]:
    """What is called of one function that a thread hands over just as the session takes away what it has collected."""
    session, called = Session(), list[str]()
    document = session.document
    document.hold("combine")
    document.callbacks._held_events.append(taken(document))
    hand(document, lambda: called.append("result"))
    document.callbacks._held_events = []  # the session's thread goes on with those that it took, as if there were no others
    document.unhold()
    session.run()
    return called


def test_a_result_is_called_that_comes_as_a_change_is_taken_away() -> None:
    assert _handed_over_in_the_middle(hand_over) == ["result"]


def test_bokeh_loses_it() -> None:
    """When this fails, Bokeh has mended it: drop the first half of `thread_handover`."""
    assert _handed_over_in_the_middle(lambda document, function: document.add_next_tick_callback(function)) == []


def test_the_calling_thread_leaves_the_document_alone() -> None:
    session = Session()
    before = curdoc()
    hand_over(session.document, lambda: None)
    assert curdoc() is before
    assert not session.document.session_callbacks
    session._loop.waits.pop(0)()
    assert len(session.document.session_callbacks) == 1


def test_in_their_order_and_with_their_document() -> None:
    session, called = Session(), list[tuple[int, bool]]()
    for n in range(3):
        hand_over(session.document, lambda n=n: called.append((n, curdoc() is session.document)))
    session.run()
    assert called == [(0, True), (1, True), (2, True)]


def test_later() -> None:
    session = Session()
    hand_over(session.document, lambda: None, after=60)
    session.run()
    assert session.timers == [60]


def test_before_the_page_is_built_bokeh_keeps_it() -> None:
    session = Session()
    session.context.session = None
    hand_over(session.document, lambda: None)
    assert len(session.document.session_callbacks) == 1


def test_a_session_that_has_ended_is_not_called() -> None:
    session, called = Session(), list[str]()
    hand_over(session.document, lambda: called.append("too late"))
    session.document.destroy(session)
    session.run()
    hand_over(session.document, lambda: called.append("much too late"))
    session.run()
    assert called == []


@pytest.mark.parametrize("after", [0, 20])
def test_bokehs_own_session_has_the_loop_that_is_used(after: int) -> None:
    """`hand_over` asks a real session for its loop by a name that Bokeh does not promise."""
    from bokeh.server.session import ServerSession

    loop, document, called = Loop(), Document(), list[int]()
    loop.call_later = lambda _seconds, function: loop.add_callback(function)  # type: ignore[attr-defined]
    session = ServerSession("an id", document, io_loop=loop)  # type: ignore[arg-type]
    document._session_context = lambda: SimpleNamespace(session=session)
    hand_over(document, lambda: called.append(1), after=after)
    assert len(loop.waits) == 1
    assert not document.session_callbacks
