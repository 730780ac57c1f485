"""The browser side of the "why this number" card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import param

from txpanel.toolkit.component import Component
from txpanel.views.why.words import words

PINNED = 2
"""Cards that may stand beside the one that follows the questions."""


class WhyCards(Component):
    """Draws the cards that `txpanel.views.why` describes; ``on_message`` gets what a person did, as a dict."""

    cards = param.List(default=[], doc="The cards, the current one first; see `txpanel.views.why.data.card`.")
    vectors = param.Array(
        default=np.zeros(0, np.float32), doc="Rows and columns of the matrix products, one after the other."
    )
    words = param.Dict(default={}, doc="Translated texts of the component.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "why.js"
    _styles = "why.css"

    def __init__(self, on_message: Callable[[dict[str, Any]], None] | None = None, **params: Any) -> None:
        super().__init__(words=words(), **{"sizing_mode": "stretch_width", **params})
        self._on_message = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(data)
