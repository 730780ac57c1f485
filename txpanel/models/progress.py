"""Progress of something slow (download, conversion, loading), and the way to stop it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from txpanel.errors import Cancelled
from txpanel.messages import _


@dataclass(frozen=True, slots=True)
class Progress:
    """One report about something slow.

    Attributes:
        stage: ``"probe"``, ``"download"``, ``"verify"``, ``"convert"``, ``"load"``, ``"done"``; of a model at work ``"wait"``, ``"read"``,
            ``"generate"``.
        done: bytes done so far (0 where the stage has no size).
        total: bytes in all; ``None`` where that is not known.
        rate: bytes per second over the last seconds; ``None`` at the start.
        remaining: seconds left by that rate; ``None`` where it cannot be told.
        message: a sentence for the page and the terminal.
        place: in the queue for the model, 1 for the next one; 0: the result comes from another visitor's run; ``None``: not waiting.
    """

    stage: str
    done: int = 0
    total: int | None = None
    rate: float | None = None
    remaining: float | None = None
    message: str = ""
    place: int | None = None

    @property
    def fraction(self) -> float | None:
        """Share done, 0 to 1; ``None`` where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None

    def __str__(self) -> str:
        parts = [self.message]
        if self.total:
            parts.append(_("{done} of {total}").format(done=size_text(self.done), total=size_text(self.total)))
        elif self.done:
            parts.append(size_text(self.done))
        if self.rate:
            parts.append(_("{rate}/s").format(rate=size_text(int(self.rate))))
        if self.remaining is not None:
            parts.append(_("{time} left").format(time=time_text(self.remaining)))
        return " · ".join(part for part in parts if part)


ProgressCallback = Callable[[Progress], None]


class Reporter:
    """Turns byte counts into `Progress` reports and checks for a cancel at each of them.

    Args:
        callback: gets the reports, at most one per `interval` seconds, and always the first and last of a stage.
        cancel: when set, the next `check` (or report) raises `Cancelled`.
    """

    interval = 0.1
    window = 5.0  # seconds over which the rate is taken

    def __init__(self, callback: ProgressCallback | None = None, cancel: Event | None = None) -> None:
        self._callback = callback
        self._cancel = cancel
        self._stage, self._message, self._total = "", "", None
        self._last = 0.0
        self._marks: deque[tuple[float, int]] = deque()

    _total: int | None

    def check(self) -> None:
        """Raise `Cancelled` if the person asked to stop."""
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled(_("Loading the model was cancelled."))

    def start(self, stage: str, message: str, total: int | None = None, done: int = 0) -> None:
        """Begin a stage; `done` bytes may be there already (a resumed download)."""
        self._stage, self._message, self._total = stage, message, total
        self._marks.clear()
        self.update(done, force=True)

    def update(self, done: int, total: int | None = None, *, force: bool = False) -> None:
        """Report that `done` bytes of the current stage are there."""
        self.check()
        self._total = total if total is not None else self._total
        now = time.monotonic()
        if self._callback is None or (not force and now - self._last < self.interval and done != self._total):
            return
        self._last = now
        rate = self._rate(now, done)
        left = (self._total - done) / rate if rate and self._total and done <= self._total else None
        self._callback(Progress(self._stage, done, self._total, rate, left, self._message))

    def _rate(self, now: float, done: int) -> float | None:
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self.window:
            self._marks.popleft()
        start, first = self._marks[0]
        return (done - first) / (now - start) if now - start > 0.2 and done > first else None


def size_text(count: int) -> str:
    """`count` bytes for people, in decimal units: ``97.3 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def time_text(seconds: float) -> str:
    """A stretch of time for people: ``8 s``, ``3 min 20 s``, ``1 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return _("{s} s").format(s=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return _("{m} min {s} s").format(m=minutes, s=rest)
    return _("{h} h {m} min").format(h=minutes // 60, m=minutes % 60)
