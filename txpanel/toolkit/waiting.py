"""The line that says what is being built, in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.toolkit.component import Component

__all__ = ["Waiting"]


class Waiting(Component):
    """A line of text where something is being built.

    Args:
        on_shown: called once, when the line comes into sight. All that was put on the page before it has been drawn by then.
            So parts below the screen are built when they are scrolled to, and none is added to a layout that the browser
            is still building, where it would be lost.
    """

    text = param.String(default="", doc="What is being built, in words; empty: nothing is shown.")
    gives_way = param.Boolean(
        default=False, doc="Whether the browser hides it as soon as something else is shown beside it."
    )

    _module = "waiting.js"
    _styles = "waiting.css"
    _browser_sets = ("text",)

    def __init__(self, on_shown: Callable[[], object] | None = None, **params: Any) -> None:
        self._on_shown = on_shown
        super().__init__(**params)

    def _handle_msg(self, data: Any) -> None:
        call, self._on_shown = self._on_shown, None
        if call is not None:
            call()
