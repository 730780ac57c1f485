"""The picture of one tensor of one head, with title, legend and tools, before it is fed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from txpanel.toolkit.card import Legend, Table, aligned, picture, provenance
from txpanel.toolkit.heatmap import Heatmap


def head_picture(
    state: Any, part: str, heat: Heatmap, legend: Legend, table: Callable[[], Table], head: Callable[[], int]
) -> Any:
    """A Column as `picture` makes it, fit for a `row`.

    Args:
        state: whose block is shown. part: of the block's tensors, such as ``pattern``; files are called so. heat: its figure.
        table: its numbers. head: which one is shown now.
    """
    plot = pn.pane.Bokeh(heat.figure, sizing_mode="stretch_width", margin=0)

    def source() -> dict[str, str]:
        return provenance(state, f"blocks.{state.layer}.{part}[{head()}]")

    return aligned(picture(" ", "", plot, legend=legend, table=table, name=part, source=source))
