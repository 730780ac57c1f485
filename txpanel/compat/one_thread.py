"""All work of sessions runs on the server's one thread, as it did until Bokeh 3.9.

Since 3.10 Bokeh gives it to worker threads: each callback, each change that a browser sends, the writing of its messages, the making of a document. Python
runs one of them at a time all the same, so nobody is served sooner, and three things that hold on one thread hold no longer:

* a view that never ends holds up its page alone, for ever, with a core and a lock: the server answers, so nobody ends it (`txpanel.server.watchdog`);
* how much of the server a page has used is measured on that thread, in the task that reads a message (`txpanel.server.work_budget`); what Bokeh answers is in a
  task of its own besides, against being cancelled, which nobody does here while a server runs;
* Panel joins the changes of a click to one message only there: 63 messages instead of 12 for the first look at the residual stream.

Versions: Bokeh 3.10, Panel 1.10.0; before them there is nothing to replace.
Reason: correctness of limits and of the watchdog; messages of a click.
Upstream: bokeh/bokeh, bokeh/server/session.py, `_needs_document_lock`, and bokeh/server/contexts.py: an option for it.
Test: tests/compat/test_one_thread.py::test_bokeh_still_gives_callbacks_to_other_threads
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bokeh.server import session
from bokeh.server.contexts import ApplicationContext
from bokeh.server.session import ServerSession

from txpanel.compat.replacing import replace

__all__ = ["mend", "needed"]


def needed() -> bool:
    """Whether this Bokeh has other threads at work for a session."""
    return hasattr(session, "_run_in_executor")


def mend() -> None:
    """Applies the workaround; once per process, may be called again.

    Raises:
        RuntimeError: Bokeh is not what it was, and would go on using other threads.
    """
    if not needed():
        return
    done = [
        replace(session, "_run_in_executor", _here, needs=("asyncio.to_thread(func",)),
        replace(ServerSession, "_run_in_executor", _here_of, needs=("self._executor.run(func",)),
        replace(session, "_await_cancellation_safe", _as_it_is, needs=("asyncio.ensure_future(awaitable",)),
        replace(ApplicationContext, "_can_initialize_document_in_worker", _never),
    ]
    if not all(done):
        raise RuntimeError("Bokeh's sessions are not what they were: several threads at once might work for one server")


def _here(_own: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def run(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return function(*args, **named)  # a coroutine is awaited by who has asked

    return run


def _here_of(_own: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def run(_self: Any, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    return run


def _as_it_is(_own: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def wait(awaitable: Awaitable[Any]) -> Any:
        return await awaitable

    return wait


def _never(_own: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda _self: False
