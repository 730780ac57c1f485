"""The numbers of the logit lens, from a trace and nothing else.

The idea is nostalgebraist's ("interpreting GPT: the logit lens", 2020): read the residual stream at every depth as if
it were the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from txpanel import Trace


@dataclass(frozen=True)
class Lens:
    """What every depth predicts at one position. R = blocks + 1 rows: the embedding first, the whole model last.

    Attributes:
        position: the token whose next one is predicted.
        ids: [R, top] token ids, likeliest first.
        probabilities: [R, top] their probabilities.
        final: [R] probability of the token that the whole model finds likeliest.
        rank: [R] place of that token in each row's order; 0 is the likeliest.
        entropy: [R] of each row's distribution over the full vocabulary, in bits.
    """

    position: int
    ids: np.ndarray
    probabilities: np.ndarray
    final: np.ndarray
    rank: np.ndarray
    entropy: np.ndarray


def lens(trace: Trace, position: int = -1, top: int = 5) -> Lens:
    """Send every residual stream of one position through the model's own final norm and unembedding.

    Args:
        trace: a recorded run.
        position: index of the token; negative counts from the end.
        top: how many tokens of each row to keep.

    Returns:
        The table, in float64 from the float32 logits on.
    """
    count = len(trace.tokens.ids)
    position = range(count)[position]
    rows = []
    winner = int(np.asarray(trace.lens(trace.anatomy.n_layers, position)).argmax())
    for layer in range(trace.anatomy.n_layers + 1):
        logits = np.asarray(trace.lens(layer, position), dtype=np.float64)  # [V]
        rows.append(_row(logits, winner, top))
    ids, probabilities, final, rank, entropy = (np.array(column) for column in zip(*rows, strict=True))
    return Lens(position, ids, probabilities, final, rank, entropy)


def _row(logits: np.ndarray, winner: int, top: int) -> tuple[np.ndarray, np.ndarray, float, int, float]:
    weights = np.exp(logits - logits.max())  # [V]
    p = weights / weights.sum()
    best = np.argsort(-p, kind="stable")[:top]  # equal ones in the order of the vocabulary, as the model's own argmax
    some = p[p > 0]
    return best, p[best], float(p[winner]), int((p > p[winner]).sum()), float(-(some * np.log2(some)).sum())
