"""The numbers of the residual view: what every block writes, the norms' statistics, the logit lens. Nothing here draws."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from txpanel.toolkit.part_words import writes
from txpanel.views.distribution import Distribution, token_names
from txpanel.views.vectors import array

if TYPE_CHECKING:
    from txpanel.tracing import Trace

POSITIONS = 10
"""Positions of the lens grid, at most: those up to the chosen one."""
LISTED = 5
"""Tokens listed per layer for the chosen position."""

Tell = Callable[[int, int], None]


def _length(rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows.astype(np.float64), axis=-1)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = _length(a) * _length(b)
    return np.divide(
        (a.astype(np.float64) * b.astype(np.float64)).sum(-1), size, out=np.zeros_like(size), where=size > 0
    )


@dataclass(frozen=True)
class Stream:
    """The residual stream through all blocks, for every token.

    Attributes:
        size: norm of the stream, float64 ``[L + 1, T]``: into each block, and out of the last.
        attn, mlp: norm of what attention (or what stands in its place, or a block that is run as a whole) and the MLP add, ``[L, T]``; NaN where a
            block has no such part. attn_cosine, mlp_cosine: cosine of that with the stream it is added to.
        stats: for each norm of the blocks (``ln1``, ``ln2``, ...) and its statistic (``mean``, ``var``, ``scale``): ``[L, T]``, NaN where a block has none.
        final: the same statistics of the last norm, ``[T]``.
    """

    size: np.ndarray
    attn: np.ndarray
    mlp: np.ndarray
    attn_cosine: np.ndarray
    mlp_cosine: np.ndarray
    stats: dict[str, dict[str, np.ndarray]]
    final: dict[str, np.ndarray]

    @property
    def nbytes(self) -> int:
        """Bytes of all its numbers."""
        of_norms = [array for kind in (*self.stats.values(), self.final) for array in kind.values()]
        whole = [self.size, self.attn, self.mlp, self.attn_cosine, self.mlp_cosine]
        return sum(array.nbytes for array in [*whole, *of_norms])


STATISTICS = ("mean", "var", "scale")


def norms(trace: Trace) -> list[str]:
    """Names of the norms of the blocks that have a vector per token, in order; those of q and k are the attention view's."""
    kept: list[str] = []
    for layer in range(trace.anatomy.n_layers):
        for name in trace.names(layer):
            short = name.removeprefix(f"blocks.{layer}.")
            if short.endswith(".scale") and not short.startswith(("q_", "k_", "kv_")) and short[:-6] not in kept:
                kept.append(short[:-6])
    return kept


def stream(trace: Trace, stop: threading.Event | None = None, tell: Tell | None = None) -> Stream | None:
    """Goes through all blocks once (each is replayed); None if `stop` was set on the way.

    Args:
        trace: the run.
        stop: looked at between blocks.
        tell: called with (blocks done, blocks).
    """
    layers, tokens = trace.anatomy.n_layers, len(trace.tokens.ids)
    size = np.zeros((layers + 1, tokens))
    attn, mlp, attn_cosine, mlp_cosine = (np.full((layers, tokens), np.nan) for _i in range(4))
    stats = {norm: {kind: np.full((layers, tokens), np.nan) for kind in STATISTICS} for norm in norms(trace)}
    for layer in range(layers):
        if stop is not None and stop.is_set():
            return None
        p = f"blocks.{layer}."
        wrote, before = writes(trace.anatomy.blocks[layer]), array(trace.tensor(p + "resid_pre"))
        at = next((name for name in ("resid_mid_cross", "resid_mid") if p + name in trace), "")
        middle = array(trace.tensor(p + at)) if at else before
        size[layer] = _length(before)
        for part, onto, lengths, cosines in (("mixer", before, attn, attn_cosine), ("mlp", middle, mlp, mlp_cosine)):
            if part in wrote:
                added = array(trace.tensor(p + wrote[part]))
                lengths[layer], cosines[layer] = _length(added), _cosine(added, onto)
        for norm, kinds in stats.items():
            for kind in kinds:
                if f"{p}{norm}.{kind}" in trace:
                    kinds[kind][layer] = array(trace.tensor(f"{p}{norm}.{kind}"))
        if layer == layers - 1:
            size[layers] = _length(array(trace.tensor(p + "resid_post")))
        if tell is not None:
            tell(layer + 1, layers)
    final = {kind: array(trace.tensor(f"ln_final.{kind}")) for kind in STATISTICS if f"ln_final.{kind}" in trace}
    return Stream(size, attn, mlp, attn_cosine, mlp_cosine, stats, final)


@dataclass(frozen=True)
class Lens:
    """The logit lens at some positions: what the model would say if it stopped after each block.

    Attributes:
        positions: which, in order. ids: likeliest token, int64 ``[L + 1, P]``. strings: the same, to show. top: its probability, float64 ``[L + 1, P]``.
        bits: entropy of the whole distribution, ``[L + 1, P]``.
        listed: for the last of the positions, per layer the likeliest tokens: (string, probability, logit).
        rank: at the last position, the rank (1 = likeliest) of the model's final choice in each layer, int64 ``[L + 1]``; share: its probability.
        choice: that choice, to show.
    """

    positions: tuple[int, ...]
    ids: np.ndarray
    strings: list[list[str]]
    top: np.ndarray
    bits: np.ndarray
    listed: list[list[tuple[str, float, float]]]
    rank: np.ndarray
    share: np.ndarray
    choice: str

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers, and of its texts about 60 each."""
        arrays = (self.ids, self.top, self.bits, self.rank, self.share)
        return sum(array.nbytes for array in arrays) + 60 * (self.ids.size + sum(map(len, self.listed)))


def lens(
    trace: Trace,
    position: int,
    positions: int = POSITIONS,
    stop: threading.Event | None = None,
    tell: Tell | None = None,
) -> Lens | None:
    """The lens at `position` and up to `positions` in all that end there, through the model's own final norm and unembedding (`Trace.lens`).

    Args:
        stop: looked at between blocks; if it is set the result is None.
        tell: called with (blocks done, blocks).
    """
    layers = trace.anatomy.n_layers
    where = tuple(range(max(0, position + 1 - positions), position + 1))
    ids = np.zeros((layers + 1, len(where)), np.int64)
    top, bits = np.zeros(ids.shape), np.zeros(ids.shape)
    last: list[np.ndarray] = []
    for layer in range(layers + 1):
        if stop is not None and stop.is_set():
            return None
        before = (
            array(trace.unembed(trace.recording.streams[layer][where[0] : position]))
            if len(where) > 1
            else np.zeros((0, trace.anatomy.vocab), np.float32)
        )
        last.append(
            np.asarray(trace.lens(layer, position).values, np.float32)
        )  # `position` exactly as the trace has it, the others in one matrix product
        for column, logits in enumerate([*before, last[-1]]):
            said = Distribution(logits)
            ids[layer, column] = said.largest
            top[layer, column] = said.probabilities[said.largest]
            bits[layer, column] = said.entropy
        if tell is not None:
            tell(layer + 1, layers + 1)
    choice, shares = int(last[-1].argmax()), [Distribution(row).probabilities for row in last]
    best = [_best(row) for row in last]
    wanted = np.unique(np.concatenate([ids.ravel(), *best, [choice]])).tolist()
    names = dict(zip(wanted, token_names(trace, wanted), strict=True))
    listed = [
        [(names[int(i)], float(share[i]), float(row[i])) for i in few]
        for row, share, few in zip(last, shares, best, strict=True)
    ]
    rank = np.array([1 + int((row > row[choice]).sum()) for row in last])
    strings = [[names[int(i)] for i in row] for row in ids]
    share_of = np.array([share[choice] for share in shares])
    return Lens(where, ids, strings, top, bits, listed, rank, share_of, names[choice])


def _best(logits: np.ndarray) -> np.ndarray:
    """The `LISTED` likeliest tokens, likeliest first."""
    some = np.argpartition(-logits, min(LISTED, logits.size - 1))[:LISTED]
    return np.asarray(some[np.argsort(-logits[some], kind="stable")])
