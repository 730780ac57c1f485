"""The memory of a server: free memory is given back to the system, and all runs are dropped when no session is open any more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from txpanel.compat import kept_connections, late_collection
from txpanel.compat.given_back import give_back, not_in_use, resident
from txpanel.models import metrics, needs
from txpanel.models.environment import replaced, wrong
from txpanel.models.memory import MEMORY, cap
from txpanel.server.garbage_collection import FullCollections

__all__ = ["begun", "ended", "open_sessions", "start"]

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two checks."""
ALONE = 10.0
"""Seconds without a session after which all runs are dropped: after a mere reload of the page they are still there."""
MUCH, RARELY = 32_000_000, 2.0
"""Bytes by which the free memory that the process still holds must have grown before it is given back, and least seconds between: it stops all
threads for 0.2 to 0.7 ms a MB, and memory that is needed next has to come from the system again.

The size of the stores says too little about it: most free memory was used by a pass or a picture and never stored; with five seconds between two
checks of what the stores dropped, 200 MB came and went. Separate mappings for all large blocks (``M_MMAP_THRESHOLD``) left 50, but every pass of
the model took a fifth to a third longer.
"""

CONNECTIONS = 8
"""One part in so many of the cap may hold frames that browsers have not acknowledged (`txpanel.compat.kept_connections`)."""

HOLES = 10
"""One part in so many of the cap is reserved for heap fragmentation: kept tensors are of all sizes, and a new one seldom fits where another was.
Without it ten sessions that opened every view took up to 1,323 MB beside the model, where 1,000 are allowed and 1,250 are tolerated."""

AGAIN = 3
"""Checks at which all is dropped, one after the other: the last pages are still being closed."""

_guard = threading.Lock()
_open = 0
_changed = time.monotonic()
_started = threading.Event()


def begun() -> None:
    """A session has begun."""
    _count(1)


def ended() -> None:
    """A session has ended."""
    _count(-1)


def open_sessions() -> int:
    """Sessions that have not ended."""
    return _open


def calm_for() -> float:
    """Seconds since a session last began or ended."""
    return time.monotonic() - _changed


def _count(more: int) -> None:
    global _open, _changed
    with _guard:
        _open, _changed = _open + more, time.monotonic()


def start() -> None:
    """For the process of a server: says which variables are replaced or make no sense, and looks after its memory from now on."""
    if not _started.is_set():
        _started.set()
        MEMORY.reserved = lambda: needs.FRESH * open_sessions() + kept_connections.held() + cap() // HOLES
        kept_connections.bound(lambda: cap() // CONNECTIONS)
        metrics.HELD.each(lambda: {**MEMORY.held(), "connections": kept_connections.held()})
        for text in [*replaced(), *wrong()]:
            log.warning(text)
        threading.Thread(target=_keep_up, name="txpanel-upkeep", daemon=True).start()


def _keep_up() -> None:
    full_collections = FullCollections()
    full_collections.begin(time.monotonic())
    late_collection.heard_by(full_collections.ended)
    upkeep = Upkeep(_renew, full_collections)
    while True:
        time.sleep(EVERY)
        try:
            now = time.monotonic()
            upkeep.look(open_sessions(), now - _changed, now)
        except Exception:
            log.exception("memory could not be given back")


def _renew() -> None:
    """Runs the default texts again, for the next visitor."""
    from txpanel.session.prepared_runs import renew  # late: torch; this runs from the server's start on

    renew()


class Upkeep:
    """Decides at each check what there is to do.

    Args:
        renew: is called when all was dropped. full_collections: decides about garbage collection.
    """

    def __init__(
        self, renew: Callable[[], object] = lambda: None, full_collections: FullCollections | None = None
    ) -> None:
        self._renew, self._full_collections = (
            renew,
            full_collections if full_collections is not None else FullCollections(),
        )
        self._given = 0.0
        self._least: int | None = None
        self._left = 0  # how often all is still to be dropped; 0: it was, and no session has begun since
        self._seen()

    def look(self, sessions: int, since: float, now: float) -> None:
        """One check.

        Args:
            sessions: that are open. since: seconds since one began or ended. now: by a clock that only goes forward.
        """
        if sessions > 0:
            self._left = AGAIN
        if sessions == 0 and self._left and since >= ALONE:
            self._left -= 1
            MEMORY.clear()
            self._full_collections.now(now)
            self._give_back(now)
            self._renew()
            return
        self._full_collections.look(sessions, now)
        if now - self._given >= RARELY and self._worth_it():
            self._give_back(now)

    def _worth_it(self) -> bool:
        """Whether there is much to give back. The C library is only asked where something has changed."""
        if (resident() or 0) - self._there < MUCH // 2 and MEMORY.dropped - self._dropped < MUCH // 2:
            return False
        found = not_in_use()
        if found is None or self._least is None:  # it can't say: at least what was let go is free
            return MEMORY.dropped - self._dropped >= MUCH
        self._least = min(self._least, found)
        return found - self._least >= MUCH

    def _give_back(self, now: float) -> None:
        self._given = now
        give_back()
        self._seen()

    def _seen(self) -> None:
        """Growth is counted from here on."""
        self._dropped, self._there, self._least = MEMORY.dropped, resident() or 0, not_in_use()
