"""The vocabulary in one row, as pages list it: by the logits after the stages that look back at the text, largest first, ties by id.

What a later stage keeps is a stretch of that row, so how many tokens stand before it says all of what is cut off there. The
browser counts the same way (``decoding/pipeline.js``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from txpanel.decoding.cumulative import likeliest
from txpanel.decoding.sampling import Sample
from txpanel.decoding.stages import SPECS

__all__ = ["listed", "starts"]

BEFORE = 4
"""Tokens of those cut off at the row's beginning (such as by typical-p) that are listed before those that are left."""

LOOKING = 1 + max((place + 1 for place, spec in enumerate(SPECS) if spec.looks_back), default=0)
"""How many of a sample's stages there are up to the last one that looks back; its logits order the row."""


def starts(sample: Sample) -> list[int]:
    """For each stage: how many tokens stand before the first one that is left."""
    order, found = sample.stages[LOOKING - 1].logits, [0] * LOOKING
    for stage in sample.stages[LOOKING:-1]:
        first = order[stage.logits > -np.inf].max() if stage.active else None
        found.append(int((order > first).sum()) if first is not None else found[-1])
    return [*found, found[-1]]


def listed(sample: Sample, most: int, drawn: int | None = None) -> npt.NDArray[np.int64]:
    """int64 [min(most, V)]: the tokens that a short list shows, in the order of the row.

    The first that are left, and behind them the first that are not; `drawn` takes the last place if it is none of these.
    """
    row, start = sample.stages[LOOKING - 1].logits, starts(sample)[-1]
    before = min(start, BEFORE)
    order = likeliest(row, start + most)
    if len(order) < min(len(row), start + most):  # the model, or a stage that looks back, left no more
        order = np.concatenate([order, np.flatnonzero(np.isneginf(row))])
    ids = np.concatenate([order[:before], order[start:]])[:most]
    if drawn is not None and drawn not in ids:
        ids[-1] = drawn
    return ids
