"""A list of neurons with their numbers and the tokens that they point to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param

from txpanel.components import BASE_CSS, Component
from txpanel.messages import _


class NeuronList(Component):
    """One row per neuron; ``on_pick(neuron, part)`` is called for a number (its column) or for the row itself (``"focus"``)."""

    neurons = param.List(default=[], doc="Dicts of neuron, the columns' numbers, size, promotes and resists (pairs of token and product).")
    columns = param.List(default=[], doc="Pairs (key in `neurons`, label) of the numbers shown.")
    chosen = param.Integer(default=-1, doc="The neuron in focus.")
    words = param.Dict(default={}, doc="Translated texts of the component.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "neurons/neurons.js"
    _stylesheets: ClassVar[list[str]] = [
        BASE_CSS
        + """
:host{display:block;width:100%;min-width:0} .neuron-list{overflow-x:auto}
.grid{display:grid;grid-template-columns:max-content repeat(var(--columns),max-content) minmax(90px,130px) minmax(150px,1fr);gap:0 14px;min-width:0}
.line{display:grid;grid-template-columns:subgrid;grid-column:1/-1;align-items:center;padding:3px 6px;border-radius:7px} .line:not(.head):hover{background:var(--tx-sunken)}
.head{color:var(--tx-muted);font-size:12px;border-bottom:1px solid var(--tx-border);border-radius:0;margin-bottom:2px} .on{background:var(--tx-focus-soft)}
button{font:inherit;color:inherit;background:none;border:0;padding:0 2px;cursor:pointer;border-radius:4px} .name{font-weight:700;color:var(--tx-mlp-ink)} .num:hover,.name:hover{text-decoration:underline;text-underline-offset:3px}
.right{text-align:right} .none,.muted{color:var(--tx-muted)}
.size{position:relative;display:block;height:20px} .size i{position:absolute;left:0;top:4px;bottom:4px;border-radius:3px;background:var(--tx-mlp);opacity:.35} .size span{position:relative;padding-left:5px;font-size:12px}
.tokens{display:flex;flex-wrap:wrap;gap:3px 5px;align-items:center;font-size:12.5px}
.token{border-radius:5px;padding:0 5px;white-space:pre-wrap;overflow-wrap:anywhere;background:var(--tx-sunken);border:1px solid var(--tx-border)} .token.up{font-weight:600} .token.down{color:var(--tx-muted);background:none;border-style:dashed}
@media(max-width:640px){.grid{grid-template-columns:max-content repeat(var(--columns),max-content) minmax(60px,1fr);gap:0 10px} .tokens{grid-column:1/-1} .head .tokens{display:none}}
"""
    ]

    def __init__(self, on_pick: Callable[[int, str], None] | None = None, **params: Any) -> None:
        words = {
            "title": _("Neurons that write most"), "neuron": _("neuron"), "size": _("size of its write"), "promotes": _("points towards"), "why": _("why"),
            "not": _("away from"),
        }  # fmt: skip
        super().__init__(words=words, **{"sizing_mode": "stretch_width", **params})
        self._on_pick = on_pick

    def show(self, neurons: list[dict[str, Any]], columns: list[tuple[str, str]], chosen: int) -> None:
        """Show these neurons instead."""
        self.param.update(neurons=neurons, columns=[list(pair) for pair in columns], chosen=chosen, version=self.version + 1)

    def _handle_msg(self, data: Any) -> None:
        if self._on_pick is None or not isinstance(data, dict):
            return
        neuron, part = data.get("neuron"), data.get("part")
        if neuron in {row["neuron"] for row in self.neurons} and part in {"focus", *(key for key, _label in self.columns)}:
            self._on_pick(int(neuron), str(part))
