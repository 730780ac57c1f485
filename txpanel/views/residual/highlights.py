"""Where the cells that the open card is about stand on the residual view's curves over the layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from txpanel.toolkit.highlights import Cell
from txpanel.tracing.names import split_name
from txpanel.views.residual.data import STATISTICS
from txpanel.views.residual.logit_lens import lens_place

if TYPE_CHECKING:
    from txpanel.tracing import Trace

Places = dict[str, list[tuple[int, str]]]
WRITES = ("attn_out", "mixer_out", "block_out", "mlp_out")


FIRST = {"mixer_out": "attn_out", "block_out": "attn_out"}
"""What stands in the place of attention is drawn where attention is."""


def on_curves(trace: Trace, at: int, cells: Sequence[Cell]) -> Places:
    """For each picture (``writes``, ``cosines``, a statistic) the layers and series of the token at `at` that cells name."""
    found: Places = defaultdict(list)
    for name, index in cells:
        layer, own = split_name(name)
        part, _dot, kind = own.rpartition(".")
        part = FIRST.get(part, part)
        place = (trace.anatomy.n_layers if layer is None else layer, part)
        if index.get("token") != at or (layer is None and part != "ln_final"):
            continue
        if part in WRITES and kind in ("norm", "cosine"):
            found["writes" if kind == "norm" else "cosines"].append(place)
        elif kind in STATISTICS:
            found[kind].append(place)
    return found


def on_share(trace: Trace, at: int, choice: int, cells: Sequence[Cell]) -> list[int]:
    """Layers whose lens gives the final choice after the token at `at` the probability (or logit) that a cell names."""
    places = [(lens_place(trace, name), index) for name, index in cells if index.get("vocab") == choice]
    return [place[0] for place, _index in places if place is not None and place[1] == at]
