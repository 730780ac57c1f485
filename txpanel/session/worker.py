"""One thread per session for slow work: one job runs, and of those that wait only the newest is kept.

Typing ten characters asks for ten forward passes; only the first and the last are run. The thread ends when nothing waits, so an idle
session costs nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from txpanel.errors import Cancelled
from txpanel.messages import same_language
from txpanel.models.turns import SAID_AFTER, Asking, Rank, asked_by

logger = logging.getLogger(__name__)
Dispatch = Callable[[Callable[[], object]], None]


SAID_EVERY = 0.5
"""Seconds between two reports of how far a text is read."""


class Job(Protocol):
    """What a worker runs: it checks ``cancel`` between its steps and hands results to ``publish``."""

    def __call__(self, cancel: threading.Event, publish: Dispatch) -> None:
        """Do the work."""


@dataclass(eq=False)
class Ticket:
    """One request: whether it is still wanted."""

    job: Job
    cancel: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Runs jobs one at a time, newest wins.

    Args:
        dispatch: gets a function and calls it where results may be used: on the session's thread. ``None`` runs jobs at
            once in the caller's thread, and ``submit`` returns when they are done.
        visitor: for whom; all workers of one visitor share his turns with a model.
        waits: called through ``dispatch`` with the job's place in the queue for a model; None when it has its turn.
        reads: called with how far the model has read a text, from 0 to 1, where that takes long.
        rank: priority of its turns with a model when it replays blocks, see `Asking`.
    """

    def __init__(
        self,
        dispatch: Dispatch | None = None,
        *,
        visitor: Hashable = None,
        waits: Callable[[int | None], object] | None = None,
        reads: Callable[[float], object] | None = None,
        rank: Rank = Rank.LOOK,
    ) -> None:
        self._dispatch = dispatch
        self._visitor = id(self) if visitor is None else visitor
        self._waits, self._reads, self._rank = waits, reads, rank
        self._guard = threading.Lock()
        self._newest: Ticket | None = None  # waiting, running, or done with results not yet dispatched
        self._waiting: Ticket | None = None
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._guard:
            return self._thread is None

    def submit(self, job: Job) -> None:
        """Run a job soon. The one before is asked to stop and its further results are dropped.

        Raises:
            RuntimeError: no thread could be started for it; the next job tries again.
        """
        ticket = Ticket(job)
        with self._guard:
            self._supersede(ticket)
            if self._dispatch is not None:
                self._waiting = ticket
                if self._thread is None:
                    self._thread = self._started()
        if self._dispatch is None:
            job(ticket.cancel, self._publisher(ticket))

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=same_language(self._work), name="txpanel-worker", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            self._waiting = None
            raise
        return thread

    def cancel(self) -> None:
        """Ask the running job to stop and forget the waiting one; nothing of either is published any more."""
        with self._guard:
            self._supersede(None)
            self._waiting = None

    def _supersede(self, ticket: Ticket | None) -> None:
        if self._newest is not None:
            self._newest.cancel.set()
        self._newest = ticket

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing runs and nothing waits (for tests and scripts). Returns whether that is so."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return self.idle

    def _work(self) -> None:
        while True:
            with self._guard:
                ticket, self._waiting = self._waiting, None
                if ticket is None:
                    self._thread = None
                    return
            try:
                with asked_by(self._asking(ticket)):
                    ticket.job(ticket.cancel, self._publisher(ticket))
            except Cancelled:
                pass
            except (
                BaseException
            ):  # jobs handle their own errors; one that does not, or a SystemExit, must not stop the next
                logger.exception("a job of the worker failed")

    def _asking(self, ticket: Ticket) -> Asking:
        """For whom the thread works; what it hears of the model's queue is dispatched as results are."""
        publish, waits, reads = self._publisher(ticket), self._waits, self._reads
        begun = said = 0.0

        def read(part: float) -> None:
            nonlocal begun, said
            now = time.monotonic()
            if part == 0:
                begun = said = now
            elif reads is not None and now - begun >= SAID_AFTER and now - said >= SAID_EVERY:
                said = now
                publish(lambda: reads(part))

        def told(place: int | None) -> None:
            if waits is not None:
                publish(lambda: waits(place))

        return Asking(self._visitor, ticket.cancel, told, read, self._rank)

    def _publisher(self, ticket: Ticket) -> Dispatch:
        """`publish` of one job. Results of a cancelled job are dropped, even after they were dispatched."""

        def wanted(result: Callable[[], object]) -> None:
            if not ticket.cancel.is_set():
                result()

        def publish(result: Callable[[], object]) -> None:
            if ticket.cancel.is_set():
                return
            if self._dispatch is None:
                result()
            else:
                self._dispatch(lambda: wanted(result))

        return publish


def immediately(result: Callable[[], object]) -> None:
    """A dispatch for tests: results are used in the worker's own thread."""
    result()
