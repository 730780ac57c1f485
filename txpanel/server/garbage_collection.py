"""When a server runs a full garbage collection, which frees reference cycles: objects that only hold each other.

Python runs one by itself whenever there are a quarter more objects than after the last one. While a class opens its pages that is two or three
times a minute, in the middle of a request, half a second each with ten visitors (700,000 objects); and it frees one object in a hundred, since here
nearly all objects go with their last reference. What does lie in cycles are the pages of sessions that have ended: 110,000 objects each. So a
server collects when sessions have ended, once for all of them, and else seldom. Collections of young objects stay as they are.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

__all__ = ["FullCollections"]

NEVER = 1_000_000
"""Threshold of the oldest generation (`gc.set_threshold`): as good as never. Python 3.14, which collects in small steps, ignores it."""
ENDED, SELDOM = 10.0, 60.0
"""Seconds between two collections where sessions have ended, and where none has."""
ENDED_SHARE, SHARE = 0.05, 0.01
"""Share of the time that collections may take: the longer one takes, the longer the next one waits."""


class FullCollections:
    """Decides when a full collection is due.

    Args:
        collect: runs a full collection. clock: seconds, to measure how long it takes.
    """

    def __init__(
        self, collect: Callable[[], object] = gc.collect, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._collect, self._clock = collect, clock
        self._ended, self._last, self._took = False, 0.0, 0.0

    def begin(self, now: float) -> None:
        """Turns Python's own full collections off; for the process of a server."""
        self._last = now
        gc.set_threshold(*gc.get_threshold()[:2], NEVER)

    def ended(self) -> None:
        """Sessions have ended. May be called from any thread."""
        self._ended = True

    def look(self, sessions: int, now: float) -> bool:
        """Collects if it is time; returns whether it did.

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
        """Collects at once."""
        self._ended, self._last = False, now
        begin = self._clock()
        self._collect()
        self._took = self._clock() - begin
