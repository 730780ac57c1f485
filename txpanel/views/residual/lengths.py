"""The picture of the norms of the residual stream: before each block, for every token."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.figure_code import CODES
from txpanel.toolkit.heatmap import Axis, Heatmap
from txpanel.toolkit.palette import Scale
from txpanel.tracing.names import split_name

WIDE = 40
"""Tokens side by side, at most: those around the chosen one."""


def stream_name(layers: int, layer: int) -> str:
    """The stream before a block; at `layers`, what comes out of the last."""
    return f"blocks.{layer}.resid_pre" if layer < layers else f"blocks.{layers - 1}.resid_post"


def place_of(layers: int, name: str, index: Mapping[str, int]) -> tuple[int, int] | None:
    """Where the stream that a cell belongs to stands in the picture."""
    name = name.removesuffix(".norm")
    layer, part = split_name(name)
    if layer is not None and part == "resid_pre":
        return layer, index["token"]
    return (layers, index["token"]) if name == stream_name(layers, layers) else None


class Sizes(Heatmap):
    """A heat map of norms, one row before each block and one after the last."""

    def show(self, size: np.ndarray, tokens: list[str], at: int) -> tuple[Scale, float]:
        """Shows other norms ``[L + 1, T]``, around the token `at`; returns the scale and the largest norm shown."""
        start = max(0, min(at - WIDE // 2, len(tokens) - WIDE))
        shown, layers = size[:, start : start + WIDE], len(size) - 1
        # the first token is often an attention sink, with a norm a hundred times as large
        others = shown[:, 1:] if shown.shape[1] > 1 else shown
        scale = Scale("magnitude", 0.0, float(np.quantile(others, 0.98)) or 1.0)
        self.feed(
            shown,
            Axis([*(str(i + 1) for i in range(layers)), _("end")]),
            Axis([t.strip() or "␣" for t in tokens[start : start + WIDE]], start),
            scale=scale,
            cell=_("block {r}, token {c}"),
            room=(16, 24),
            at=partial(place_of, layers),
        )
        self.place.code, self.place.args = CODES["stream-name"].text, {"blocks": layers}
        return scale, float(shown.max())
