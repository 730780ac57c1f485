"""The keys and values that are held of a run, per block, read from the cache itself. Nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from txpanel.tracing.record import prefixes
from txpanel.tracing.trace import Trace

__all__ = ["Kept", "kept"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is held of one block: ``heads`` x ``tokens`` x ``key_dim`` keys, as many values of ``value_dim``; ``item`` bytes for each number."""

    heads: int
    tokens: int
    key_dim: int
    value_dim: int
    nbytes: int
    item: int


def kept(trace: Trace) -> list[Kept]:
    """Keys and values of a run, per block: read from the cache itself; empty if it is not held any more."""
    if trace.model is None:
        return []
    with trace.model.lock:
        held = prefixes(trace.model).holding([int(token) for token in trace.tokens.ids])
    if held is None:
        return []
    found = []
    layers: list[Any] = held.cache.layers
    for layer in layers:
        k, v = layer.keys[0], layer.values[0]  # [kv_heads, T, dim]
        size = k.numel() * k.element_size() + v.numel() * v.element_size()
        found.append(Kept(k.shape[0], k.shape[1], k.shape[2], v.shape[2], size, k.element_size()))
    return found
