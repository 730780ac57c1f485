"""The tokenizer's pieces as a row that can be chosen from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.messages import _
from txpanel.toolkit.component import Component

ROOM = 120
"""Pieces shown at once; of a longer text those around the chosen one."""


class Pieces(Component):
    """Text, id and bytes of each token; ``on_pick(position)`` is called for a click."""

    pieces = param.List(
        default=[],
        doc="Dicts of at (position), id, text, bytes (hexadecimal), and of (characters, which part of them, of how many).",
    )
    chosen = param.Integer(default=0, doc="Position of the chosen token.")
    window = param.String(default="", doc="Says which part of a long text is shown.")
    words = param.Dict(default={}, doc="Translated texts of the component.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "pieces.js"
    _styles = "pieces.css"

    def __init__(self, on_pick: Callable[[int], None] | None = None, **params: Any) -> None:
        words = {
            "label": _("Tokens of the text"),
            "token": _("token"),
            "id": _("id"),
            "bytes": _("bytes"),
            "of": _("part {i} of {n} of “{text}”"),
        }
        super().__init__(words=words, **{"sizing_mode": "stretch_width", **params})
        self._on_pick = on_pick

    def show(self, pieces: list[dict[str, Any]], chosen: int) -> None:
        """Show these pieces, or a window of them around the chosen one."""
        start = max(0, min(chosen - ROOM // 2, len(pieces) - ROOM))
        part = pieces[start : start + ROOM]
        text = _("tokens {first} to {last} of {total}").format(
            first=start + 1, last=start + len(part), total=len(pieces)
        )
        self.param.update(
            pieces=part, chosen=chosen, window=text if len(part) < len(pieces) else "", version=self.version + 1
        )

    def _handle_msg(self, data: Any) -> None:
        known = {piece["at"] for piece in self.pieces}
        if self._on_pick is not None and isinstance(data, dict) and data.get("at") in known:
            self._on_pick(int(data["at"]))
