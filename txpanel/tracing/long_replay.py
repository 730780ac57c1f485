"""Running one block of a long text again in pieces, so that other threads can use the model in between.

Each piece is a pass of the model in which only the block in question runs: the others return their input. So the model's own code
computes mask and angles, and keys and values of the pieces before come from a cache, as in the recording (:mod:`txpanel.tracing.record`).
If the recording had the same pieces, the block's output is the recorded one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache

from txpanel.models.language_model import LanguageModel
from txpanel.tracing.module_calls import handed_on, rows, taken
from txpanel.tracing.passes import last_logits_only, skipping, with_cache
from txpanel.tracing.replay import BlockTrace, angles, as_recorded, listened
from txpanel.tracing.rows import RoomyLayer, roomy_cache, roomy_layer

OF_THE_LAST = ("k", "v", "sinks")
"""Tensors that the last piece has for all tokens."""


@dataclass
class _Piece:
    """The results for some tokens: kept tensors, the block's output [n, D], how often attention ran, and its other arguments."""

    kept: dict[str, Tensor]
    output: Tensor
    calls: int
    kwargs: dict[str, Any]


def replay_in_pieces(
    model: LanguageModel, layer: int, stream: Tensor, ids: list[int], ends: list[int], tuple_output: int
) -> BlockTrace:
    """Run block ``layer`` alone on its recorded input, as `replay` does.

    Args:
        stream: the block's input [T, D]. ids: the T tokens. ends: where the pieces end, the last one at T.
        tuple_output: length of the tuple that a block returns; 0: it returns the stream alone.

    Raises:
        Unsupported: if the attention call could not be observed.
    """
    block = roomy_layer()
    found = [
        _piece(model, layer, stream, ids, start, end, _cache(model, layer, block, start), tuple_output)
        for start, end in pairwise([0, *ends])
    ]
    facts, parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
    kept = {name: _joined(name, [piece.kept[name] for piece in found], len(ids)) for name in found[0].kept}
    if facts.rotary and facts.has_attention:
        pairs = [piece.kwargs["position_embeddings"] for piece in found if "position_embeddings" in piece.kwargs]
        whole = tuple(torch.cat(some, dim=1) for some in zip(*pairs, strict=True))
        kept["rotary_cos"], kept["rotary_sin"] = angles(facts, parts, {"position_embeddings": whole}, len(ids))
    return BlockTrace(as_recorded(kept), torch.cat([piece.output for piece in found]), max(p.calls for p in found))


def _piece(
    model: LanguageModel,
    layer: int,
    stream: Tensor,
    ids: list[int],
    start: int,
    end: int,
    cache: DynamicCache,
    tuple_output: int,
) -> _Piece:
    made: list[_Piece] = []

    def work(forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            hidden_states, (args, kwargs) = taken(given, named)
            with listened(model, layer) as listening:
                output = rows(forward(stream[None, start:end], *args, **kwargs))
            made.append(_Piece(listening.kept(args, kwargs), output.detach(), listening.calls, kwargs))
            return handed_on(hidden_states, tuple_output)

        return run

    with model.lock, model.running(), skipping(model, tuple_output, {layer: work}):
        fresh = torch.tensor([ids[start:end]], device=model.device)
        model.forward(fresh, **with_cache(model.model, cache), **last_logits_only(model.model))
    return made[0]


def _cache(model: LanguageModel, layer: int, block: RoomyLayer, length: int) -> DynamicCache:
    """A cache of ``length`` tokens with the keys and values of one block; the other blocks, which do not run, have placeholders of that length."""
    cache = roomy_cache()
    for i in range(model.anatomy.n_layers if length else 0):
        if i == layer:
            cache.layers.append(block)
            continue
        empty = roomy_layer()
        nothing = torch.zeros(1, 1, 1, 1, dtype=model.dtype, device=model.device)
        empty.lazy_initialization(nothing, nothing)
        empty.keys = empty.values = nothing.expand(1, 1, length, 1)
        cache.layers.append(empty)
    if not length:
        cache.layers.extend(block if i == layer else roomy_layer() for i in range(layer + 1))
    return cache


def _joined(name: str, pieces: list[Tensor], tokens: int) -> Tensor:
    """The pieces of one tensor joined: q and the like [H, T, d], the mask [T, S], others [T, D]."""
    if name in OF_THE_LAST or (name == "alibi" and pieces[-1].shape[1] == 1):
        return pieces[-1]
    if name in ("mask", "alibi"):  # a piece has as many keys as there were then
        pieces = [pad(piece, (0, tokens - piece.shape[-1])) for piece in pieces]
    return torch.cat(pieces, dim=-2)
