"""Generation in step with the page: the next token is computed when the page has drawn the one before.

Without that, steps that come faster than a browser draws would pile up behind it, and nobody could stop them. The page itself says
when it has drawn a step, whatever views are on it; a page that says nothing (a hidden tab, a lost connection) is waited for
`PATIENCE` seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

EVERY = 0.8
"""Seconds at least between two complete pictures of a generation without pauses."""
PATIENCE = 10.0
"""Seconds that a step waits for a page that says nothing."""


class Step(Protocol):
    """A result that may be followed by others."""

    @property
    def progress(self) -> object | None:
        """None in the last result of a request."""


S = TypeVar("S", bound=Step)


class Pacing:
    """Holds the worker back until the page has drawn what it got."""

    def __init__(self) -> None:
        self._has_page = False
        self._drawn = threading.Event()  # of the newest step

    def follow_page(self) -> None:
        """There is a page, and it will acknowledge each step."""
        self._has_page = True

    def acknowledge(self) -> None:
        """The page has drawn the newest step."""
        self._drawn.set()

    def shown(self) -> None:
        """The state holds the newest step; without a page that is all there is to wait for."""
        if not self._has_page:
            self._drawn.set()

    def steps(self, results: Iterable[S], cancel: threading.Event, *, fast: bool) -> Iterator[tuple[S, bool]]:
        """Each result, and whether only its token is to be shown; the next is computed when this one is drawn.

        Args:
            fast: whether tokens come without pauses. Then some are shown without the pictures of their run, which take at most a
                third of the time, on whatever machine.
        """
        due = 0.0
        for result in results:
            more, begin, self._drawn = result.progress is not None, time.monotonic(), threading.Event()
            token_only = fast and more and self._has_page and begin < due
            yield result, token_only
            while more and not (self._drawn.is_set() or cancel.is_set() or time.monotonic() > begin + PATIENCE):
                self._drawn.wait(0.05)
            if not token_only:
                due = time.monotonic() + max(EVERY, 2 * (time.monotonic() - begin))
