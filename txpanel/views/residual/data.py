"""What the residual view shows, as arrays: what every block wrote, the norms' own numbers, the logit lens. Nothing here draws."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.format import number
from txpanel.toolkit.vector_strips import VectorStrip

if TYPE_CHECKING:
    from torch import Tensor

    from txpanel.tracing import Trace

POSITIONS = 10
"""Positions of the lens grid, at most: those up to the chosen one."""
LISTED = 5
"""Tokens listed per layer for the chosen position."""

Tell = Callable[[int, int], None]


def _array(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.detach().cpu().float().numpy())


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
        attn, mlp: norm of what attention and MLP add, ``[L, T]``. attn_turn, mlp_turn: cosine of that with the stream it is added to.
        stats: for each norm of the blocks (``ln1``, ``ln2``, ...) and its statistic (``mean``, ``var``, ``scale``): ``[L, T]``, NaN where a block has none.
        final: the same statistics of the last norm, ``[T]``.
    """

    size: np.ndarray
    attn: np.ndarray
    mlp: np.ndarray
    attn_turn: np.ndarray
    mlp_turn: np.ndarray
    stats: dict[str, dict[str, np.ndarray]]
    final: dict[str, np.ndarray]


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
    attn, mlp, attn_turn, mlp_turn = (np.zeros((layers, tokens)) for _i in range(4))
    stats = {norm: {kind: np.full((layers, tokens), np.nan) for kind in STATISTICS} for norm in norms(trace)}
    for layer in range(layers):
        if stop is not None and stop.is_set():
            return None
        p = f"blocks.{layer}."
        before, a, m = (_array(trace.tensor(p + name)) for name in ("resid_pre", "attn_out", "mlp_out"))
        middle = _array(trace.tensor(p + "resid_mid")) if p + "resid_mid" in trace else before
        size[layer], attn[layer], mlp[layer] = _length(before), _length(a), _length(m)
        attn_turn[layer], mlp_turn[layer] = _cosine(a, before), _cosine(m, middle)
        for norm, kinds in stats.items():
            for kind in kinds:
                if f"{p}{norm}.{kind}" in trace:
                    kinds[kind][layer] = _array(trace.tensor(f"{p}{norm}.{kind}"))
        if layer == layers - 1:
            size[layers] = _length(_array(trace.tensor(p + "resid_post")))
        if tell is not None:
            tell(layer + 1, layers)
    final = {kind: _array(trace.tensor(f"ln_final.{kind}")) for kind in STATISTICS if f"ln_final.{kind}" in trace}
    return Stream(size, attn, mlp, attn_turn, mlp_turn, stats, final)


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


def lens(
    trace: Trace,
    position: int,
    positions: int = POSITIONS,
    stop: threading.Event | None = None,
    tell: Tell | None = None,
) -> Lens | None:
    """The lens at `position` and the few before it, through the model's own final norm and unembedding (`Trace.lens`)."""
    layers = trace.anatomy.n_layers
    where = tuple(range(max(0, position + 1 - positions), position + 1))
    ids = np.zeros((layers + 1, len(where)), np.int64)
    top, bits = np.zeros(ids.shape), np.zeros(ids.shape)
    last: list[np.ndarray] = []
    for layer in range(layers + 1):
        if stop is not None and stop.is_set():
            return None
        before = (
            _array(trace.unembed(trace.recording.streams[layer][where[0] : position]))
            if len(where) > 1
            else np.zeros((0, trace.anatomy.vocab), np.float32)
        )
        last.append(
            np.asarray(trace.lens(layer, position).values, np.float32)
        )  # this one to the last digit, the others in one product
        for column, logits in enumerate([*before, last[-1]]):
            share = softmax(logits)
            ids[layer, column] = best = int(logits.argmax())
            top[layer, column] = share[best]
            bits[layer, column] = entropy(share)
        if tell is not None:
            tell(layer + 1, layers + 1)
    names = _Names(trace)
    choice = int(last[-1].argmax())
    listed = [[(names(int(i)), float(softmax(row)[i]), float(row[i])) for i in _best(row)] for row in last]
    rank = np.array([1 + int((row > row[choice]).sum()) for row in last])
    share_of = np.array([softmax(row)[choice] for row in last])
    return Lens(
        where, ids, [[names(int(i)) for i in row] for row in ids], top, bits, listed, rank, share_of, names(choice)
    )


def _best(logits: np.ndarray) -> np.ndarray:
    """The `LISTED` likeliest tokens, likeliest first."""
    some = np.argpartition(-logits, min(LISTED, logits.size - 1))[:LISTED]
    return np.asarray(some[np.argsort(-logits[some], kind="stable")])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the full vocabulary, float64."""
    powers = np.exp(np.asarray(logits, np.float64) - float(logits.max()))
    return np.asarray(powers / powers.sum())


def entropy(share: np.ndarray) -> float:
    """How undecided a distribution is, in bits."""
    some = share[share > 0]
    return float(-(some * np.log2(some)).sum())


class _Names:
    """What to show for token ids; without a model the id itself."""

    def __init__(self, trace: Trace) -> None:
        self.trace, self.known = trace, dict[int, str]()

    def __call__(self, token: int) -> str:
        if token not in self.known:
            model = self.trace.model
            self.known[token] = model.tokens([token]).strings[0] if model is not None else f"#{token}"
        return self.known[token]


def strips(trace: Trace, layer: int, position: int) -> list[VectorStrip]:
    """The stream of one token through one block: before, what is added, after."""
    p, at = f"blocks.{layer}.", {"token": position}
    words = {
        "resid_pre": ("", _("into the block")), "attn_out": ("+", _("attention writes")), "resid_mid": ("=", _("in the middle")),
        "mlp_out": ("+", _("MLP writes")), "resid_post": ("=", _("out of the block")),
    }  # fmt: skip
    hues = {"attn_out": "var(--tx-value)", "mlp_out": "var(--tx-mlp)"}
    out = []
    for name, (sign, label) in words.items():
        if p + name in trace:
            row = _array(trace.tensor(p + name)[position])
            tail = _("norm {value}").format(value=number(float(_length(row))))
            out.append(
                VectorStrip(
                    label,
                    row,
                    p + name,
                    at,
                    sign=sign,
                    note=name,
                    tail=tail,
                    group="stream",
                    strong=name.startswith("resid_p"),
                    hue=hues.get(name, ""),
                )
            )
    return out
