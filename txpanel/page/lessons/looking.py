"""What a step does to the page: where it looks, and what has to be measured before it can."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from txpanel.errors import TxpanelError
from txpanel.lessons.lesson import Step
from txpanel.lessons.placing import move
from txpanel.lessons.rendering import needs_measuring
from txpanel.lessons.situation import Situation
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
    """Looks beside the page for the heads that a step names.

    Args:
        done: called on the page's thread when they are found.
    """

    def __init__(self, done: Callable[[], object]) -> None:
        self._done = done
        self._worker: Any = None
        self._measured: Any = None  # the model whose heads were looked for last

    def begin(self) -> None:
        """The page is there."""
        self._worker = background(waited_for=True)

    def end(self) -> None:
        """The page is gone."""
        if self._worker is not None:
            self._worker.cancel()
        self._measured = None

    def needed(self, step: Step, here: Situation) -> bool:
        """Whether the step names heads of the model that have not been found yet; they are looked for then."""
        from txpanel.tracing.head_scores import head_scores, kept_scores  # late: torch; the page is painted before

        model = here.trace.model
        if model is None or not needs_measuring(step) or kept_scores(model) is not None or model is self._measured:
            return False

        def job(_cancel: object, publish: Callable[[Callable[[], object]], None]) -> None:
            with suppress(TxpanelError):  # there are no heads: the step leaves out what it says of them
                head_scores(model)
            self._measured = model
            publish(self._done)

        self._worker.submit(job)
        return model is not self._measured  # without a server it is done at once
