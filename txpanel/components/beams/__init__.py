"""The tree of a beam search: a column for each step, the best on top, and what became of each continuation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.components import Component

__all__ = ["BeamTree"]


class BeamTree(Component):
    """Draws a beam search and asks for one; ``on_message(kind, data)`` hears ``"search"`` (beams, tokens, penalty) and ``"stop"``.

    Nothing is computed here: every number comes with `tree`.
    """

    tree = param.Dict(
        default={},
        doc="beams, looked_at, penalty; nodes: [parent, step, name, log-probability, score, state, lived_until] each; "
        "hypotheses: {name, score, node}, best first. Empty: nothing was searched yet.",
    )
    status = param.Dict(default={}, doc="busy, text (how far, or what went wrong).")
    words = param.Dict(default={}, doc="The texts.")

    _module = "beams/beams.js"
    _styles = "beams/beams.css"

    def __init__(self, on_message: Callable[[str, dict[str, Any]], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(str(data.get("kind")), data)
