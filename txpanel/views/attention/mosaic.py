"""All heads of a block as thumbnails, and the thumbnails in one matrix."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from txpanel.errors import Cancelled
from txpanel.views.heads import allowed, label_head, pool

__all__ = ["Heads", "Mosaic", "heads", "mosaic"]

Floats = npt.NDArray[np.float32]

THUMBNAIL = 32
"""Rows and columns of a head's thumbnail; longer texts are max-pooled."""


@dataclass(frozen=True)
class Heads:
    """All heads of a block as thumbnails.

    Attributes:
        maps: float32 [H, S, S], max-pooled where ``step > 1``; NaN where the mask allows none of the cell's queries any of its keys.
        step: how many tokens a row or column stands for, at most.
        labels, shares: what each head does on this text, and how clearly.
    """

    maps: Floats
    step: int
    labels: tuple[str, ...]
    shares: tuple[float, ...]


def heads(trace: Any, layer: int, side: int = THUMBNAIL, cancel: threading.Event | None = None) -> Heads:
    """Thumbnails and labels of all heads of a block; one head's map at a time is held in full.

    Raises:
        Cancelled: ``cancel`` was set between two heads.
    """
    total = len(trace.tokens.ids)
    size = min(side, total)
    maps, labels = [], []
    for head in range(trace.anatomy.blocks[layer].n_heads):
        if cancel is not None and cancel.is_set():
            raise Cancelled
        pattern = np.asarray(trace.head_map(layer, head, "pattern"), np.float32)
        labels.append(label_head(pattern, trace.tokens.ids))
        may = pool(allowed(trace, layer, head).astype(np.float32), size) > 0
        maps.append(np.where(may, pool(pattern, size), np.float32(np.nan)))
    return Heads(
        np.stack(maps), -(-total // size), tuple(label for label, _ in labels), tuple(share for _, share in labels)
    )


@dataclass(frozen=True)
class Mosaic:
    """All thumbnails of a block in one matrix.

    Attributes:
        values: float32 [rows, columns]; NaN between the thumbnails.
        corners: (row, column) of each head's first cell. side: rows and columns of a thumbnail.
        cell: pixels of a cell where there is room. below: rows kept free under each thumbnail for its label.
    """

    values: Floats
    corners: tuple[tuple[int, int], ...]
    side: int
    cell: float
    below: int

    def at(self, row: int, column: int) -> int | None:
        """The head at a cell, its label below it included; None between heads."""
        for head, (top, left) in enumerate(self.corners):
            if top <= row < top + self.side + self.below and left <= column < left + self.side:
                return head
        return None


def mosaic(maps: Floats, group: int, across: int = 16, room: int = 960) -> Mosaic:
    """Thumbnails side by side, those that share k and v closer together.

    Args:
        maps: float32 [H, S, S]. group: heads that share one k and v. across: most thumbnails in a row. room: pixels for a row.
    """
    count, side = len(maps), maps.shape[1]
    near, far = (
        max(1, round(0.16 * side)),
        max(2, round(0.5 * side)) if 1 < group < count else max(1, round(0.16 * side)),
    )
    across = min(count, max(group, across // group * group) if group <= across else across)
    lefts = [c * side + sum(far if i % group == 0 else near for i in range(1, c + 1)) for c in range(across)]
    cell = min(room / (lefts[-1] + side), 84 / side)
    below = int(np.ceil(46 / cell))  # two short lines of text
    corners = [(h // across * (side + below), lefts[h % across]) for h in range(count)]
    values = np.full((corners[-1][0] + side + below, lefts[-1] + side), np.nan, np.float32)
    for head, (top, left) in enumerate(corners):
        values[top : top + side, left : left + side] = maps[head]
    return Mosaic(values, tuple(corners), side, cell, below)
