"""The browser side of the flow."""

from __future__ import annotations

from typing import Any

import param

from txpanel.toolkit.component import Component

__all__ = ["FlowPicture"]


class FlowPicture(Component):
    """The picture itself. Its parameters are what `txpanel.views.flow.data` builds; nothing else reaches the browser."""

    texts = param.Dict(
        default={}, doc="All words on screen, already translated; {name} places are filled in the browser."
    )
    anatomy = param.Dict(
        default={},
        doc="layers, heads (at most in a block), all_heads, width, vocab; of each block of_block (heads), names (of its mixer), wrote (names of "
        "what it adds) and closed (whether its mixer and MLP are not opened); first: what the first write is called.",
    )
    tokens = param.Dict(default={}, doc="`data.token_payload` of the window.")
    block = param.Dict(default={}, doc="`data.block_payload` of the chosen block.")
    head = param.Dict(default={}, doc="`data.head_payload` of the chosen head.")
    next = param.Dict(default={}, doc="`next_tokens.next_payload` of the chosen position.")
    odds = param.Dict(
        default={},
        doc="`next_tokens.odds_payload` of the same, a moment later: with it the browser follows a slider without the server.",
    )
    stages = param.List(
        default=[], doc="The declared stages of sampling, as `txpanel.decoding.stages.for_browser` gives them."
    )
    settings_key = param.String(
        default="", doc="Name of the state whose settings move the next tokens (``decoding/live_settings.js``)."
    )
    small = param.Dict(default={}, doc="`data.layer_payload` of the chosen block: thumbnails and labels.")
    writes = param.Dict(default={}, doc="Norms of what each block wrote to the chosen token: attn, mlp float32 [L].")
    grid_part = param.Dict(default={}, doc="`data.layer_payload` of one block for the overview of all heads.")
    query = param.Integer(default=0, doc="The chosen token.")
    key = param.Integer(default=0, doc="The chosen key.")
    lit = param.List(default=[], doc="Cells that the open card is about, the one in question first: name and at.")
    opened = param.String(default="", doc="The view that is open below, by its id.")
    openable = param.Dict(
        default={}, doc="Tensor name without block prefix -> id of the view that a click opens; others open nothing."
    )
    busy = param.String(default="", doc="What is being computed, in words; empty when nothing is.")

    _module = "main.js"
    _styles = "flow.css"

    def __init__(self, **params: Any) -> None:
        self.on_message: Any = None
        super().__init__(**params)

    def _handle_msg(self, msg: Any) -> None:
        if self.on_message is not None:
            self.on_message(msg)
