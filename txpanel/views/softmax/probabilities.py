"""The softmax as a table: tokens with every step from logit to probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.toolkit.component import Component

__all__ = ["ALL", "OTHERS", "Facts", "Probabilities"]

OTHERS, ALL = -1, -2
"""In place of a token's id: all tokens that are not listed, and all tokens."""

STEPS = ("logits", "probs.shifted", "probs.exp", "probs")


class Facts(Component):
    """A few single numbers, each with a label and a note; ``on_pick(tensor)`` is called for a clicked one."""

    facts = param.List(default=[], doc="Texts: label, value, note, and which tensor it is.")
    lights = param.List(default=[], doc="Tensors that the open card is about.")
    why = param.String(default="", doc="What a click does.")

    _module = "facts.js"
    _styles = "probabilities.css"

    def __init__(self, on_pick: Callable[[str], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_pick = on_pick

    def _handle_msg(self, data: Any) -> None:
        tensor = data.get("tensor") if isinstance(data, dict) else None
        if self._on_pick is not None and tensor in [fact[3] for fact in self.facts]:
            self._on_pick(str(tensor))


class Probabilities(Component):
    """Rows of token, logit, logit - max, its power, and the probability; ``on_pick(id, tensor)`` is called for a clicked one."""

    rows = param.List(
        default=[], doc="Dicts of id, token, rank (from 0), logit, shifted, power, p, and mark (searched for)."
    )
    others = param.Dict(default={}, doc="The tokens that are not listed: label, power, p; empty where all are listed.")
    total = param.Dict(default={}, doc="What stands in the heads of the columns: max and sum.")
    lights = param.List(
        default=[], doc="What the open card is about: pairs of a token's id (`OTHERS`, `ALL`) and a tensor."
    )
    words = param.Dict(default={}, doc="The texts.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "probabilities.js"
    _styles = "probabilities.css"

    def __init__(self, on_pick: Callable[[int, str], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_pick = on_pick

    def _handle_msg(self, data: Any) -> None:
        known = {(row["id"], step) for row in self.rows for step in STEPS}
        known |= {(OTHERS, step) for step in STEPS[2:] if self.others} | {(ALL, "probs.sum")}
        one, tensor = (data.get("id"), data.get("tensor")) if isinstance(data, dict) else (None, None)
        if self._on_pick is not None and isinstance(one, int) and isinstance(tensor, str) and (one, tensor) in known:
            self._on_pick(one, tensor)
