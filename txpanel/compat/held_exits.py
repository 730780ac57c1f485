"""``sys.exit`` in the code of one session does not end the server for all of them.

asyncio lets `SystemExit` and `KeyboardInterrupt` pass through its loop, wherever they were raised: one plugin's callback that calls
``sys.exit`` ends the process, without a line in the log. On a server that is never meant: it is stopped by a signal, and then Bokeh stops
the loop. A real Ctrl-C still ends it (`is_held` tells it from a `KeyboardInterrupt` that code has raised), and a cancellation still ends
its task.

Versions: any; Python 3.11 to 3.14, Tornado 6.5 to 6.6.
Reason: safety; a view of another package could end the server for everybody.
Upstream: python/cpython, Lib/asyncio/events.py, `Handle._run`; meant for scripts, where it is right.
Test: tests/compat/test_held_exits.py::test_asyncio_still_lets_an_exit_through
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from asyncio import events
from collections.abc import Callable
from typing import Any

from txpanel.compat.replacing import replace

__all__ = ["is_held", "mend", "was_interrupted"]

log = logging.getLogger("txpanel")

_watched = False
_interrupted = threading.Event()


def mend() -> None:
    """Holds exits in callbacks of the loop, and notes a Ctrl-C; once per process, may be called again."""
    replace(events.Handle, "_run", _held, needs=("(SystemExit, KeyboardInterrupt)", "self._callback"))
    _note_interrupts()


def is_held(error: BaseException) -> bool:
    """Whether an error of a view, or of what handles a message, stays there: all but a Ctrl-C and a cancellation."""
    if isinstance(error, KeyboardInterrupt):
        return _watched and not _interrupted.is_set()
    return not isinstance(error, asyncio.CancelledError | GeneratorExit)


def was_interrupted() -> bool:
    """Whether there was a Ctrl-C; known from `mend` on."""
    return _interrupted.is_set()


def _held(own: Callable[[Any], None]) -> Callable[[Any], None]:
    def run(self: Any) -> None:
        try:
            own(self)
        except (SystemExit, KeyboardInterrupt) as error:
            if not is_held(error):
                raise
            log.critical(
                "%s in a callback of the server was held; the server goes on", error.__class__.__name__, exc_info=error
            )

    return run


def _note_interrupts() -> None:
    """Python's own handler of Ctrl-C, which also says that there was one; where it is ignored (`nohup`, a script's `&`) none can come.

    Any other handler is left alone, and nothing is held then.
    """
    global _watched
    if _watched or threading.current_thread() is not threading.main_thread():
        return
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.SIG_IGN:
        _watched = True
    elif heard is signal.default_int_handler:

        def interrupt(number: int, frame: Any) -> None:
            _interrupted.set()
            signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, interrupt)
        _watched = True
