"""A tab that is closed while a message is being sent to it is not logged as an error, with a traceback in the terminal.

Tornado raises an error in the task that writes to a connection which has gone. Bokeh does not wait for all of these tasks, so
asyncio logs each as an exception that nobody retrieved.

Versions: Bokeh 3.9 to 3.10, Tornado 6.5 to 6.6.
Reason: a traceback of 20 lines in the operator's terminal for each closed tab.
Upstream: tornadoweb/tornado, tornado/websocket.py, `WebSocketProtocol13.write_message`; bokeh/bokeh, bokeh/server/session.py.
Test: tests/compat/test_closed_tabs.py::test_tornado_still_leaves_an_error_that_nobody_retrieves
"""

from __future__ import annotations

import logging

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

__all__ = ["mend"]


def mend() -> None:
    """Leaves such records out of asyncio's log; once per process, may be called again."""
    logging.getLogger("asyncio").addFilter(_worth_saying)


def _worth_saying(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], WebSocketClosedError | StreamClosedError))
