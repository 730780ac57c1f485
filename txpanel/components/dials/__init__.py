"""Dials: pairs of numbers that a rotary embedding turns, drawn as hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param

from txpanel.components import BASE_CSS, Component


class Dials(Component):
    """One dial per pair; ``on_pick(at)`` is called with the index of a clicked pair's first number."""

    dials = param.List(default=[], doc="Dicts of label, before [2], after [2], angle (radians), at (what a click reports).")
    scale = param.Number(default=1.0, doc="Length of a pair that reaches the ring.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "dials/dials.js"
    _stylesheets: ClassVar[list[str]] = [
        BASE_CSS
        + """
:host{display:block;width:100%;min-width:0} .dial-grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(74px,1fr));gap:6px}
.dial{display:grid;justify-items:center;background:none;border:0;border-radius:8px;padding:2px;cursor:pointer;font:inherit;color:inherit;line-height:1.25}
.dial:hover{background:var(--tx-sunken)} svg{width:64px;height:64px} .pair{font-size:11.5px;color:var(--tx-muted)} b{font-size:12px;font-weight:600;color:var(--tx-query-ink)}
.ring{fill:none;stroke:var(--tx-border)} .axis{stroke:var(--tx-border);stroke-dasharray:2 3;fill:none} .fan{fill:var(--tx-query);opacity:.16}
.before{stroke:var(--tx-lane);stroke-width:2;stroke-linecap:round} .after{stroke:var(--tx-query);stroke-width:2.5;stroke-linecap:round} .tip{fill:var(--tx-query)}
"""
    ]

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
