"""The picture of the logit lens: which token is the most likely after each block."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.heatmap import Axis, Heatmap
from txpanel.toolkit.palette import Scale
from txpanel.tracing.graph.derived import LENS

if TYPE_CHECKING:
    from txpanel.tracing import Trace
    from txpanel.views.residual.data import Lens


def lens_place(trace: Trace, name: str) -> tuple[int, int] | None:
    """Layer and token of a tensor of probabilities or logits; None for all others."""
    layer, token = trace.anatomy.n_layers, trace.answer
    if found := LENS.fullmatch(name):
        layer, token = int(found[1]), int(found[2] or -1)
    if not 0 <= token < len(trace.tokens) or layer > trace.anatomy.n_layers:
        return None
    return (layer, token) if name in (trace.lens_name(layer, token, own) for own in ("probs", "logits")) else None


def lens_cell(trace: Trace, found: Lens, name: str, index: Mapping[str, int]) -> tuple[int, int] | None:
    """Where a probability or logit stands in the picture: the cell of its layer and token, if it names the same token there."""
    place = lens_place(trace, name) if "vocab" in index else None
    if place is None or place[1] not in found.positions:
        return None
    return place if found.ids[place[0], place[1] - found.positions[0]] == index["vocab"] else None


class LensGrid(Heatmap):
    """A heat map of probabilities whose cells say which token is the likeliest."""

    CUT = True
    words: list[list[str]]
    """The token of each cell, set before `feed`."""

    def show(self, trace: Trace, found: Lens) -> None:
        """Another lens: a row before each block, and the model's answer below them."""
        layers = trace.anatomy.n_layers
        self.words = found.strings
        self.feed(
            found.top,
            Axis([*(_("before {n}").format(n=i + 1) for i in range(layers)), _("output")]),
            Axis([trace.tokens.strings[i].strip() or "␣" for i in found.positions], found.positions[0]),
            scale=Scale.of("probability"),
            name="lens({r}, {c})",
            cell="{r} · {c}",
            room=(layers + 1, len(found.positions)),
            at=partial(lens_cell, trace, found),
        )

    def _numbers(self) -> None:
        rows, columns = self.values.shape
        room = max(3, 84 // max(1, columns))
        at = [(r, c) for r, c in np.ndindex(rows, columns)] if len(getattr(self, "words", [])) == rows else []
        texts = [self.words[r][c].replace(" ", "␣") for r, c in at]
        self.cells.feed(
            [self.columns.start + c for _r, c in at],
            [self.rows.start + r for r, _c in at],
            [t if len(t) <= room else t[: room - 1] + "…" for t in texts],
            self.scale.inks([float(self.values[cell]) for cell in at]),
        )
