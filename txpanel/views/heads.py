"""What a head does on this text, derived from its pattern alone, and the max-pooling of patterns.

A label is a statement about this text, not about the head in general: each has a score between 0 and 1 computed from the
recorded pattern, and is given only where the score passes `THRESHOLD`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MASKED_BELOW = -1e30
"""Models write "never" as minus infinity or as the lowest float there is."""
LABELS = ("previous", "first", "self", "induction", "broad", "mixed")
"""Codes, in the order in which ties are broken."""
THRESHOLD = {"previous": 0.5, "first": 0.5, "self": 0.5, "induction": 0.4, "broad": 0.85}
"""A head gets the label with the greatest score among those above their threshold; else it is "mixed"."""


def allowed(trace: Any, layer: int, head: int) -> npt.NDArray[np.bool_]:
    """Where the recorded mask allows attention (causal, or a sliding window), bool [T, T] (query, key)."""
    if f"blocks.{layer}.masked" not in trace:
        total = len(trace.tokens.ids)
        every = np.ones((total, total), bool)
        return np.tril(every) if trace.anatomy.blocks[layer].causal else every
    return np.asarray(trace.head_map(layer, head, "masked")) > MASKED_BELOW


def pool(pattern: np.ndarray, side: int) -> np.ndarray:
    """Max-pool a square map [T, T] to [side, side]; each cell covers ``T // side`` or one more rows and columns."""
    edges = np.arange(side) * len(pattern) // side
    return np.asarray(np.maximum.reduceat(np.maximum.reduceat(pattern, edges, axis=0), edges, axis=1))


def cell_of(place: int, total: int, side: int) -> int:
    """The row or column of the pooled map that token `place` went into."""
    return ((place + 1) * side - 1) // total


def strongest(pattern: np.ndarray, row: int, column: int, side: int) -> tuple[int, int] | None:
    """Query and key of the weight that a cell of the pooled map shows; None where all of it is masked (NaN or 0)."""
    total = len(pattern)
    (top, below), (left, right) = ((i * total // side, (i + 1) * total // side) for i in (row, column))
    part = np.nan_to_num(pattern[top:below, left:right])
    query, key = np.unravel_index(int(part.argmax()), part.shape)
    return (top + int(query), left + int(key)) if part[query, key] > 0 else None


def scores(pattern: np.ndarray, ids: np.ndarray) -> dict[str, float]:
    """How well each label fits, from 0 to 1.

    Args:
        pattern: float [T, T], rows are queries.
        ids: int [T], the token ids, needed for repeats.

    Returns:
        previous, first, self: mean weight on the token before, on token 0, on itself (queries from 1 on; ``first`` and ``previous``
        from 2 on, where the two differ); induction: mean weight on the tokens that followed earlier copies of the query's token
        (needs two such queries, else 0); broad: mean entropy of a row over the greatest one possible (queries from 2 on).
    """
    total = len(pattern)
    if total < 3:
        return dict.fromkeys(THRESHOLD, 0.0)
    rows = np.arange(2, total)
    found = {
        "previous": float(pattern[rows, rows - 1].mean()),
        "first": float(pattern[rows, 0].mean()),
        "self": float(pattern[rows, rows].mean()),
        "induction": _induction(pattern, ids),
    }
    logs = np.log(np.where(pattern > 0, pattern, 1.0))
    seen = rows + 1 if not np.triu(pattern, 1).any() else total  # number of keys that a query can attend to
    entropy = -(pattern * logs).sum(1)[rows] / np.log(seen)
    return found | {"broad": float(entropy.mean())}


def _induction(pattern: np.ndarray, ids: np.ndarray) -> float:
    ids = np.asarray(ids)
    weights = []
    for query in range(2, len(ids)):
        after = (
            np.flatnonzero(ids[: query - 1] == ids[query]) + 1
        )  # tokens that followed an earlier copy, itself left out
        if after.size:
            weights.append(float(pattern[query, after].sum()))
    return float(np.mean(weights)) if len(weights) >= 2 else 0.0


def label_head(pattern: np.ndarray, ids: np.ndarray) -> tuple[str, float]:
    """The label of one head on this text and its score; "mixed" with the best score where nothing fits."""
    found = scores(pattern, ids)
    fits = [(found[name], name) for name in LABELS[:-1] if found[name] >= THRESHOLD[name]]
    if not fits:
        return "mixed", max(found.values())
    best = max(fits, key=lambda pair: pair[0])
    return best[1], best[0]
