"""Dials: pairs of numbers that a rotary embedding turns, drawn as hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.toolkit.component import Component


class Dials(Component):
    """One dial per pair; ``on_pick(at)`` is called with the index of a clicked pair's first number."""

    dials = param.List(
        default=[], doc="Dicts of label, before [2], after [2], angle (radians), at (what a click reports)."
    )
    scale = param.Number(default=1.0, doc="Length of a pair that reaches the ring.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "rotary_dials.js"
    _styles = "rotary_dials.css"

    def __init__(self, on_pick: Callable[[int], None] | None = None, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", **params})
        self._on_pick = on_pick

    def show(self, dials: list[dict[str, Any]], scale: float) -> None:
        """Draw these pairs instead."""
        self.param.update(dials=dials, scale=scale, version=self.version + 1)

    def _handle_msg(self, data: Any) -> None:
        known = {dial["at"] for dial in self.dials}
        if self._on_pick is not None and isinstance(data, dict) and data.get("at") in known:
            self._on_pick(int(data["at"]))
