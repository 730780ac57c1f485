"""The softmax worked out: a table of tokens with every step from logit to probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.components import Component

__all__ = ["Facts", "Probabilities"]


class Facts(Component):
    """A few numbers that stand for themselves: what, how much, and what it means."""

    facts = param.List(default=[], doc="Triples of label, value and note, all texts.")

    _module = "probabilities/facts.js"
    _styles = "probabilities/probabilities.css"


class Probabilities(Component):
    """Rows of token, logit, logit - max, its power, and the probability; ``on_pick(id)`` is called for a clicked logit."""

    rows = param.List(
        default=[], doc="Dicts of id, token, rank (from 0), logit, shifted, power, p, and mark (searched for)."
    )
    others = param.Dict(default={}, doc="The tokens that are not listed: label, power, p; empty where all are listed.")
    total = param.Dict(default={}, doc="What stands in the heads of the columns: max and sum.")
    asks = param.Boolean(default=True, doc="Whether a logit can be asked for its why.")
    lights = param.List(default=[], doc="Ids of the tokens whose logit the open card is about.")
    words = param.Dict(default={}, doc="The texts.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "probabilities/probabilities.js"
    _styles = "probabilities/probabilities.css"

    def __init__(self, on_pick: Callable[[int], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_pick = on_pick

    def _handle_msg(self, data: Any) -> None:
        known = {row["id"] for row in self.rows}
        if self._on_pick is not None and isinstance(data, dict) and data.get("id") in known:
            self._on_pick(int(data["id"]))
