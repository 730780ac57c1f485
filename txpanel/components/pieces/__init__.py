"""The tokenizer's pieces as a row that can be chosen from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param

from txpanel.components import BASE_CSS, Component
from txpanel.messages import _

ROOM = 120
"""Pieces shown at once; of a longer text those around the chosen one."""


class Pieces(Component):
    """Text, id and bytes of each token; ``on_pick(position)`` is called for a click."""

    pieces = param.List(default=[], doc="Dicts of at (position), id, text, bytes (hexadecimal).")
    chosen = param.Integer(default=0, doc="Position of the chosen token.")
    window = param.String(default="", doc="Says which part of a long text is shown.")
    words = param.Dict(default={}, doc="Translated texts of the component.")
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "pieces/pieces.js"
    _stylesheets: ClassVar[list[str]] = [
        BASE_CSS
        + """
:host{display:block;width:100%;min-width:0} .piece-row{display:flex;flex-wrap:wrap;gap:6px} .window{color:var(--tx-muted);font-size:12px;margin:8px 0 0}
.piece{position:relative;display:grid;gap:1px;justify-items:center;border:1px solid var(--tx-border);border-radius:9px;background:var(--tx-surface);padding:4px 10px 5px;cursor:pointer;min-width:52px;max-width:220px}
.piece:hover{border-color:var(--tx-focus)} .piece.on{border-color:var(--tx-focus);background:var(--tx-focus-soft);box-shadow:0 0 0 1px var(--tx-focus)}
.text{font-size:14px;font-weight:600;white-space:pre-wrap;overflow-wrap:anywhere;max-width:100%} .on .text{color:var(--tx-focus-ink)}
.id{font-size:12px;color:var(--tx-soft)} .bytes{font:10.5px ui-monospace,Menlo,"DejaVu Sans Mono",monospace;color:var(--tx-muted);max-width:190px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.on .bytes,.on .at{color:var(--tx-soft)} .at{position:absolute;top:1px;right:5px;font-size:9.5px;color:var(--tx-muted)}
"""
    ]

    def __init__(self, on_pick: Callable[[int], None] | None = None, **params: Any) -> None:
        words = {"label": _("Tokens of the text"), "token": _("token"), "id": _("id"), "bytes": _("bytes")}
        super().__init__(words=words, **{"sizing_mode": "stretch_width", **params})
        self._on_pick = on_pick

    def show(self, pieces: list[dict[str, Any]], chosen: int) -> None:
        """Show these pieces, or a window of them around the chosen one."""
        start = max(0, min(chosen - ROOM // 2, len(pieces) - ROOM))
        part = pieces[start : start + ROOM]
        text = _("tokens {first} to {last} of {total}").format(first=start, last=start + len(part) - 1, total=len(pieces))
        self.param.update(pieces=part, chosen=chosen, window=text if len(part) < len(pieces) else "", version=self.version + 1)

    def _handle_msg(self, data: Any) -> None:
        known = {piece["at"] for piece in self.pieces}
        if self._on_pick is not None and isinstance(data, dict) and data.get("at") in known:
            self._on_pick(int(data["at"]))
