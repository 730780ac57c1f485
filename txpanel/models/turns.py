"""The lock of a model, with a fair order: looks (running one block again) go before runs, and runs go visitor by visitor.

One thread works with a model at a time: it has the turn. A plain lock would do, but a thread that releases it and takes it again at once,
as a generation does for each token, keeps all others out. Here a turn is handed on: first to a session's own thread, since all
pages wait while it waits; then to looks; then to runs, and among equals to the visitor whose last turn is longest ago.
A run lets others in between two blocks of the model (`Turns.offer`), so nobody waits for more than one block.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from weakref import WeakSet

from txpanel.errors import Cancelled
from txpanel.messages import _
from txpanel.models import metrics

__all__ = ["SAID_AFTER", "Asking", "Rank", "Turns", "asked_by", "asking", "stop_if_unwanted"]

log = logging.getLogger(__name__)

SAID_AFTER = 1.0
"""Seconds of waiting after which a visitor is told the place in the queue."""
SAID_EVERY = 1.0
"""Seconds between two messages about the place: in a full class it changes at every turn, and each change is a message to a page."""
SLICE = 0.25
"""Seconds that a run has the model before it lets in another visitor's run between two blocks."""
LOOK_UP = 0.05
"""Seconds between two checks of a waiting thread whether its request was cancelled."""
REMEMBERED = 10_000
"""Visitors whose last turn is remembered."""


class Rank(IntEnum):
    """Who goes first, in this order. ``GONE``: cancelled, cleans up. ``PAGE``: a look on a session's own thread. ``LOOK``: another look. ``RUN``: a run."""

    GONE = 0
    PAGE = 1
    LOOK = 2
    RUN = 3


@dataclass(eq=False)
class Asking:
    """The request for which a thread works.

    Attributes:
        visitor: equal for all requests of one visitor. cancel: when set, a wait ends, and so does a run between two blocks.
        told: called with the place in the queue from `SAID_AFTER` on and every `SAID_EVERY` if it has changed, 1 for the next one, and None when the
            wait is over.
        rank: of its looks; ``RUN`` for one that goes through all blocks.
        read: called with how much of a text is read, from 0 to 1, before each block of each pass.
    """

    visitor: Hashable
    cancel: threading.Event = field(default_factory=threading.Event)
    told: Callable[[int | None], object] | None = None
    read: Callable[[float], object] | None = None
    rank: Rank = Rank.LOOK

    def say(self, place: int | None) -> None:
        """Report the place. An error of `told` is only logged, so that no turn is lost."""
        if self.told is not None:
            try:
                self.told(place)
            except Exception:
                log.exception("a place in the queue could not be told")


class _Here(threading.local):
    """The request of each thread; not a context variable, since callbacks handed to another thread's loop would take it along."""

    asking: Asking | None = None


_here = _Here()


def asking() -> Asking | None:
    """The request for which this thread works; None for a session's own thread and for scripts."""
    return _here.asking


def stop_if_unwanted() -> None:
    """For work of several parts, between two of them.

    Raises:
        Cancelled: whoever this thread works for does not want it any more.
    """
    who = _here.asking
    if who is not None and who.cancel.is_set():
        raise Cancelled(_("Stopped."))


@contextmanager
def asked_by(who: Asking) -> Iterator[None]:
    """Inside, this thread works for a request."""
    before, _here.asking = _here.asking, who
    try:
        yield
    finally:
        _here.asking = before


@dataclass(eq=False)
class _Waiter:
    visitor: Hashable
    rank: Rank
    number: int
    thread: int
    used: float = 0.0  # of a paused run: seconds that it had the model already
    paused: bool = False
    go: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> tuple[Hashable, bool]:
        """Looks and runs of a visitor have their turns apart."""
        return self.visitor, self.rank is Rank.RUN


class Turns:
    """The turns of one model. A thread that has the turn may take it again, as with `threading.RLock`; ``with turns:`` is a look.

    Attributes:
        taken: how many turns there have been. How long threads have waited is among the metrics (:mod:`txpanel.models.metrics`).
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._thread: int | None = None  # whose turn it is
        self._rank, self._visitor = Rank.LOOK, None
        self._depth, self._since = 0, 0.0
        self._waiting: list[_Waiter] = []
        self._last: OrderedDict[tuple[Hashable, bool], int] = OrderedDict()  # -> number of the last turn
        self._numbers = itertools.count(1)
        self.taken = 0
        _all.add(self)

    _visitor: Hashable

    @property
    def waiting(self) -> int:
        """How many threads wait for a turn."""
        return len(self._waiting)

    @contextmanager
    def turn(self, rank: Rank = Rank.LOOK) -> Iterator[None]:
        """Inside, this thread alone works with the model.

        Raises:
            Cancelled: the request was cancelled while it waited.
        """
        self.acquire(rank)
        try:
            yield
        finally:
            self.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()

    def acquire(self, rank: Rank = Rank.LOOK, timeout: float | None = None) -> bool:
        """Wait for a turn; False if it did not come within ``timeout`` seconds.

        Raises:
            Cancelled: as `turn`.
        """
        me, who = threading.get_ident(), asking()
        if self._thread == me:
            self._depth += 1
            return True
        if who is not None:
            rank = max(rank, who.rank)
        elif rank is Rank.LOOK:
            rank = Rank.PAGE
        waiter = _Waiter(who.visitor if who is not None else me, rank, next(self._numbers), me)
        if self._arrive(waiter):
            metrics.WAIT.seen(0.0, kind=rank.name.lower())
        else:
            self._wait(waiter, who, timeout)
            if not waiter.go.is_set():
                return False
        self._depth = 1
        return True

    def release(self) -> None:
        """Give the turn back, once for each time that it was taken."""
        if self._thread != threading.get_ident():
            raise RuntimeError("This thread does not have the turn that it gives back.")
        self._depth -= 1
        if not self._depth:
            with self._guard:
                self._hand_on()

    def offer(self) -> None:
        """Between two steps of a run: let in waiting threads that go first. Call it where other threads can use the model.

        Raises:
            Cancelled: the request was cancelled. This thread has the turn again, and must release it.
        """
        who = asking()
        if self._thread == threading.get_ident() and self._waiting:
            self._step_aside(who)
        if who is not None and who.cancel.is_set():
            raise Cancelled(_("Stopped."))

    def _step_aside(self, who: Asking | None) -> None:
        with self._guard:
            first = self._first()
            if first is None or not self._goes_first(first):
                return
            used = time.monotonic() - self._since
            waiter = _Waiter(self._visitor, self._rank, next(self._numbers), threading.get_ident(), used, paused=True)
            depth, self._depth = self._depth, 0
            self._waiting.append(waiter)
            self._hand_on(to=first)
        try:
            self._wait(waiter, who, None, stays=True)
        finally:
            self._depth = depth

    def _goes_first(self, other: _Waiter) -> bool:
        if other.rank != self._rank:
            return other.rank < self._rank
        return other.visitor != self._visitor and time.monotonic() - self._since >= SLICE

    # -- who is next -----------------------------------------------------------------------------------------------------

    def _arrive(self, waiter: _Waiter) -> bool:
        """Take the turn if nobody has it, else wait for it."""
        with self._guard:
            if self._thread is None:
                self._begin(waiter)
                return True
            self._waiting.append(waiter)
            return False

    def _first(self) -> _Waiter | None:
        return min(self._waiting, key=lambda waiter: self._order(waiter, self._last), default=None)

    def _order(self, waiter: _Waiter, last: Mapping[tuple[Hashable, bool], int]) -> tuple[int, ...]:
        goes_on = waiter.paused and waiter.used < SLICE  # it was paused for a look, and its slice is not used up
        return waiter.rank, not goes_on, last.get(waiter.key, 0), not waiter.paused, waiter.number

    def _place(self, waiter: _Waiter) -> int:
        """How many turns from now the turn comes, if nobody else arrives."""
        left, last = list(self._waiting), dict(self._last)
        for place in range(1, len(left) + 1):
            first = min(left, key=lambda one: self._order(one, last))
            if first is waiter:
                return place
            left.remove(first)
            last[first.key] = self.taken + place
        return 1

    def _hand_on(self, to: _Waiter | None = None) -> None:
        self._thread = None
        first = to or self._first()
        if first is not None:
            self._waiting.remove(first)
            self._begin(first)

    def _begin(self, waiter: _Waiter) -> None:
        self._thread, self._rank, self._visitor = waiter.thread, waiter.rank, waiter.visitor
        self._since = time.monotonic() - (waiter.used if waiter.used < SLICE else 0.0)
        self.taken += 1
        self._last[waiter.key] = self.taken
        self._last.move_to_end(waiter.key)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        waiter.go.set()

    # -- waiting ---------------------------------------------------------------------------------------------------------

    def _wait(self, waiter: _Waiter, who: Asking | None, timeout: float | None, *, stays: bool = False) -> None:
        """Until the turn comes.

        Args:
            stays: inside a run: a cancelled thread does not leave, but waits for the turn to clean up.
        """
        begin, said, next_said = time.monotonic(), None, SAID_AFTER
        look_up = LOOK_UP if who is not None else timeout
        try:
            while not waiter.go.wait(look_up):
                past = time.monotonic() - begin
                if who is not None and who.cancel.is_set():
                    if not stays:
                        raise Cancelled(_("Stopped."))
                    waiter.rank = Rank.GONE  # it gets the turn with the next release
                if timeout is not None and past >= timeout:
                    break
                if who is not None and who.told is not None and past >= next_said and not who.cancel.is_set():
                    said, next_said = self._tell(waiter, who, said), past + SAID_EVERY
        except BaseException:
            if stays:
                waiter.rank = Rank.GONE
                waiter.go.wait()
            else:
                self._leave(waiter)
            raise
        finally:
            if said is not None and who is not None:
                who.say(None)
            if not waiter.paused:
                metrics.WAIT.seen(time.monotonic() - begin, kind=waiter.rank.name.lower())
        if not waiter.go.is_set():
            self._leave(waiter, stays_if_come=True)

    def _tell(self, waiter: _Waiter, who: Asking, said: int | None) -> int:
        with self._guard:
            place = self._place(waiter)
        if place != said:
            who.say(place)
        return place

    def _leave(self, waiter: _Waiter, *, stays_if_come: bool = False) -> None:
        """Stop waiting. If the turn has come just now, it is handed on, or kept (``stays_if_come``)."""
        with self._guard:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.go.is_set() and not stays_if_come:
                self._hand_on()


_all: WeakSet[Turns] = WeakSet()


def _queue() -> dict[str, float]:
    """How many threads wait, by rank, for all models together."""
    ranks = Counter(waiter.rank for turns in list(_all) for waiter in list(turns._waiting))
    return {rank.name.lower(): ranks[rank] for rank in (Rank.PAGE, Rank.LOOK, Rank.RUN)}


metrics.QUEUE.each(_queue)
