"""What stands in the place of something that is being built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.toolkit.component import Component

__all__ = ["Waiting"]


class Waiting(Component):
    """A quiet line where something is being built.

    Args:
        on_stand: called once, when the browser has it, and with that what was put on the page before it. What is put into a
            box that the browser is still building would be lost.
    """

    text = param.String(default="", doc="What is being built, in words; empty: nothing is shown.")
    gives_way = param.Boolean(default=False, doc="Whether it goes by itself when something else stands beside it.")

    _module = "waiting.js"
    _styles = "waiting.css"

    def __init__(self, on_stand: Callable[[], object] | None = None, **params: Any) -> None:
        self._on_stand = on_stand
        super().__init__(**params)

    def _handle_msg(self, data: Any) -> None:
        told, self._on_stand = self._on_stand, None
        if told is not None:
            told()
