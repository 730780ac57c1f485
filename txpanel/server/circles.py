"""When a server looks through all its objects for those that only hold each other.

Python does it by itself whenever there are a quarter more of them than after the last time. While a class comes in and looks around that is two or
three times a minute, in the middle of whatever anybody waits for, half a second each with ten visitors (700,000 objects); and it finds one object
in a hundred, since here nearly everything goes with its last reader. What does lie in circles are the pages of sessions that have ended: 110,000
objects each. So a server has it done when some have ended, for all of them at once, and else seldom. Young objects are looked through as everywhere.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

__all__ = ["Circles"]

NEVER = 1_000_000
"""Collections of middle-aged objects between two of all: Python 3.14, which does them bit by bit, does not ask for it."""
ENDED, SELDOM = 10.0, 60.0
"""Seconds between two collections where sessions have ended, and where none has."""
ENDED_SHARE, SHARE = 0.05, 0.01
"""Of the time they may take so much: the more objects there are, the longer it is between two."""


class Circles:
    """Decides, from one look to the next, whether it is time.

    Args:
        collect: does it. clock: seconds.
    """

    def __init__(
        self, collect: Callable[[], object] = gc.collect, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._collect, self._clock = collect, clock
        self._ended, self._last, self._took = False, 0.0, 0.0

    def begin(self, now: float) -> None:
        """From now on Python leaves it to us; for the process of a server."""
        self._last = now
        gc.set_threshold(*gc.get_threshold()[:2], NEVER)

    def ended(self) -> None:
        """Sessions have ended. From any thread."""
        self._ended = True

    def look(self, sessions: int, now: float) -> bool:
        """One look; returns whether all objects were looked through.

        Args:
            sessions: that are open. now: by a clock that only goes forward, in seconds.
        """
        since = now - self._last
        after_some = self._ended and since >= max(ENDED, self._took / ENDED_SHARE)
        due = after_some or (sessions > 0 and since >= max(SELDOM, self._took / SHARE))
        if due:
            self.now(now)
        return due

    def now(self, now: float) -> None:
        """Looks through all objects."""
        self._ended, self._last = False, now
        begin = self._clock()
        self._collect()
        self._took = self._clock() - begin
