"""The numbers of one head, from the trace to plain arrays: its stages, vectors and weights. Nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from txpanel.views.attention.written import kv_head, weighted, written_norms
from txpanel.views.heads import MASKED_BELOW, allowed, label_head, pool

__all__ = [
    "STAGES",
    "VECTORS",
    "Cut",
    "Look",
    "Ranking",
    "cut",
    "overview",
    "ranking",
    "stage",
    "stages",
    "vectors",
    "without_sink",
]

Floats = npt.NDArray[np.float32]

STAGES = ("scores", "scores_capped", "scores_biased", "masked", "pattern")
"""Parts of a block whose dimensions are (head, query, key), in the order of computation; a model has some of them."""
WINDOW = 128
"""Rows and columns shown at once: 128 x 128 float32 are 64 kB."""


@dataclass(frozen=True)
class Cut:
    """The part of a text that a picture shows: tokens ``start`` to ``stop - 1`` of ``total``."""

    start: int
    stop: int
    total: int

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self.stop - self.start == self.total

    @property
    def slice(self) -> slice:
        """For the token axis of an array."""
        return slice(self.start, self.stop)


def cut(total: int, centre: int, size: int = WINDOW) -> Cut:
    """`size` tokens around `centre`, moved inwards at the ends of the text; all where they are fewer."""
    start = max(0, min(centre - size // 2, total - size))
    return Cut(start, min(total, start + size), total)


def stages(trace: Any, layer: int) -> list[str]:
    """Which of `STAGES` this model's block has."""
    return [part for part in STAGES if f"blocks.{layer}.{part}" in trace]


def stage(trace: Any, layer: int, head: int, part: str) -> Floats:
    """One stage of one head, float32 [T, T] (query, key); cells that the mask excludes are NaN."""
    values = np.asarray(trace.head_map(layer, head, part), np.float32)
    if part == "pattern":
        return np.where(allowed(trace, layer, head), values, np.float32(np.nan))
    return np.where(values > MASKED_BELOW, values, np.float32(np.nan)).astype(np.float32)


def without_sink(pattern: Floats) -> Floats:
    """The pattern [T, T] without the first token's column, each row divided by its sum, float32 [T, T]; rows with nothing left are NaN."""
    rest = pattern.astype(np.float64)
    rest[:, 0] = np.nan
    total = np.nansum(rest, axis=1, keepdims=True)
    return np.where(total > 0, rest / np.where(total > 0, total, 1), np.nan).astype(np.float32)


VECTORS = (
    "q_proj",
    "q_unclipped",
    "q_pre_rotary",
    "q",
    "k_proj",
    "k_unclipped",
    "k_pre_rotary",
    "k",
    "v_unclipped",
    "v",
    "z",
)
"""Parts of a block that are one vector per token and head, in the order of computation; a model has some of them."""


def vectors(trace: Any, layer: int, head: int) -> dict[str, tuple[int, Floats]]:
    """q, k, v and z of a head, and q and k before norm and position came in.

    Returns:
        part -> (which of the tensor's heads: a key/value head for k and v, float32 [T, dim]).
    """
    found = {}
    for part in VECTORS:
        name = f"blocks.{layer}.{part}"
        if name in trace:
            at = head if part[0] in "qz" else kv_head(trace, layer, head)
            found[part] = (at, np.asarray(trace.rows(name, slice(None), at).float().numpy()))
    return found


@dataclass(frozen=True)
class Ranking:
    """Weights as bars: the places shown, in order, and what the rest adds up to.

    Attributes:
        places: tokens, in text order where all are shown, else the greatest first.
        values: float32, their weights. others: how many tokens are left out. rest: the sum of their weights.
    """

    places: tuple[int, ...]
    values: Floats
    others: int
    rest: float


def ranking(weights: Floats, most: int = 14) -> Ranking:
    """The bars of a row or column of the pattern, float32 [T]: all in text order, or the largest `most` - 1 and a rest; NaN (masked) is left out."""
    seen = np.flatnonzero(np.isfinite(weights))
    if len(seen) <= most:
        return Ranking(tuple(int(i) for i in seen), weights[seen], 0, 0.0)
    order = seen[np.argsort(-weights[seen], kind="stable")]
    top, left = order[: most - 1], order[most - 1 :]
    return Ranking(tuple(int(i) for i in top), weights[top], len(left), float(weights[left].sum(dtype=np.float64)))


def overview(pattern: Floats, side: int = WINDOW) -> Floats:
    """A whole long pattern, max-pooled to [side, side]."""
    pooled = pool(np.nan_to_num(pattern), min(side, len(pattern)))
    return np.where(pooled > 0, pooled, np.nan).astype(np.float32)


class Look:
    """One head of one run: what the pictures share, each array computed once.

    Attributes:
        trace, layer, head: which head of which run.
    """

    def __init__(self, trace: Any, layer: int, head: int) -> None:
        self.trace, self.layer, self.head = trace, layer, head

    def same(self, trace: Any, layer: int, head: int) -> bool:
        """Whether it is of this run, block and head."""
        return trace is self.trace and (layer, head) == (self.layer, self.head)

    @property
    def total(self) -> int:
        """Number of tokens."""
        return len(self.trace.tokens.ids)

    @cached_property
    def pattern(self) -> Floats:
        """float32 [T, T]; NaN where the mask forbids."""
        return stage(self.trace, self.layer, self.head, "pattern")

    @cached_property
    def behaviour(self) -> tuple[str, float]:
        """What the head does on this text, and how clearly."""
        return label_head(np.nan_to_num(self.pattern), self.trace.tokens.ids)

    @cached_property
    def norms(self) -> npt.NDArray[np.float64] | None:
        """``|v_k W_O|`` of each key, float64 [T]; None without weights."""
        return written_norms(self.trace, self.layer, self.head)

    def shown(self, *, hide_sink: bool, weigh: bool) -> Floats:
        """The pattern as the options ask for it, float32 [T, T]."""
        pattern = without_sink(self.pattern) if hide_sink else self.pattern
        return weighted(pattern, self.norms) if weigh and self.norms is not None else pattern
