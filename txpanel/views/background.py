"""What several views do the same way: slow work in a thread, parts built one after the other, a figure of a fixed height."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import panel as pn
from panel.io.document import unlocked
from panel.io.state import set_curdoc

from txpanel.compat.thread_handover import hand_over
from txpanel.models.turns import Rank
from txpanel.session.worker import Job, Worker
from txpanel.toolkit.waiting import Waiting


def background(*, waited_for: bool = False) -> Worker:
    """A worker thread for one view, whose results arrive on the session's own thread; without a server (notebook, script, test) work is done at once.

    Args:
        waited_for: whether its turns with the model come before the runs of others, as for the block in focus; not where all blocks are replayed.
    """
    left = _left.get()
    if left is not None:
        return _Leaving(left)
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        return Worker()

    waiting: deque[Callable[[], object]] = deque()  # in order, whatever the timers do

    def dispatch(result: Callable[[], object]) -> None:
        waiting.append(result)
        _soon(document, lambda: waiting.popleft()())

    rank = Rank.LOOK if waited_for else Rank.RUN
    return Worker(dispatch, visitor=getattr(document.session_context, "id", None), rank=rank)


_left: ContextVar[list[Job] | None] = ContextVar("txpanel_left", default=None)


class _Leaving(Worker):
    """Does not run its jobs but puts them into a list."""

    def __init__(self, jobs: list[Job]) -> None:
        super().__init__()
        self._jobs = jobs

    def submit(self, job: Job) -> None:
        self._jobs.append(job)


@contextmanager
def leaving() -> Iterator[list[Job]]:
    """Inside, views that are built do not start their slow work: it is put into the list that this yields."""
    jobs: list[Job] = []
    token = _left.set(jobs)
    try:
        yield jobs
    finally:
        _left.reset(token)


def plot(figure: Any, height: int) -> pn.pane.Bokeh:
    """A pane of a Bokeh figure: as wide as there is room, `height` pixels high."""
    figure.update(
        sizing_mode="stretch_width", height=height, background_fill_alpha=0, border_fill_alpha=0, outline_line_alpha=0
    )
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", height=height, margin=0)


def one_by_one(
    column: Any, rest: Sequence[Callable[[], Any]], said: str, guard: Callable[[Callable[[], object]], object]
) -> None:
    """Builds further parts of a column, each when the one before has come into sight: many figures at once block page and server.

    Args:
        column: with what comes first in it. rest: build one part each. said: text of the line below them until all are built.
        guard: calls a step and keeps its errors, such as a view's own.
    """
    document, left, first = pn.state.curdoc, list(rest), len(column)
    if document is None or document.session_context is None:
        column.extend([build() for build in left])
        return

    def step() -> None:
        stand = list(column)[: len(rest) - len(left) + first]  # without the line
        part = [left.pop(0)()]
        column[:] = [*stand, *part, *([more()] if left else [])]

    def more() -> Waiting:
        return Waiting(lambda: _soon(document, lambda: guard(step)), text=said, sizing_mode="stretch_width", margin=0)

    if left:
        column.append(more())


def _soon(document: Any, step: Callable[[], object]) -> None:
    """Calls a function on the session's thread, a moment from now and not before the page has loaded."""
    when_loaded(document, step, after=60)


def when_loaded(document: Any, step: Callable[[], object], *, after: int = 0) -> None:
    """Calls a function on the session's thread, not before the page has loaded.

    A change of a component while the browser still fetches the page would be lost: Panel postpones it, and it falls between
    the page and its connection.

    Args:
        after: milliseconds from now, at the earliest.
    """

    def call() -> None:
        with set_curdoc(document):
            if not pn.state.loaded:
                hand_over(document, call, after=60)
                return
            # Panel writes new figures to the browser in its own queue; what is not in it would overtake them and name
            # models that are unknown there.
            with unlocked():
                step()

    hand_over(document, call, after=after)
