"""The browser side of the "why this number" card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import param
from panel.custom import JSComponent

from txpanel.toolkit.component import BASE_CSS
from txpanel.toolkit.vector_strips import PAINT
from txpanel.views.why.words import words

_HERE = Path(__file__).parent
PINNED = 2
"""Cards that may stand beside the one that follows the questions."""


class WhyCards(JSComponent):
    """Draws the cards that `txpanel.views.why` describes; ``on_message`` gets what a person did, as a dict."""

    cards = param.List(default=[], doc="The cards, the current one first; see `txpanel.views.why.data.card`.")
    vectors = param.Array(
        default=np.zeros(0, np.float32), doc="Rows and columns of the matrix products, one after the other."
    )
    words = param.Dict(default={}, doc="Translated texts of the component.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _esm = PAINT + (_HERE / "why.js").read_text(encoding="utf-8")
    _stylesheets: ClassVar[list[str]] = [BASE_CSS, (_HERE / "why.css").read_text(encoding="utf-8")]

    def __init__(self, on_message: Callable[[dict[str, Any]], None] | None = None, **params: Any) -> None:
        super().__init__(words=words(), **{"sizing_mode": "stretch_width", **params})
        self._on_message = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(data)
