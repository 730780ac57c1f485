"""What is done for a session is done on the server's thread, whatever Bokeh would do by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from bokeh.application.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server import session as bokeh_session
from bokeh.server.contexts import ApplicationContext
from bokeh.server.session import ServerSession
from tornado.ioloop import IOLoop

from txpanel.compat import one_thread
from txpanel.compat.replacing import original


def threads_of(call: Callable[[ServerSession, Callable[[], None]], Any]) -> list[bool]:
    """Makes a session and calls something of it; whether its page was made, and what was called ran, on the server's thread."""
    mine, seen = threading.get_ident(), list[bool]()

    def look() -> None:
        seen.append(threading.get_ident() == mine)

    def page(doc: Document) -> None:
        look()

    async def visit() -> None:
        context = ApplicationContext(Application(FunctionHandler(page)), io_loop=IOLoop.current())
        session = await context.create_session_if_needed("a session")
        await call(session, look)

    asyncio.run(visit())
    return seen


async def locked(session: ServerSession, look: Callable[[], None]) -> None:
    await session.with_document_locked(look)


async def locked_coroutine(session: ServerSession, look: Callable[[], None]) -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        look()
        return "done"

    assert await session.with_document_locked(later) == "done"


async def on_next_tick(session: ServerSession, look: Callable[[], None]) -> None:
    session.document.add_next_tick_callback(look)
    await asyncio.sleep(0.05)


async def answered(session: ServerSession, look: Callable[[], None]) -> None:
    """What Bokeh does to write its messages."""
    if hasattr(session, "_run_in_executor"):
        await session._run_in_executor(look)
    else:
        look()


CALLS = [locked, locked_coroutine, on_next_tick, answered]


@pytest.mark.parametrize("call", CALLS)
def test_it_runs_on_the_servers_thread(call: Callable[..., Any]) -> None:
    one_thread.mend()
    assert threads_of(call) == [True, True]


def test_bokeh_still_gives_callbacks_to_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 3.10 on. When this fails, Bokeh keeps them on its thread again, or asks: drop `one_thread`."""
    if one_thread.needed():
        for owner, name in [
            (bokeh_session, "_run_in_executor"),
            (bokeh_session, "_await_cancellation_safe"),
            (ServerSession, "_run_in_executor"),
            (ApplicationContext, "_can_initialize_document_in_worker"),
        ]:
            monkeypatch.setattr(owner, name, original(owner, name))
    there = not one_thread.needed()
    assert threads_of(locked) == [there, there]
    assert threads_of(answered) == [there, there]


def test_a_bokeh_that_works_otherwise_is_not_served_from(monkeypatch: pytest.MonkeyPatch) -> None:
    async def elsewhere(function: Callable[[], Any]) -> Any:
        return function()

    monkeypatch.setattr(bokeh_session, "_run_in_executor", elsewhere, raising=False)
    with pytest.raises(RuntimeError, match="not what they were"):
        one_thread.mend()
