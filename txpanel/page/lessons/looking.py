"""What a step does to the page: where it looks, and what has to be measured before it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from txpanel.errors import Cancelled, TxpanelError
from txpanel.lessons.lesson import Step
from txpanel.lessons.placing import move
from txpanel.lessons.rendering import slow_values
from txpanel.lessons.situation import Situation
from txpanel.lessons.values import evaluate
from txpanel.views.background import background

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["Measuring", "look_at"]


def look_at(state: ModelState | None, step: Step, here: Situation, open_view: Callable[[str], None]) -> None:
    """Sets what the step asks for: places, settings, the view. Model and text are offered, never taken."""
    if state is None:
        return
    move(state, step.look, here)
    if step.look.open:
        open_view(step.look.open)


class Measuring:
    """Computes beside the page what takes long of the values that a step names.

    Args:
        done: called on the page's thread when they are there.
    """

    def __init__(self, done: Callable[[], object]) -> None:
        self._done = done
        self._worker: Any = None
        self._tried: tuple[int, Step] | None = None  # the run and the step whose values were computed last

    def begin(self) -> None:
        """The page is there."""
        self._worker = background(waited_for=True)

    def end(self) -> None:
        """The page is gone."""
        self.stop()
        self._tried = None

    def stop(self) -> None:
        """Nobody waits for it any more: the step or the lesson was left."""
        if self._worker is not None:
            self._worker.cancel()

    def needed(self, step: Step, here: Situation, *, settled: bool = False) -> bool:
        """Whether the step names values that are not there yet and take long; they are computed then.

        Args:
            settled: as `slow_values` takes it.
        """
        wanted = [] if (now := (here.trace.uid, step)) == self._tried else slow_values(step, here, settled=settled)
        if not wanted:
            return False

        def job(_cancel: object, publish: Callable[[Callable[[], object]], None]) -> None:
            for one in wanted:
                try:
                    evaluate(one, here)
                except Cancelled:  # the step was left
                    return
                except TxpanelError:  # there is none: the step leaves out what it says of it
                    continue
            self._tried = now
            publish(self._done)

        self._worker.submit(job)
        return now != self._tried  # without a server it is done at once
