"""Warms the views up while the server is idle: imports, HoloViews' first rendering, the default run's numbers, which each cost once per process.

Each view is built once, without a page, on the default text of the model that the server begins with, and let go: on the event loop's own thread,
since HoloViews is made for one; one view at a time, and only while no page is being opened and no session is at work. Its numbers are computed
in a thread: those of all blocks take seconds, and somebody may come meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from txpanel.models.turns import Asking, Rank, asked_by
from txpanel.server import upkeep
from txpanel.server.work_budget import budget

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel
    from txpanel.session.worker import Job

__all__ = ["IdleTime", "builds"]

log = logging.getLogger(__name__)

QUIET = 2.5
"""The server counts as idle when no page was requested, closed or at work for so many seconds."""
PAUSE = 0.25
"""Seconds between two checks, and after each piece of work."""
GIVE_UP = 600.0
"""Seconds after which what is left is dropped, where the server was never idle."""


class IdleTime:
    """Does pieces of work, one after the other, while the server is idle. If a piece returns a thread, the next one waits for its end.

    Args:
        later: calls a function on the event loop's thread, so many seconds from now.
        idle: whether nobody waits for anything.
    """

    def __init__(
        self, later: Callable[[float, Callable[[], None]], object], idle: Callable[[], bool] | None = None
    ) -> None:
        self._later, self._idle = later, idle or _nobody_waits
        self._steps: Iterator[Callable[[], object]] = iter(())
        self._thread: threading.Thread | None = None
        self._until = 0.0

    def begin(self, steps: Iterator[Callable[[], object]]) -> None:
        """Does these from now on; may be called from any thread."""
        self._steps, self._until = steps, time.monotonic() + GIVE_UP
        self._later(PAUSE, self._look)

    def _look(self) -> None:
        if time.monotonic() > self._until:
            return
        if self._idle() and not (self._thread is not None and self._thread.is_alive()):
            step = next(self._steps, None)
            if step is None:
                return
            try:
                done = step()
                self._thread = done if isinstance(done, threading.Thread) else None
            except Exception:
                log.exception("something that was done in idle time failed")
        self._later(PAUSE, self._look)


def _nobody_waits() -> bool:
    return min(upkeep.calm_for(), budget.calm_for()) >= QUIET


def builds(model: LanguageModel, text: str) -> Iterator[Callable[[], object]]:
    """Builds each view that is installed once, on a model's run on a text, and lets it go."""
    # late: torch; the page is painted before it is imported
    from txpanel.page.frames import parts
    from txpanel.session.shared import shared_trace
    from txpanel.session.state import ModelState
    from txpanel.views.background import leaving

    state = ModelState(trace=shared_trace(model, text))

    def build(part: Any) -> object:
        if part.frame.failed:
            return None
        with leaving() as jobs:
            part.frame.build()
        thread = threading.Thread(target=_compute, args=(jobs,), name="txpanel-idle-time", daemon=True)
        thread.start()
        return thread

    for part in parts(state):
        if part.frame.origin:  # of another package: nobody knows what building it costs
            part.frame.close()
            continue
        yield lambda part=part: build(part)  # type: ignore[misc]
        yield part.frame.close
    yield state.close


def _compute(jobs: list[Job]) -> None:
    """Runs jobs in no session's name: visitors' turns with the model come first."""
    with asked_by(Asking("idle time", rank=Rank.RUN)):
        for job in jobs:
            try:
                job(threading.Event(), lambda _result: None)
            except Exception:
                log.exception("numbers that were computed in idle time failed")
