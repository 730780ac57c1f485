"""The browser side of the "why this number" card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import param

from txpanel.messages import _
from txpanel.toolkit.component import Component

PINNED = 2
"""Cards that may stand beside the one that follows the questions."""


def words() -> dict[str, str]:
    """Every text that the component itself writes, translated."""
    return {
        "title": _("why this number"),
        "pinned": _("pinned"),
        "empty": _(
            "Click any number of any picture: here you see how it was computed, from which numbers, down to the weights."
        ),
        "back": _("Back to the question before"),
        "forward": _("Forward again"),
        "copy": _("Copy"),
        "copy_long": _("Copy this value with all its digits"),
        "copied": _("Copied"),
        "pin": _("Pin"),
        "pin_long": _("Pin this card, so that it stays beside the next one"),
        "close": _("Close this card"),
        "unpin": _("Unpin"),
        "unpin_long": _("Unpin: take this card away"),
        "path": _("Questions so far"),
        "why": _("Why"),
        "formula": _("Formula"),
        "operand": _("operand, largest first"),
        "value": _("value"),
        "running": _("running sum"),
        "play": _("Play"),
        "pause": _("Pause"),
        "replay": _("Play from the start"),
        "step": _("step"),
        "step_of": _("Step of the product"),
        "step_back": _("One step back"),
        "step_on": _("One step on"),
        "to_end": _("To the end"),
        "from_zero": _("The sum starts at 0."),
        "from_bias": _("The sum starts at the bias:"),
        "feeds": _("What does this feed?"),
    }


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
