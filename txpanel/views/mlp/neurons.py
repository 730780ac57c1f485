"""A list of neurons with their numbers and the tokens that they point to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.messages import _
from txpanel.toolkit.component import Component


class NeuronList(Component):
    """One row per neuron.

    ``on_pick(neuron, part)`` is called for a number (its column) or for the row itself (``"focus"``), ``on_token(id)`` for a token.
    """

    neurons = param.List(
        default=[],
        doc="Dicts of neuron, the columns' numbers, size, promotes and resists (triples of token, product and id).",
    )
    columns = param.List(default=[], doc="Pairs (key in `neurons`, label) of the numbers shown.")
    sizes = param.Boolean(default=False, doc="Whether the size of a write can be asked for.")
    chosen = param.Integer(default=-1, doc="The neuron in focus.")
    lights = param.List(default=[], doc="Pairs (neuron, column) of the numbers that the open card is about.")
    words = param.Dict(default={}, doc="Translated texts of the component.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "neurons.js"
    _styles = "neurons.css"

    def __init__(
        self,
        on_pick: Callable[[int, str], None] | None = None,
        on_token: Callable[[int], None] | None = None,
        **params: Any,
    ) -> None:
        words = {
            "title": _("Neurons with the largest outputs"), "neuron": _("neuron"), "size": _("norm of its output"),
            "promotes": _("promotes"), "why": _("why this number?"),
            "not": _("suppresses"), "logit": _("why this logit?"),
        }  # fmt: skip
        super().__init__(words=words, **{"sizing_mode": "stretch_width", **params})
        self._on_pick, self._on_token = on_pick, on_token

    def show(
        self, neurons: list[dict[str, Any]], columns: list[tuple[str, str]], chosen: int, *, sizes: bool = False
    ) -> None:
        """Show these neurons instead; `sizes`: the size of a write can be asked for."""
        shown = [list(pair) for pair in columns]
        self.param.update(neurons=neurons, columns=shown, sizes=sizes, chosen=chosen, version=self.version + 1)

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        token = data.get("token")
        if self._on_token is not None and isinstance(token, int) and token in self._tokens():
            self._on_token(token)
            return
        if self._on_pick is None:
            return
        neuron, part = data.get("neuron"), data.get("part")
        parts = {"focus", *(key for key, _label in self.columns), *(["size"] if self.sizes else [])}
        if isinstance(neuron, int) and neuron in {row["neuron"] for row in self.neurons} and part in parts:
            self._on_pick(int(neuron), str(part))

    def _tokens(self) -> set[int]:
        """Ids of all tokens on the list."""
        return {int(token[2]) for row in self.neurons for token in (*row["promotes"], *row["resists"])}
