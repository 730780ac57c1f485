"""The keys and values that are held of a run, per block, read from the cache itself. Nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from txpanel.tracing.record import prefixes
from txpanel.tracing.trace import Trace

__all__ = ["Kept", "can_be_continued", "kept", "step_is_counted"]


@dataclass(frozen=True, slots=True)
class Kept:
    """The KV cache of one block: keys [heads, tokens, key_dim] and values [heads, tokens, value_dim], with ``item`` bytes for each number."""

    heads: int
    tokens: int
    key_dim: int
    value_dim: int
    nbytes: int
    item: int


def kept(trace: Trace) -> list[Kept | None]:
    """Keys and values of a run, per block: read from the cache itself; empty if it is not held any more.

    ``None`` for a block of which no keys and values are kept: one whose mixer is another than attention, or that has none.
    """
    if trace.model is None:
        return []
    state = trace.recording.state
    with trace.model.lock:
        held = prefixes(trace.model).holding(
            [int(token) for token in trace.tokens.ids], state.key if state is not None else None
        )
    if held is None:
        return []
    layers: list[Any] = list(held.cache.layers)
    found = [_of_layer(layer) for layer in layers[: trace.anatomy.n_layers]]
    found += [None] * (trace.anatomy.n_layers - len(found))
    return found if any(found) else []


def _of_layer(layer: Any) -> Kept | None:
    keys, values = (getattr(layer, name, None) for name in ("keys", "values"))
    if keys is None or values is None or keys.dim() != 4 or not keys.numel():
        return None
    k, v = keys[0], values[0]  # [kv_heads, T, dim]
    size = k.numel() * k.element_size() + v.numel() * v.element_size()
    return Kept(k.shape[0], k.shape[1], k.shape[2], v.shape[2], size, k.element_size())


def step_is_counted(trace: Trace) -> bool:
    """Whether all products of a step that reads the cache are counted: not those of closed parts and of cross-attention."""
    return (
        not trace.anatomy.fills
        and not trace.anatomy.cross_there
        and all(not {"mixer", "mlp", "block"} & block.opaque.keys() for block in trace.anatomy.blocks)
    )


def can_be_continued(trace: Trace) -> bool:
    """Whether runs of this model can continue the cache of an earlier one."""
    return trace.model is None or trace.model.parts.continues
