"""Every array the flow sends to the browser, built here and nowhere else, each one a part of the trace or a declared reduction of it.

Vectors travel as strips (`txpanel.views.flow.strip`); maps travel max-pooled, and say so (``pooled``).

Shapes use one letter per axis: T tokens of the text, n lanes on screen, b bars, H heads, L blocks, P pooled map side, K listed tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.messages import _
from txpanel.models.memory import Store
from txpanel.toolkit.part_words import closed_parts, kind_name, module_of, part_name, state_of, why_closed, writes
from txpanel.tracing.write_norms import norms
from txpanel.views.activation import activation_name
from txpanel.views.flow.strip import BARS, HEAD_BARS, strip
from txpanel.views.flow.window import Window
from txpanel.views.heads import allowed, label_head, pool
from txpanel.views.vectors import array

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = [
    "block_payload",
    "closed_payload",
    "head_payload",
    "head_weights",
    "kept_norms",
    "layer_payload",
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


def _array(trace: Trace, name: str) -> np.ndarray:
    return array(trace.tensor(name))


def _strip(trace: Trace, name: str, axis: str, window: Window) -> dict[str, Any]:
    return strip(_array(trace, name)[window.rows], name, axis)


def _norm(values: np.ndarray) -> np.ndarray:
    return np.linalg.norm(values.astype(np.float64), axis=-1).astype(np.float32)


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
        "causal",
    )
    out = {key: getattr(block, key) for key in keys}
    out["act"] = activation_name(block.activation)
    out["act_brief"] = activation_name(block.activation, brief=True)
    out["rotary"] = block.rotary is not None
    out["experts"] = None if block.experts is None else {"n": block.experts.n, "k": block.experts.k}
    return out | {"mixer": state_of(block, "mixer"), "mlp": state_of(block, "mlp"), "whole": "block" in block.opaque}


def closed_payload(trace: Trace, layer: int) -> dict[str, dict[str, Any]]:
    """The parts of a block that are not opened, by part (``mixer``, ``mlp``, ``block``; a norm by its name).

    Returns:
        For each ``title`` (its kind in words), ``module`` (path, class and size as far as they are known), ``reason`` (a sentence),
        ``reads`` and ``writes`` (names of the tensors, without prefix).
    """
    block = trace.anatomy.blocks[layer]
    out = {}
    for part in block.opaque:
        reads, wrote = {
            "mixer": ("mixer_in", "mixer_out"),
            "mlp": ("mlp_in", "mlp_out"),
            "block": ("block_in", "block_out"),
        }.get(part, ("", part))
        kind = {"mlp": _("MLP"), "block": part_name(block, "block")}.get(part, kind_name(block.kind))
        title = kind if reads else block.norm_kind
        module = module_of(trace.anatomy, layer, part).words
        out[part] = {
            "title": title,
            "module": module,
            "reason": why_closed(block, part),
            "reads": reads,
            "writes": wrote,
        }
    return out


def block_payload(trace: Trace, layer: int, window: Window) -> dict[str, Any]:
    """What depends on the block and not on the head.

    Returns:
        ``layer``, ``anatomy`` (flags and sizes; ``mixer`` and ``mlp``: "open", "opaque" or "" where there is none; ``whole``: the block is run as
        a whole), ``wrote``: the names of what is added to the stream, by ``mixer`` and ``mlp``; ``norms``: float32 [n] each of these, resid_pre and
        resid_post; ``z_norm`` float32 [n, H]; strips of what is added, of what closed parts read (``mixer_in``, ``mlp_in``, ``block_in``), and of
        ``mlp_pre``, ``mlp_post`` and ``mlp_gate`` where they exist; ``closed``: see `closed_payload`;
        ``experts``: ``expert`` int32 [n, k], ``weight`` float32 [n, k] in a mixture, there with a strip ``mlp_post.{slot}`` for each of the k
        slots, and ``shared_post`` of the expert that all tokens share.
    """
    p, block = f"blocks.{layer}.", trace.anatomy.blocks[layer]
    wrote = writes(block)
    streams = {name: _array(trace, p + name)[window.rows] for name in ("resid_pre", *wrote.values(), "resid_post")}
    out: dict[str, Any] = {
        "layer": layer,
        "anatomy": _anatomy(trace, layer),
        "wrote": wrote,
        "closed": closed_payload(trace, layer),
        "norms": {name: _norm(values) for name, values in streams.items()},
        **{name: strip(streams[name], p + name, "feature") for name in wrote.values()},
    }
    if block.has_attention:
        out["z_norm"] = np.ascontiguousarray(_norm(array(trace.rows(p + "z", window.rows))).T)
    for part in closed_parts(block):
        name = out["closed"][part]["reads"]
        out[name] = _strip(trace, p + name, "feature", window)
    for name in ("mlp_gate", "mlp_pre", "mlp_post"):
        if p + name in trace and trace.dims(p + name) == ("token", "neuron"):
            out[name] = _strip(trace, p + name, "neuron", window)
    if p + "expert_index" in trace:
        out |= _experts(trace, p, window)
    return out


def _head_strip(trace: Trace, name: str, head: int, window: Window, axis: str = "head") -> dict[str, Any]:
    return strip(array(trace.rows(name, window.rows, head)), name, "dim", HEAD_BARS, **{axis: head})


def head_payload(trace: Trace, layer: int, head: int, window: Window) -> dict[str, Any]:
    """One head of one block; of a block without an attention that is opened ``layer`` and ``head`` alone.

    Returns:
        ``layer``, ``head``, ``kv``; strips ``q`` ``k`` ``v`` ``z``; ``pattern`` float32 [n, n] (query lane, key lane), its rows'
        rest: ``first`` float32 [n] (weight on token 0) and ``earlier`` float32 [n] (sum over the tokens between it and the window),
        both zero when the window begins at token 0, and all three NaN where the mask forbids (a sliding window leaves out early keys);
        ``map`` uint8 [P, P], the whole text's pattern, max-pooled, 255 = 1, and ``map_may`` uint8 [P, P], 0 where the mask forbids
        all of a cell, both only for a windowed text (else empty); ``pooled`` cells of the text per map cell.
    """
    p, block = f"blocks.{layer}.", trace.anatomy.blocks[layer]
    if not block.has_attention:
        return {"layer": layer, "head": head}
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
    """Whether the mask allows any query and key of a pooled cell: uint8 [side, side], 1 = it does. All heads share it."""
    return np.asarray(pool(allowed(trace, layer, 0).astype(np.uint8), side))


def head_weights(trace: Trace, layer: int, head: int, window: Window) -> dict[str, np.ndarray]:
    """The attention weights on screen: ``pattern`` float32 [n, n], ``first`` and ``earlier`` float32 [n], as in `head_payload`."""
    weights, may = _pattern(trace, layer, head)[window.rows], allowed(trace, layer, head)[window.rows]
    rows, begin = np.where(may, weights, np.float32(np.nan)), window.start
    if not trace.anatomy.blocks[layer].causal:
        return _both_sides(weights, rows, may, window)
    between = slice(1, max(begin, 1))
    earlier = np.where(may[:, between].any(1), weights[:, between].astype(np.float64).sum(1), np.nan)
    nothing = np.zeros(window.count, np.float32)
    return {
        "pattern": np.ascontiguousarray(rows[:, window.rows]),
        "first": np.ascontiguousarray(rows[:, 0]) if begin > 0 else nothing,
        "earlier": earlier.astype(np.float32) if begin > 0 else nothing,
    }


def _both_sides(weights: np.ndarray, rows: np.ndarray, may: np.ndarray, window: Window) -> dict[str, np.ndarray]:
    """`head_weights` of a model without causal mask: ``earlier`` is the sum over all tokens outside of the window, except token 0."""
    apart = np.ones(window.total, bool)
    apart[window.rows] = False
    apart[0] = False
    beside = np.where(may[:, apart].any(1), weights[:, apart].astype(np.float64).sum(1), np.nan)
    return {
        "pattern": np.ascontiguousarray(rows[:, window.rows]),
        "first": np.ascontiguousarray(rows[:, 0]) if window.start > 0 else np.full(window.count, np.nan, np.float32),
        "earlier": beside.astype(np.float32),
    }


def quantised(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as uint8: 0 to 255 for 0 to 1, rounded; off by at most 1/510."""
    return np.asarray(np.rint(np.asarray(probabilities, np.float32) * 255).astype(np.uint8))


def layer_payload(trace: Trace, layer: int, side: int) -> dict[str, Any]:
    """All heads of one block, small, and what the block writes.

    Returns:
        ``layer``; ``thumbs`` uint8 [H, P, P] (patterns, max-pooled to P = min(T, side), 255 = 1); ``may`` uint8 [P, P] (0: the mask
        forbids all of the cell); ``label`` (a code of
        `txpanel.views.heads.LABELS` per head, list of H) and ``score`` float32 [H]; ``pooled`` cells of the text per cell. No maps
        and no labels of a block without an attention that is opened.
    """
    heads, total = trace.anatomy.blocks[layer].n_heads, len(trace.tokens.ids)
    small, found = min(total, side), []
    if not trace.anatomy.blocks[layer].has_attention:
        return {"layer": layer, "label": [], "pooled": -(-total // small)}
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


_WRITTEN: Store[tuple[int, int], dict[str, np.ndarray]] = Store(
    "streams", lambda found: sum(values.nbytes for values in found.values())
)
"""Norms of what blocks write, by run and block; shared by all sessions."""


def write_norms(trace: Trace, layer: int) -> dict[str, np.ndarray]:
    """Norms of what one block writes to every lane: ``attn`` (of attn_out, or of what stands in its place) and ``mlp``, float32 [T]; as far as it has them."""
    found = _WRITTEN.get((trace.uid, layer))
    if found is not None:
        return found
    wrote = writes(trace.anatomy.blocks[layer])
    found = {
        name: norms(trace, f"blocks.{layer}.{wrote[part]}")
        for name, part in (("attn", "mixer"), ("mlp", "mlp"))
        if part in wrote
    }
    return _WRITTEN.put((trace.uid, layer), found, owner=trace.uid)


def kept_norms(trace: Trace) -> dict[int, dict[str, np.ndarray]]:
    """The norms of a run that are kept already, by block; each as `write_norms` returns them, float32 [T]."""
    found = {layer: _WRITTEN.get((trace.uid, layer)) for layer in range(trace.anatomy.n_layers)}
    return {layer: values for layer, values in found.items() if values is not None}


def writes_payload(found: dict[int, dict[str, np.ndarray]], layers: int, query: int) -> dict[str, Any]:
    """What each block wrote to one token: ``attn`` ``mlp`` float32 [L] (NaN: not computed yet, or no such part), ``query``."""
    out: dict[str, Any] = {part: np.full(layers, np.nan, np.float32) for part in ("attn", "mlp")}
    for layer, written in found.items():
        for part, values in written.items():
            out[part][layer] = values[query]
    return out | {"query": query}
