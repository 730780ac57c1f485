"""Looking into a block of a long text: the block is run again in a thread, and the page goes on meanwhile.

Of a short text that takes milliseconds, and the session's own thread does it at once. Of a long one it would hold up the pages of all
visitors, since one thread of the server works for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING

from txpanel.errors import TxpanelError
from txpanel.session.jobs import looked_into
from txpanel.session.worker import Dispatch, Worker

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace

AT_ONCE = 2e9
"""Floating point operations of a block that are done at once: about 50 ms of two cores."""


class Looks:
    """Replays the blocks whose tensors a session's views need, in a thread where that takes long.

    Args:
        dispatch: calls a function on the session's thread; None: everything is done at once.
        visitor: see `Worker`.
    """

    def __init__(self, dispatch: Dispatch | None, visitor: Hashable) -> None:
        self._worker = None if dispatch is None else Worker(dispatch, visitor=visitor)
        self._then: dict[Callable[[], object], None] = {}  # what to call when the blocks are there: in order, each once
        self._asked: tuple[int, frozenset[int]] | None = None  # uid of the run, and the blocks being replayed
        self._tried: tuple[int, frozenset[int]] | None = (
            None  # those that were replayed last, or failed: then the view shows the error
        )

    def ready(self, trace: Trace | None, layers: set[int], then: Callable[[], object]) -> bool:
        """Whether blocks can be looked into at once. If not, they are run again, and then ``then`` is called."""
        if self._worker is None or trace is None or trace.model is None or not trace.takes_long(AT_ONCE):
            return True
        wanted = trace.uid, frozenset(layers)
        if wanted == self._tried or all(trace.has_replayed(layer) for layer in layers):
            return True
        self._then[then] = None
        if wanted != self._asked:
            self._asked = wanted
            self._worker.submit(lambda cancel, publish: self._look(trace, sorted(layers), publish))
        return False

    def _look(self, trace: Trace, layers: list[int], publish: Dispatch) -> None:
        with suppress(TxpanelError):  # the view meets the same error, and shows it on its card
            for layer in layers:
                if not trace.has_replayed(layer):
                    trace.tensor(f"blocks.{layer}.{looked_into(trace.anatomy.blocks[layer])}")
        publish(self._came)

    def _came(self) -> None:
        self._tried, self._asked = self._asked, None
        waiting, self._then = list(self._then), {}
        for then in waiting:
            then()

    def close(self) -> None:
        """Cancels the work; nothing is called any more."""
        self._then.clear()
        if self._worker is not None:
            self._worker.cancel()
