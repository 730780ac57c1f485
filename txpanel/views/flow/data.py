"""Every array the flow sends to the browser, built here and nowhere else, each one a part of the trace or a declared reduction of it.

Vectors travel as strips (`txpanel.views.flow.strip`); maps travel max-pooled, and say so (``pooled``).

Shapes use one letter per axis: T tokens of the text, n lanes on screen, b bars, H heads, L blocks, P pooled map side, K listed tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.views.activation import activation_name
from txpanel.views.distribution import others_name
from txpanel.views.flow.strip import BARS, HEAD_BARS, strip
from txpanel.views.flow.window import Window
from txpanel.views.heads import allowed, label_head, pool
from txpanel.views.vectors import array

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = [
    "block_payload",
    "head_payload",
    "head_weights",
    "layer_payload",
    "next_payload",
    "norms",
    "token_payload",
    "write_norms",
    "writes_payload",
]

THUMB = 32
"""Side of a head's thumbnail, in cells, at most."""
MINI = 16
"""Side of a map in the overview of all heads, at most."""
MAP = 96
"""Side of the pooled map of the whole text, at most."""
LISTED = 13
"""Next tokens listed one by one."""


def _array(trace: Trace, name: str) -> np.ndarray:
    return array(trace.tensor(name))


def _strip(trace: Trace, name: str, axis: str, window: Window) -> dict[str, Any]:
    return strip(_array(trace, name)[window.rows], name, axis)


def _norm(values: np.ndarray) -> np.ndarray:
    return np.linalg.norm(values.astype(np.float64), axis=-1).astype(np.float32)


def norms(trace: Trace, name: str) -> np.ndarray:
    """Norm of a stream at each token: float32 [T]."""
    return _norm(_array(trace, name))


def token_payload(trace: Trace, window: Window) -> dict[str, Any]:
    """What depends on the text alone.

    Returns:
        ``total``, ``start``, ``ids`` int32 [n], ``strings`` (list of n, what to show),
        ``exact`` (False: the tokens do not join to the text that was written), ``embed`` and, where positions are
        learned, ``pos_embed``: strips [n, b].
    """
    rows = window.rows
    out: dict[str, Any] = {
        "total": window.total,
        "start": window.start,
        "ids": np.asarray(trace.tokens.ids[rows], np.int32),
        "strings": list(trace.tokens.strings[rows]),
        "exact": bool(trace.tokens.exact),
        "embed": _strip(trace, "embed", "feature", window),
    }
    if "pos_embed" in trace:
        out["pos_embed"] = _strip(trace, "pos_embed", "feature", window)
    return out


def _experts(trace: Trace, prefix: str, window: Window) -> dict[str, Any]:
    """Which experts each lane uses, and the neurons of each: a strip ``mlp_post.{slot}`` per slot."""
    chosen = np.asarray(trace.tensor(prefix + "expert_index"))[window.rows]
    weight = _array(trace, prefix + "expert_weight")[window.rows]
    out: dict[str, Any] = {"experts": {"expert": chosen.astype(np.int32), "weight": weight}}
    if trace.dims(prefix + "mlp_post") == ("token", "slot", "neuron"):
        neurons, slots = _array(trace, prefix + "mlp_post")[window.rows], chosen.shape[1]
        bars = BARS if slots <= 2 else BARS // 2
        for slot in range(slots):
            out[f"mlp_post.{slot}"] = strip(neurons[:, slot], prefix + "mlp_post", "neuron", bars, slot=slot)
    if prefix + "shared_post" in trace:
        out["shared_post"] = _strip(trace, prefix + "shared_post", "neuron", window)
    return out


def _anatomy(trace: Trace, layer: int) -> dict[str, Any]:
    block = trace.anatomy.blocks[layer]
    keys = (
        "norm_kind",
        "norm_place",
        "parallel",
        "shared_norm",
        "residual_multiplier",
        "alibi",
        "qk_norm",
        "window",
        "sinks",
        "gated",
        "activation",
        "n_heads",
        "n_kv_heads",
        "head_dim",
        "n_neurons",
    )
    out = {key: getattr(block, key) for key in keys}
    out["act"] = activation_name(block.activation)
    out["act_brief"] = activation_name(block.activation, brief=True)
    out["rotary"] = block.rotary is not None
    out["experts"] = None if block.experts is None else {"n": block.experts.n, "k": block.experts.k}
    return out


def block_payload(trace: Trace, layer: int, window: Window) -> dict[str, Any]:
    """What depends on the block and not on the head.

    Returns:
        ``layer``, ``anatomy`` (flags and sizes), ``norms``: float32 [n] each of resid_pre, attn_out, mlp_out, resid_post;
        ``z_norm`` float32 [n, H]; strips ``attn_out``, ``mlp_pre``, ``mlp_post``, ``mlp_out`` and ``mlp_gate`` where they exist;
        ``experts``: ``expert`` int32 [n, k], ``weight`` float32 [n, k] in a mixture, there with a strip ``mlp_post.{slot}`` for each of the k
        slots, and ``shared_post`` of the expert that all tokens share.
    """
    p = f"blocks.{layer}."
    streams = {
        name: _array(trace, p + name)[window.rows] for name in ("resid_pre", "attn_out", "mlp_out", "resid_post")
    }
    out: dict[str, Any] = {
        "layer": layer,
        "anatomy": _anatomy(trace, layer),
        "norms": {name: _norm(values) for name, values in streams.items()},
        "z_norm": np.ascontiguousarray(_norm(_array(trace, p + "z")[:, window.rows]).T),
        "attn_out": strip(streams["attn_out"], p + "attn_out", "feature"),
        "mlp_out": strip(streams["mlp_out"], p + "mlp_out", "feature"),
    }
    for name in ("mlp_gate", "mlp_pre", "mlp_post"):
        if p + name in trace and trace.dims(p + name) == ("token", "neuron"):
            out[name] = _strip(trace, p + name, "neuron", window)
    if p + "expert_index" in trace:
        out |= _experts(trace, p, window)
    return out


def _head_strip(trace: Trace, name: str, head: int, window: Window, axis: str = "head") -> dict[str, Any]:
    return strip(_array(trace, name)[head, window.rows], name, "dim", HEAD_BARS, **{axis: head})


def head_payload(trace: Trace, layer: int, head: int, window: Window) -> dict[str, Any]:
    """One head of one block.

    Returns:
        ``layer``, ``head``, ``kv``; strips ``q`` ``k`` ``v`` ``z``; ``pattern`` float32 [n, n] (query lane, key lane), its rows'
        rest: ``first`` float32 [n] (weight on token 0) and ``earlier`` float32 [n] (sum over the tokens between it and the window),
        both zero when the window begins at token 0, and all three NaN where the mask forbids (a sliding window leaves out early keys);
        ``map`` uint8 [P, P], the whole text's pattern, max-pooled, 255 = 1, and ``map_may`` uint8 [P, P], 0 where the mask forbids
        all of a cell, both only for a windowed text (else empty); ``pooled`` cells of the text per map cell.
    """
    p, block = f"blocks.{layer}.", trace.anatomy.blocks[layer]
    kv = head * block.n_kv_heads // block.n_heads
    windowed = window.count < window.total
    side = min(window.total, MAP)
    return {
        "layer": layer,
        "head": head,
        "kv": kv,
        "q": _head_strip(trace, p + "q", head, window),
        "k": _head_strip(trace, p + "k", kv, window, "kv_head"),
        "v": _head_strip(trace, p + "v", kv, window, "kv_head"),
        "z": _head_strip(trace, p + "z", head, window),
        "map": quantised(pool(_pattern(trace, layer, head), side)) if windowed else np.zeros((0, 0), np.uint8),
        "map_may": _may(trace, layer, side) if windowed else np.zeros((0, 0), np.uint8),
        "pooled": -(-window.total // side),
    } | head_weights(trace, layer, head, window)


def _pattern(trace: Trace, layer: int, head: int) -> np.ndarray:
    return np.asarray(trace.head_map(layer, head, "pattern"), np.float32)  # [T, T]


def _may(trace: Trace, layer: int, side: int) -> np.ndarray:
    """Where the mask lets a query of a pooled cell look at a key of it: uint8 [side, side], 1 = it does. All heads share it."""
    return np.asarray(pool(allowed(trace, layer, 0).astype(np.uint8), side))


def head_weights(trace: Trace, layer: int, head: int, window: Window) -> dict[str, np.ndarray]:
    """The attention weights on screen: ``pattern``, ``first`` and ``earlier`` of `head_payload`."""
    weights, may = _pattern(trace, layer, head)[window.rows], allowed(trace, layer, head)[window.rows]
    rows, begin = np.where(may, weights, np.float32(np.nan)), window.start
    between = slice(1, max(begin, 1))
    earlier = np.where(may[:, between].any(1), weights[:, between].astype(np.float64).sum(1), np.nan)
    nothing = np.zeros(window.count, np.float32)
    return {
        "pattern": np.ascontiguousarray(rows[:, window.rows]),
        "first": np.ascontiguousarray(rows[:, 0]) if begin > 0 else nothing,
        "earlier": earlier.astype(np.float32) if begin > 0 else nothing,
    }


def quantised(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as uint8: 0 to 255 for 0 to 1, rounded; off by at most 1/510."""
    return np.asarray(np.rint(np.asarray(probabilities, np.float32) * 255).astype(np.uint8))


def layer_payload(trace: Trace, layer: int, side: int) -> dict[str, Any]:
    """All heads of one block, small, and what the block writes.

    Returns:
        ``layer``; ``thumbs`` uint8 [H, P, P] (patterns, max-pooled to P = min(T, side), 255 = 1); ``may`` uint8 [P, P] (0: the mask
        forbids all of the cell); ``label`` (a code of
        `txpanel.views.heads.LABELS` per head, list of H) and ``score`` float32 [H]; ``pooled`` cells of the text per cell.
    """
    heads, total = trace.anatomy.blocks[layer].n_heads, len(trace.tokens.ids)
    small, found = min(total, side), []
    thumbs = np.empty((heads, small, small), np.uint8)
    for head in range(heads):
        pattern = np.asarray(trace.head_map(layer, head, "pattern"), np.float32)
        thumbs[head] = quantised(pool(pattern, small))
        found.append(label_head(pattern, trace.tokens.ids))
    return {
        "layer": layer,
        "thumbs": thumbs,
        "may": _may(trace, layer, small),
        "label": [kind for kind, _score in found],
        "score": np.array([score for _kind, score in found], np.float32),
        "pooled": -(-total // small),
    }


def write_norms(trace: Trace, layer: int) -> dict[str, np.ndarray]:
    """Norms of what one block writes to every lane: ``attn`` (of attn_out) and ``mlp`` (of mlp_out), float32 [T]."""
    return {part: norms(trace, f"blocks.{layer}.{part}_out") for part in ("attn", "mlp")}


def writes_payload(found: dict[int, dict[str, np.ndarray]], layers: int, query: int) -> dict[str, Any]:
    """What each block wrote to one token: ``attn`` ``mlp`` float32 [L] (NaN: not computed yet), ``query``."""
    out: dict[str, Any] = {part: np.full(layers, np.nan, np.float32) for part in ("attn", "mlp")}
    for layer, written in found.items():
        for part, values in written.items():
            out[part][layer] = values[query]
    return out | {"query": query}


def next_payload(trace: Trace, position: int, sampled: int | None = None, listed: int = LISTED) -> dict[str, Any]:
    """The distribution over the token after `position`: softmax over the full vocabulary.

    The likeliest K tokens are listed; the drawn one takes the last place if it is none of them.

    Returns:
        ``position``, ``tensors`` (names of its logits and probabilities), ``left`` (name of what the others hold), ``ids`` int32 [K], ``strings``,
        ``probability`` float32 [K], ``others`` (how many tokens are not listed), ``rest`` (their probability together), ``vocab``,
        ``sampled`` (the drawn token's place in the list, -1: nothing drawn).
    """
    logits = np.asarray(trace.logits_at(position).values, np.float64)
    weights = np.exp(logits - logits.max())
    probability = weights / weights.sum()
    order = np.argsort(-logits, kind="stable")
    ids = order[:listed].copy()
    if sampled is not None and sampled not in ids:
        ids[-1] = sampled  # the token that was drawn is shown even if it is an unlikely one
    at = np.flatnonzero(ids == sampled) if sampled is not None else np.zeros(0, int)
    own = ("logits", "probs", f"probs.{others_name(order, ids.tolist())}")
    logit, share, left = (trace.lens_name(trace.anatomy.n_layers, position, name) for name in own)
    return {
        "position": position,
        "tensors": [logit, share],
        "left": left,
        "ids": ids.astype(np.int32),
        "strings": token_strings(trace, ids),
        "probability": probability[ids].astype(np.float32),
        "others": int(len(probability) - len(ids)),
        "rest": float(np.delete(probability, ids).sum()),
        "vocab": len(probability),
        "sampled": int(at[0]) if at.size else -1,
    }


def token_strings(trace: Trace, ids: np.ndarray) -> list[str]:
    """What to show for token ids; a trace opened without its model knows only their numbers."""
    if trace.model is None:
        return [f"#{i}" for i in ids.tolist()]
    return list(trace.model.tokens([int(i) for i in ids]).strings)
