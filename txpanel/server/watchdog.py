"""Notices when the server's one thread does not answer, and which view blocks it.

A thread of its own looks twice a second. A view that is at work for more than `SLOW` seconds is named in the log with its stack; one of
another package is off for new sessions from then on (its card says so; those who have it keep it). A loop that never
ends cannot be ended from within: ``/health`` does not answer then, by which ``txpanel serve --supervise`` knows to start the server anew.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from txpanel.messages import _
from txpanel.views import running

__all__ = ["FROZEN", "SLOW", "Watchdog", "start"]

log = logging.getLogger("txpanel.server.watchdog")

SLOW = 5.0
"""Seconds that one piece of a view's work may take."""
FROZEN = 10.0
"""Seconds without an answer from which on a server counts as frozen."""
EVERY = 0.5
LINES = 12
"""Lines of a stack that are logged, the innermost."""


class Watchdog:
    """Watches one event loop.

    Args:
        call_soon: has the loop call a function; may be called from any thread (``IOLoop.add_callback``).
        thread: identity of the thread on which the loop runs.
        now: the clock.
    """

    def __init__(
        self, call_soon: Callable[[Callable[[], None]], Any], thread: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._call_soon, self._thread, self._now = call_soon, thread, now
        self._asked: float | None = None  # when the loop was asked and has not answered yet
        self._named: set[int] = set()  # pieces of work that the log has heard of, by identity
        self._told = self._blamed = False
        self._stop = threading.Event()

    def frozen_for(self) -> float:
        """Seconds since the loop was asked something that it has not answered; 0 while it answers."""
        asked = self._asked
        return 0.0 if asked is None else max(0.0, self._now() - asked - EVERY)

    def start(self) -> None:
        """Begins to look, in a thread of its own."""
        threading.Thread(target=self._watch, name="txpanel-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Looks no more."""
        self._stop.set()

    def look(self) -> None:
        """One check: has the loop answer, and names what blocks it."""
        if self._asked is None:
            self._asked = self._now()
            try:
                self._call_soon(self._answered)
            except RuntimeError:  # the loop is closed: the server ends
                self._stop.set()
                return
        self._name_slow_views()
        if self.frozen_for() < FROZEN:
            self._told = False
        elif not self._told:
            self._told = True
            log.critical(
                "nothing was answered for %.0f s; the server's thread stands at\n%s", FROZEN, self._stack(self._thread)
            )

    def _answered(self) -> None:
        self._asked = None

    def _watch(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.look()
            except Exception:
                log.exception("the watchdog stumbled")

    def _name_slow_views(self) -> None:
        steps = running.steps()
        self._named &= {id(step) for step in steps}
        innermost = {step.thread: step for step in steps}  # the later ones are inside
        for step in innermost.values():
            took = self._now() - step.since
            if took < SLOW or id(step) in self._named:
                continue
            self._named.add(id(step))
            self._name(step.view, took, self._stack(step.thread))
        if self._thread not in innermost:
            self._name_whose_code_runs()

    def _name_whose_code_runs(self) -> None:
        """Names a view whose code blocks the server outside of its frame, such as in a button's callback."""
        took = self.frozen_for()
        if took < SLOW or self._blamed:
            self._blamed = self._blamed and took > 0
            return
        from txpanel.views.discovery import view_of  # late: the watchdog begins before views are looked for

        frame = sys._current_frames().get(self._thread)
        modules = [str(each.f_globals.get("__name__", "")) for each, _line in traceback.walk_stack(frame)]
        view = next(filter(None, map(view_of, modules)), None)
        if view is not None:
            self._blamed = True
            self._name(view, took, self._stack(self._thread))

    @staticmethod
    def _name(view: type, took: float, stack: str) -> None:
        from txpanel.views.discovery import switch_off  # late: the watchdog begins before views are looked for

        name = f"{view.__module__}:{view.__qualname__}"
        text = _(
            "It is switched off: it blocked the server for more than {n} seconds. Restart the server to use it again."
        )
        off = switch_off(view, text.format(n=round(SLOW)))
        what = "it is off for new sessions" if off else "it is built in, and stays"
        log.error("the view %s has been at work for %.1f s (%s); it stands at\n%s", name, took, what, stack)

    @staticmethod
    def _stack(thread: int) -> str:
        frame: FrameType | None = sys._current_frames().get(thread)
        if frame is None:
            return "(its thread has ended)"
        return "".join(traceback.format_stack(frame)[-LINES:]).rstrip()


_dog: Watchdog | None = None


def start() -> None:
    """Watches the loop of this thread; once per process, may be called again."""
    global _dog
    if _dog is None:
        from tornado.ioloop import IOLoop  # late: needed by servers only

        _dog = Watchdog(IOLoop.current().add_callback, threading.get_ident())
        _dog.start()
