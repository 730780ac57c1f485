"""The numbers of the attention view, from the trace to plain arrays. Nothing here draws; everything here is compared with the trace in tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from txpanel.views.heads import MASKED_BELOW, allowed, label_head, pool

__all__ = [
    "STAGES", "VECTORS", "Cut", "HeadShares", "Heads", "Look", "Mosaic", "Ranking", "cut", "head_shares", "heads", "kv_head", "mosaic", "overview",
    "ranking", "stage", "stages", "vectors", "weighted", "without_sink", "written_norms",
]  # fmt: skip

Floats = npt.NDArray[np.float32]

STAGES = ("scores", "scores_capped", "scores_biased", "masked", "pattern")
"""Parts of a block whose dimensions are (head, query, key), in the order of computation; a model has some of them."""
WINDOW = 128
"""Rows and columns shown at once: 128 x 128 float32 are 64 kB."""
THUMBNAIL = 32
"""Rows and columns of a head's thumbnail; longer texts are max-pooled."""


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
    """The pattern with the first token left out and every row divided by what remains; rows with nothing left are NaN."""
    rest = pattern.astype(np.float64)
    rest[:, 0] = np.nan
    total = np.nansum(rest, axis=1, keepdims=True)
    return np.where(total > 0, rest / np.where(total > 0, total, 1), np.nan).astype(np.float32)


def kv_head(trace: Any, layer: int, head: int) -> int:
    """The key/value head that a query head reads."""
    block = trace.anatomy.blocks[layer]
    return int(head * block.n_kv_heads // block.n_heads)


VECTORS = ("q_proj", "q_pre_rotary", "q", "k_proj", "k_pre_rotary", "k", "v", "z")
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
            found[part] = (at, np.asarray(trace.tensor(name)[at].float().numpy()))
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
    """The bars of a row or a column of the pattern; NaN (masked) is left out."""
    seen = np.flatnonzero(np.isfinite(weights))
    if len(seen) <= most:
        return Ranking(tuple(int(i) for i in seen), weights[seen], 0, 0.0)
    order = seen[np.argsort(-weights[seen], kind="stable")]
    top, left = order[: most - 1], order[most - 1 :]
    return Ranking(tuple(int(i) for i in top), weights[top], len(left), float(weights[left].sum(dtype=np.float64)))


@dataclass(frozen=True)
class Heads:
    """All heads of a block as thumbnails.

    Attributes:
        maps: float32 [H, S, S], max-pooled where ``step > 1``; NaN where no query of the cell may look at any key of it.
        step: how many tokens a row or column stands for, at most.
        labels, shares: what each head does on this text, and how clearly.
    """

    maps: Floats
    step: int
    labels: tuple[str, ...]
    shares: tuple[float, ...]


def heads(trace: Any, layer: int, side: int = THUMBNAIL) -> Heads:
    """Thumbnails and labels of all heads of a block; one head's map at a time is held in full."""
    total = len(trace.tokens.ids)
    size = min(side, total)
    maps, told = [], []
    for head in range(trace.anatomy.blocks[layer].n_heads):
        pattern = np.asarray(trace.head_map(layer, head, "pattern"), np.float32)
        told.append(label_head(pattern, trace.tokens.ids))
        may = pool(allowed(trace, layer, head).astype(np.float32), size) > 0
        maps.append(np.where(may, pool(pattern, size), np.float32(np.nan)))
    return Heads(
        np.stack(maps), -(-total // size), tuple(label for label, _ in told), tuple(share for _, share in told)
    )


def behaviour(pattern: Floats, ids: Any) -> tuple[str, float]:
    """What a head does on this text, and how clearly (0 to 1)."""
    return label_head(np.nan_to_num(pattern), ids)


def overview(pattern: Floats, side: int = WINDOW) -> Floats:
    """A whole long pattern, max-pooled to [side, side]."""
    pooled = pool(np.nan_to_num(pattern), min(side, len(pattern)))
    return np.where(pooled > 0, pooled, np.nan).astype(np.float32)


def head_map_of_output(trace: Any, layer: int) -> tuple[Any, Any] | None:
    """The declared operations that split the output projection by heads: (each head's result, their sum); None without weights."""
    by_kind = {operation.kind: operation for operation in trace.operations(layer)}
    result, total = by_kind.get("head output"), by_kind.get("sum over heads")
    return (result, total) if result is not None and total is not None and result.map is not None else None


@dataclass(frozen=True)
class HeadShares:
    """What each head of a block adds to one token's stream.

    Attributes:
        token: whose. output: name of the tensor that the heads add up to.
        vectors: float32 [H, width], each head's z through its slice of W_O.
        norms: float64 [H], their lengths. bias: length of the bias that is added once (0: there is none).
        toward: float64 [H], the part of each that points along the whole (cosine with the sum times its length over
            the sum's): adds up to 1 with the bias' part.
        difference: largest |heads + bias - recorded output|.
    """

    token: int
    output: str
    vectors: Floats
    norms: npt.NDArray[np.float64]
    bias: float
    toward: npt.NDArray[np.float64]
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the heads add up to the recorded output."""
        return self.difference <= self.tolerance


def head_shares(trace: Any, layer: int, token: int) -> HeadShares | None:
    """Each head's share of what attention writes for one token; None where the weights did not travel with the trace."""
    pair = head_map_of_output(trace, layer)
    if pair is None:
        return None
    result, total = pair
    z = trace.tensor(result.inputs[0])[:, token : token + 1]  # [H, 1, D]
    shares = result.recompute({result.inputs[0]: z})  # [H, 1, width]
    again = total.recompute({total.inputs[0]: shares})[0].double()  # [width]
    recorded = trace.tensor(total.output)[token].double()
    shares, offset = shares[:, 0].double(), again - shares[:, 0].double().sum(0)
    square = float(recorded @ recorded) or 1.0
    return HeadShares(
        token,
        total.output,
        shares.float().numpy(),
        shares.norm(dim=-1).numpy(),
        float(offset.norm()) if total.map.offset() is not None else 0.0,
        (shares @ recorded / square).numpy(),
        float((again - recorded).abs().max()),
        1e-4 * max(1.0, float(recorded.abs().max())),
    )


def written_norms(trace: Any, layer: int, head: int) -> npt.NDArray[np.float64] | None:
    """How much each token's value would write if a head looked at it alone: ``|v_j W_O|``, float64 [T]; None without weights."""
    pair = head_map_of_output(trace, layer)
    if pair is None:
        return None
    block = trace.anatomy.blocks[layer]
    matrix = pair[0].map.matrix().unflatten(1, (block.n_heads, -1))[:, head]  # [width, D]
    v = trace.tensor(f"blocks.{layer}.v")[kv_head(trace, layer, head)]  # [T, D]
    return np.asarray(torch.einsum("td,fd->tf", v.float(), matrix.float()).norm(dim=-1).double().numpy())


def weighted(pattern: Floats, norms: npt.NDArray[np.float64]) -> Floats:
    """Attention by what it brings: ``pattern[q, k] * |v_k W_O|``, float32 [T, T] (Kobayashi et al., arXiv:2004.10102)."""
    return (pattern * norms[None, :]).astype(np.float32)


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


class Look:
    """One head of one run: what the pictures share, each array computed once.

    Attributes:
        trace, layer, head: what is looked at.
    """

    def __init__(self, trace: Any, layer: int, head: int) -> None:
        self.trace, self.layer, self.head = trace, layer, head

    def same(self, trace: Any, layer: int, head: int) -> bool:
        """Whether that is what is looked at."""
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
        return behaviour(self.pattern, self.trace.tokens.ids)

    @cached_property
    def norms(self) -> npt.NDArray[np.float64] | None:
        """``|v_k W_O|`` of each key, float64 [T]; None without weights."""
        return written_norms(self.trace, self.layer, self.head)

    def shown(self, *, hide_sink: bool, weigh: bool) -> Floats:
        """The pattern as the options ask for it, float32 [T, T]."""
        pattern = without_sink(self.pattern) if hide_sink else self.pattern
        return weighted(pattern, self.norms) if weigh and self.norms is not None else pattern
