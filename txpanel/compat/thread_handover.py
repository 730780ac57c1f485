"""Has a session's own thread call a function, from any thread, without losing it.

A document's callbacks may be added from other threads, says Bokeh, but two things in it are not made for that:

* While a change is collected (`Document.hold`), a new callback lies among the events of that change. The session's thread takes them
  away as one list and starts another; a callback that a second thread puts into the first one a moment later is never called.
* The documents that are current are one stack for all threads (`bokeh.io.doc.patch_curdoc`). A second thread that lays its document on it
  lets the session's thread, which goes on meanwhile, work for another visitor.

So nothing touches a document here but the thread on which its server runs.

Versions: Bokeh 3.9 to 3.10 (3.10 has `Document.locked_callback` for it, which has no delay and adds its callback in the same way).
Reason: correctness; a result is lost, or comes to another visitor.
Upstream: bokeh/bokeh, bokeh/document/callbacks.py, `add_session_callback`, and bokeh/io/doc.py, `patch_curdoc`.
Test: tests/compat/test_thread_handover.py::test_bokeh_loses_it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["hand_over"]


def hand_over(document: Any, function: Callable[[], object], after: int = 0) -> None:
    """Has a session call a function on its own thread, with its document locked; may be called from any thread.

    What one thread hands over is called in that order, if ``after`` is the same. What comes when the session has ended is dropped.

    Args:
        document: of a server's session (``pn.state.curdoc`` where a page is built).
        function: is called without arguments.
        after: so many milliseconds later, at the earliest.
    """

    def add() -> None:
        if not hasattr(document, "_roots"):  # Bokeh's mark of a document whose session has ended
            return
        if after:
            document.add_timeout_callback(function, after)
        else:
            document.add_next_tick_callback(function)

    session = getattr(document.session_context, "session", None)
    loop = getattr(session, "_loop", None)
    if loop is None:  # the page is still being built: nobody collects changes yet
        add()
    else:
        loop.add_callback(add)
