"""How much of the server's one thread a page may use while others are here.

A message may be small and its work large: a whole page again, or a thousand heads one after the other. The seconds that a page's messages and the
results for it take on the thread are measured. All pages that have used up their first seconds (`ROOM`) share half of the thread: nothing more
is read from such a page until it has waited. A page that is alone never waits, and messages of other pages are read as ever.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Budget", "budget", "measured"]

ROOM = 2.0
"""Seconds of work that a page may use at once: opening it and going quickly through its views takes less."""
SHARE = 0.5
"""Share of the thread for all pages together that have used these up."""
LONGEST = 60.0
"""Most seconds that one message waits."""
DEEPEST = 5.0
"""Most seconds of debt: a page that did a lot while alone is not slowed for ever when another comes."""
WINDOW = 10.0
"""A session counts as active for so many seconds after its last work."""
HERE = 0.001
"""Least seconds of work that count: a ping takes a tenth of it."""


@dataclass(slots=True)
class _Account:
    level: float
    then: float
    worked: float = -math.inf


class Budget:
    """The use of the thread by all sessions of a server. Used on its thread only.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def spent(self, session: str, seconds: float) -> None:
        """A session's work has taken so long on the thread."""
        account = self._now(session)
        account.level = max(-DEEPEST, account.level - seconds)
        if seconds > HERE:
            account.worked = account.then

    def pause(self, session: str) -> float:
        """Seconds for which the next message of a session waits."""
        account = self._now(session)
        if account.level >= 0 or not self._others(session):
            return 0.0
        return min(-account.level / self._rate(), LONGEST)

    def calm_for(self) -> float:
        """Seconds since any session has had work done on the thread; infinite if none has."""
        return self._clock() - max((account.worked for account in self._accounts.values()), default=-math.inf)

    def forget(self, session: str) -> None:
        """A session has ended."""
        self._accounts.pop(session, None)

    @contextmanager
    def work(self, session: str) -> Generator[None]:
        """Counts the time spent inside as work for a session."""
        begin = time.thread_time()
        try:
            yield
        finally:
            self.spent(session, time.thread_time() - begin)

    def _now(self, session: str) -> _Account:
        now = self._clock()
        account = self._accounts.setdefault(session, _Account(ROOM, now))
        passed, account.then = now - account.then, now
        account.level = min(ROOM, account.level + passed * self._rate())
        return account

    def _rate(self) -> float:
        """Seconds of work that a session gains in a second."""
        return SHARE / max(1, sum(account.level < 0 for account in self._accounts.values()))

    def _others(self, session: str) -> bool:
        now = self._clock()
        return any(now - account.worked < WINDOW for name, account in self._accounts.items() if name != session)


budget = Budget()
"""Of this process."""


class measured(Awaitable[Any]):  # noqa: N801 - reads as a function
    """Awaits a coroutine and reports how many seconds it kept this thread busy; what other tasks do while it waits is not counted.

    Args:
        work: a coroutine. told: is given seconds, however it ends.
    """

    def __init__(self, work: Any, told: Callable[[float], None]) -> None:
        self.work, self.told = work, told

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self.work.__await__()
        spent, value, error = 0.0, None, None
        try:
            while True:
                begin = time.thread_time()
                try:
                    asked = inner.send(value) if error is None else inner.throw(error)
                except StopIteration as end:
                    return end.value
                finally:
                    spent += time.thread_time() - begin
                try:
                    value, error = (yield asked), None
                except BaseException as thrown:
                    value, error = None, thrown
        finally:
            self.told(spent)
