"""Which view is at work in which thread, and since when, for the watchdog of a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Step", "at_work", "steps"]


@dataclass(eq=False)
class Step:
    """One piece of a view's work that has begun and not ended.

    Attributes:
        view: its class. thread: `threading.get_ident` of where it runs. since: `time.monotonic` of its begin, later by the
            time that other views took inside it.
    """

    view: type
    thread: int
    since: float


_steps: list[Step] = []  # appended and removed by the threads themselves; lists do that in one operation


@contextmanager
def at_work(view: type) -> Iterator[None]:
    """Around everything that a view's own code does on the server's thread."""
    step = Step(view, threading.get_ident(), time.monotonic())
    _steps.append(step)
    try:
        yield
    finally:
        _steps.remove(step)
        outer = next((each for each in reversed(_steps) if each.thread == step.thread), None)
        if outer is not None:
            outer.since += time.monotonic() - step.since


def steps() -> tuple[Step, ...]:
    """All that are at work now; one inside another is the later one."""
    return tuple(_steps)
