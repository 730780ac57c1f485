"""Running one block again on its recorded input, keeping every tensor inside it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import BlockAnatomy, Cross
from txpanel.models.language_model import LanguageModel
from txpanel.models.parts import BlockParts
from txpanel.tracing.block_taps import opaque_taps, taps
from txpanel.tracing.capture import AttentionCall, allowed, listening
from txpanel.tracing.module_calls import Call, ModuleCall, call_of, rows


@dataclass(frozen=True)
class BlockTrace:
    """What one replayed block computed.

    Attributes:
        tensors: recorded values by short name (``ln1``, ``q``, ...), float32 on the CPU. output: the block's output [T, D], as computed.
        calls: how often attention ran (always 1, unless the block computes it in a way that is not observed; 0 without an opened attention).
        opaque: how the modules of parts that are not opened were called, by part.
    """

    tensors: dict[str, Tensor]
    output: Tensor
    calls: int
    opaque: dict[str, ModuleCall] = field(default_factory=dict)


def replay(model: LanguageModel, layer: int, stream: Tensor, call: Call, route: str | None = None) -> BlockTrace:
    """Run block ``layer`` alone on its recorded input and call arguments.

    Args:
        stream: the block's input [T, D]. call: its other arguments, without a cache.
        route: ``registry`` or ``mode``, see :mod:`txpanel.tracing.capture`; for tests.

    Raises:
        Unsupported: if the attention call could not be observed.
    """
    args, kwargs = call
    facts, parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
    with model.lock, model.running(), listened(model, layer, route) as found:
        output = parts.block(stream[None], *args, **kwargs)
    output = rows(output).detach()
    kept = found.kept(args, kwargs)
    if facts.rotary and facts.has_attention:
        kept["rotary_cos"], kept["rotary_sin"] = angles(facts, parts, kwargs, stream.shape[0])
    whole = {"block": call_of(parts.block, (stream[None], *args), kwargs)[1]} if "block" in facts.opaque else {}
    return BlockTrace(as_recorded(kept), output, found.calls, {**found.opaque, **whole})


class Listening:
    """What the hooks on a block keep while it runs."""

    def __init__(self, model: LanguageModel, layer: int) -> None:
        self._family, self._layer = model.anatomy.family, layer
        self._facts, self._parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
        self.taps: dict[str, Tensor] = {}
        self.opaque: dict[str, ModuleCall] = {}
        self.observed: AttentionCall | None = None
        self.crossing: AttentionCall | None = None

    @property
    def calls(self) -> int:
        """How often attention ran."""
        return self.observed.calls if self.observed is not None else 0

    def kept(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor]:
        """The kept tensors by short name, without rotary angles (`angles`).

        Args:
            args, kwargs: with which the block was called.

        Raises:
            Unsupported: if the attention call could not be observed.
        """
        if self.crossing is not None and self._facts.cross is not None:
            self.taps.update(_crossed(self._facts.cross, self.crossing))
        if self.observed is None:
            return self.taps
        if self.observed.calls == 0 or self.observed.q is None:
            words = _(
                "The attention of blocks.{layer} in '{family}' could not be observed, so it is not shown. "
                "The rest of the block is."
            )
            raise Unsupported(words.format(layer=self._layer, family=self._family))
        return {**self.taps, **_attention(self._facts, self._parts, self.observed, kwargs, args)}


@contextmanager
def listened(model: LanguageModel, layer: int, route: str | None = None) -> Iterator[Listening]:
    """Inside, the tensors in a block are kept while it runs; enter it with the model's lock held."""
    found = Listening(model, layer)
    facts, parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
    hooks = taps(facts, parts, found.taps)
    for part, module in parts.opaque.items():
        hooks += opaque_taps(part, module, facts, found.taps, found.opaque)
    try:
        with ExitStack() as stack:
            if facts.has_attention and parts.attn is not None:
                found.observed = stack.enter_context(listening(parts.attn, route))
            if facts.cross_there and parts.cross is not None:
                found.crossing = stack.enter_context(listening(parts.cross, route, besides=True))
            yield found
    finally:
        for hook in hooks:
            hook.remove()


def as_recorded(kept: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 (or as they are: masks, indices) on the CPU."""
    return {name: value.float().cpu() if value.is_floating_point() else value.cpu() for name, value in kept.items()}


def _attention(
    facts: BlockAnatomy, parts: BlockParts, observed: AttentionCall, kwargs: dict[str, Any], args: tuple[Any, ...]
) -> dict[str, Tensor]:
    """q, k, v as used, the mask (bool [Q, S]: which query may attend to which key), ALiBi biases, and sinks."""
    assert observed.q is not None
    assert observed.k is not None
    assert observed.v is not None
    q, k, v = observed.q, observed.k, observed.v
    if k.shape[0] == facts.n_heads and facts.n_kv_heads < facts.n_heads:  # families that repeat k and v themselves
        k, v = k[:: facts.group], v[:: facts.group]
    n, quirk = q.shape[1], parts.quirk
    buffer = getattr(parts.attn, quirk.mask_buffer) if quirk.mask_buffer else None
    mask = observed.mask if observed.mask is not None else kwargs.get("attention_mask")
    hides = facts.causal if observed.causal is None else observed.causal
    look, bias = allowed(mask, n, k.shape[1], quirk.mask_true_means, buffer, hides)
    kept = {"q": q, "k": k, "v": v, "mask": look}
    if facts.alibi:
        kept["alibi"] = _alibi(facts, parts, kwargs, bias, observed.pattern is not None)
    if facts.relative and observed.bias is not None:
        kept["position_bias"] = observed.bias
    if parts.sinks is not None:
        kept["sinks"] = parts.sinks.detach()
    return kept


def _crossed(cross: Cross, observed: AttentionCall) -> dict[str, Tensor]:
    """q, k and v of cross-attention as used; nothing where tokens of the source are hidden, or something is added to the scores."""
    q, k, v, mask, bias = observed.q, observed.k, observed.v, observed.mask, observed.bias
    if q is None or k is None or v is None or observed.calls != 1 or (bias is not None and bool(bias.any())):
        return {}
    look, added = allowed(mask, q.shape[1], k.shape[1], "look", None, bool(observed.causal))
    if added is not None or not bool(look.all()):
        return {}
    if k.shape[0] == cross.n_heads and cross.n_kv_heads < cross.n_heads:
        group = cross.n_heads // cross.n_kv_heads
        k, v = k[::group], v[::group]
    return {"cross_q": q, "cross_k": k, "cross_v": v}


def _alibi(
    facts: BlockAnatomy, parts: BlockParts, kwargs: dict[str, Any], folded: Tensor | None, by_hand: bool
) -> Tensor:
    """The ALiBi bias that was added to the scores, [H, 1 or Q, S].

    Falcon folds it, scaled, into the mask; written-out attention adds it as an argument (Falcon's does both, so it counts twice there).
    """
    given = kwargs.get("alibi") if kwargs.get("alibi") is not None else kwargs.get("position_bias")
    if folded is not None and (given is None or not by_hand):
        return folded
    assert given is not None
    factor = float(getattr(parts.attn, "beta", 1.0))
    added = given.detach().cpu().reshape(facts.n_heads, -1, given.shape[-1])[..., -_keys(kwargs, given) :] * factor
    return added if folded is None else folded + added


def _keys(kwargs: dict[str, Any], given: Tensor) -> int:
    """How many keys there are: MPT's table of biases is as long as its longest text."""
    mask = kwargs.get("attention_mask")
    return int(mask.shape[-1] if mask is not None else given.shape[-1])


@cache
def _sines_first(attention: type) -> bool:
    """Whether an attention's code takes the angles the other way round: GPT-J's does, from transformers 5.24 on."""
    try:
        code = inspect.getsource(inspect.unwrap(attention.forward))  # type: ignore[attr-defined]
    except (OSError, TypeError):
        return False
    return re.search(r"\bsin\w*, *cos\w* *= *position_embeddings", code) is not None


def angles(facts: BlockAnatomy, parts: BlockParts, kwargs: dict[str, Any], n: int) -> tuple[Tensor, Tensor]:
    """Cos and sin of every token's angles, one per pair: [T, dims / 2]."""
    assert facts.rotary is not None
    half = facts.rotary.dims // 2
    table = getattr(parts.attn, "embed_positions", None)
    if table is not None:
        sin, cos = table[:n, :half], table[:n, half:]
        return cos.detach(), sin.detach()
    given = kwargs["position_embeddings"]
    if isinstance(given, Tensor):  # complex numbers, one per pair (DeepSeek-V2)
        turns = given[0].detach()
        return turns.real, turns.imag
    cos, sin = (x[0].detach() for x in given)
    if (
        _sines_first(cast("type", type(parts.attn))) or not cos[0].any()
    ):  # without the code: the first token's sines are zero, its cosines are not
        cos, sin = sin, cos
    if facts.rotary.backwards:
        sin = -sin
    if cos.shape[-1] == half:
        return cos, sin
    # one angle per pair, written twice: side by side (cohere) or one half after the other
    twice = bool(half > 1 and torch.equal(cos[:, 0], cos[:, 1]) and torch.equal(cos[:, ::2], cos[:, 1::2]))
    return (cos[:, ::2], sin[:, ::2]) if twice else (cos[:, :half], sin[:, :half])
