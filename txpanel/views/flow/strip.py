"""Vectors as strips of bars.

Where a vector is longer than the picture has room for, a bar stands for a run of neighbouring entries and carries the one that is largest in
size, with its sign and its index, so a bar's number is always a number of the trace: ``value[t, b] == trace.tensor(name)[..., t, index[t, b]]``
exactly (without ``index`` bar b is entry b).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["BARS", "HEAD_BARS", "strip"]

BARS = 48
"""Bars of a residual-stream or neuron strip."""
HEAD_BARS = 64
"""Bars of a head's strip; a head of at most this many dimensions is drawn entry by entry."""


def strip(values: np.ndarray, name: str, axis: str, bars: int = BARS, **index: int) -> dict[str, Any]:
    """A vector per lane as bars.

    Args:
        values: float32 [n, N], one row per lane.
        name: the tensor's name in the trace.
        axis: what its last axis is called ("feature", "dim", "neuron").
        bars: how many bars there is room for.
        index: the further coordinates that select these rows (head=2).

    Returns:
        ``value`` float32 [n, b], ``index`` uint16 or uint32 [n, b] (empty where each bar is one entry, in order),
        ``scale`` float32 [n] (full colour: the row's 98th percentile of sizes),
        ``size`` N, ``bin`` entries per bar at most, ``name``, ``axis``, ``at``.
    """
    n, size = values.shape
    count = min(size, bars)
    edges = np.arange(count + 1) * size // count
    if count == size:
        value, best = values.astype(np.float32), np.zeros((0, 0), np.uint16)
    else:
        best = np.empty((n, count), np.uint16 if size <= 1 << 16 else np.uint32)
        for b in range(count):
            best[:, b] = edges[b] + np.abs(values[:, edges[b] : edges[b + 1]]).argmax(1)
        value = np.take_along_axis(values, best.astype(np.int64), 1).astype(np.float32)
    scale = np.quantile(np.abs(value), 0.98, axis=1) if n else np.zeros(0)
    return {
        "value": np.ascontiguousarray(value),
        "index": best,
        "scale": np.where(scale > 0, scale, 1.0).astype(np.float32),
        "size": size,
        "bin": int(np.diff(edges).max()),
        "name": name,
        "axis": axis,
        "at": index,
    }
