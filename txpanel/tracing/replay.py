"""Running one block again on its recorded input, keeping every tensor inside it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.models.anatomy import BlockAnatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.parts import BlockParts, LinearMap
from txpanel.tracing.capture import AttentionCall, allowed, listening

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class BlockTrace:
    """What one replayed block computed.

    Attributes:
        tensors: recorded values by short name (``ln1``, ``q``, ...), float32 on the CPU. output: the block's output [T, D], as computed.
        calls: how often attention ran (always 1, unless the block computes it in a way that is not observed).
    """

    tensors: dict[str, Tensor]
    output: Tensor
    calls: int


def replay(model: LanguageModel, layer: int, stream: Tensor, call: Call, route: str | None = None) -> BlockTrace:
    """Run block ``layer`` alone on its recorded input and call arguments.

    Args:
        stream: the block's input [T, D]. call: its other arguments. route: ``registry`` or ``mode``, see :mod:`txpanel.tracing.capture`; for tests.

    Raises:
        Unsupported: if the attention call could not be observed.
    """
    facts, parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
    args, kwargs = call
    kwargs = {**kwargs, "use_cache": False} if "use_cache" in kwargs else kwargs
    kept: dict[str, Tensor] = {}
    hooks = [tap(kept) for tap in _taps(facts, parts)]
    try:
        with model.lock, torch.inference_mode(), listening(parts.attn, route) as observed:
            output = parts.block(stream[None], *args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    output = (output[0] if isinstance(output, tuple) else output)[0].detach()
    if observed.calls == 0 or observed.q is None:
        raise Unsupported(
            f"The attention of block {layer} in '{model.anatomy.family}' could not be observed, so it is not shown. The rest of the block is."
        )
    kept.update(_attention(facts, parts, observed, kwargs, args))
    tensors = {name: value.float().cpu() if value.is_floating_point() else value.cpu() for name, value in kept.items()}
    return BlockTrace(tensors, output, observed.calls)


def _taps(facts: BlockAnatomy, parts: BlockParts) -> list[Callable[[dict[str, Tensor]], Any]]:
    """Hooks to set: each keeps one module's output (or input) under the tensor's name."""
    taps: list[Callable[[dict[str, Tensor]], Any]] = []

    def on(module: nn.Module | None, keep: Callable[[dict[str, Tensor], Any, Any], None]) -> None:
        if module is not None:
            taps.append(lambda kept: module.register_forward_hook(lambda _m, args, out: keep(kept, args, out)))

    for name in ("ln1", "ln2"):
        if name in parts.norms:
            on(parts.norms[name].module, _output(name))
    for name, norm in (("attn_out", "attn_norm"), ("mlp_out", "mlp_norm")):
        if norm in parts.norms:
            on(parts.norms[norm].module, _output(name))
    _tap_projections(on, facts, parts)
    _tap_mlp(on, facts, parts)
    raw = facts.norm_place in ("sandwich", "branch") or facts.residual_multiplier != 1.0
    on(parts.modules["o"], _output("attn_proj" if raw else "attn_out"))
    if "ln2" in parts.norms and not facts.parallel and facts.norm_place in ("pre", "sandwich"):
        on(parts.norms["ln2"].module, lambda kept, args, out: kept.__setitem__("resid_mid", _rows(args[0])))
    return taps


def _output(name: str) -> Callable[[dict[str, Tensor], Any, Any], None]:
    return lambda kept, args, out: kept.__setitem__(name, _rows(out))


def _rows(x: Any) -> Tensor:
    """[1, T, D] or [T, D] -> [T, D]; a copy, since some blocks go on adding into the same tensor (Falcon)."""
    x = x[0] if isinstance(x, tuple) else x
    return (x[0] if x.dim() == 3 else x).detach().clone()


def _split(x: Tensor, map_: LinearMap, heads: int) -> Tensor:
    """A projection's output as [H, T, D], taken apart where q, k, v share one weight."""
    x = x if map_.rows is None else x[:, map_.rows.to(x.device)]
    return x.unflatten(-1, (heads, -1)).transpose(0, 1)


def _tap_projections(on: Callable[..., None], facts: BlockAnatomy, parts: BlockParts) -> None:
    """Q and k before rotation and before their norm, where these stand apart from q and k as used."""
    if facts.latent:
        on(parts.modules.get("q_latent"), _output("q_latent"))
        on(
            parts.modules["q"],
            lambda kept, args, out: kept.__setitem__(
                "q_pre_rotary", _split(_rows(out), parts.maps["q"], facts.n_heads)
            ),
        )
        on(
            parts.modules["kv_down"],
            lambda kept, args, out: kept.__setitem__("kv_latent", _rows(out)[:, parts.maps["kv_latent"].rows]),
        )
        return
    for letter, heads in (("q", facts.n_heads), ("k", facts.n_kv_heads)):
        module, map_ = parts.modules.get(letter, parts.modules.get("qkv")), parts.maps[letter]
        name = f"{letter}_proj" if facts.qk_norm else f"{letter}_pre_rotary"
        if facts.qk_norm or (facts.rotary and facts.q_factor == 1.0):
            on(module, lambda kept, args, out, n=name, m=map_, h=heads: kept.__setitem__(n, _split(_rows(out), m, h)))
        if facts.qk_norm and facts.rotary:
            on(
                parts.modules[f"{letter}_norm"],
                lambda kept, args, out, n=f"{letter}_pre_rotary", h=heads: kept.__setitem__(n, _head_major(out[0], h)),
            )


def _head_major(x: Tensor, heads: int) -> Tensor:
    """The output of a q/k norm, in whichever layout the family norms it, as [H, T, D]."""
    if x.dim() == 2:
        return x.unflatten(-1, (heads, -1)).transpose(0, 1).detach()
    return (x if x.shape[0] == heads else x.transpose(0, 1)).detach()


def _tap_mlp(on: Callable[..., None], facts: BlockAnatomy, parts: BlockParts) -> None:
    maps, modules = parts.maps, parts.modules
    if facts.experts:
        on(modules["router"], lambda kept, args, out: _keep_route(kept, out))
        raw = facts.norm_place in ("sandwich", "branch") or facts.residual_multiplier != 1.0
        on(parts.mlp, _output("mlp_proj" if raw else "mlp_out"))
        for name, module in (
            ("shared_pre", "shared_up"),
            ("shared_gate", "shared_gate"),
            ("shared_out", "shared_down"),
        ):
            on(modules.get(module), _output(name))
        return
    if "gate_up" in modules:
        on(
            modules["gate_up"],
            lambda kept, args, out: kept.update(
                mlp_gate=_rows(out)[:, maps["gate"].rows], mlp_pre=_rows(out)[:, maps["up"].rows]
            ),
        )
    else:
        on(modules["up"], _output("mlp_pre"))
        on(modules.get("gate"), _output("mlp_gate"))
    on(modules["down"], lambda kept, args, out: kept.__setitem__("mlp_post", _rows(args[0])))
    raw = facts.norm_place in ("sandwich", "branch") or facts.residual_multiplier != 1.0
    on(modules["down"], _output("mlp_proj" if raw else "mlp_out"))


def _keep_route(kept: dict[str, Tensor], out: Any) -> None:
    """(logits, weights, indices): integer indices are told from weights by their type (their order differs by family)."""
    logits, *rest = out
    kept["router"] = logits.detach()
    kept["expert_index"] = next(x for x in rest if not x.is_floating_point()).detach()
    kept["expert_weight"] = next(x for x in rest if x.is_floating_point()).detach()


def _attention(
    facts: BlockAnatomy, parts: BlockParts, observed: AttentionCall, kwargs: dict[str, Any], args: tuple[Any, ...]
) -> dict[str, Tensor]:
    """q, k, v as used, the mask (bool [Q, S]: which query may attend to which key), ALiBi biases, sinks, and rotary angles."""
    assert observed.q is not None
    assert observed.k is not None
    assert observed.v is not None
    q, k, v = observed.q, observed.k, observed.v
    if k.shape[0] == facts.n_heads and facts.n_kv_heads < facts.n_heads:  # families that repeat k and v themselves
        k, v = k[:: facts.group], v[:: facts.group]
    n, quirk = q.shape[1], parts.quirk
    buffer = getattr(parts.attn, quirk.mask_buffer) if quirk.mask_buffer else None
    mask = observed.mask if observed.mask is not None else kwargs.get("attention_mask")
    look, bias = allowed(mask, n, k.shape[1], quirk.mask_true_means, buffer)
    kept = {"q": q, "k": k, "v": v, "mask": look}
    if facts.alibi:
        kept["alibi"] = _alibi(facts, parts, kwargs, bias, observed.pattern is not None)
    if parts.sinks is not None:
        kept["sinks"] = parts.sinks.detach()
    if facts.rotary:
        kept["rotary_cos"], kept["rotary_sin"] = _angles(facts, parts, kwargs, n)
    return kept


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


def _angles(facts: BlockAnatomy, parts: BlockParts, kwargs: dict[str, Any], n: int) -> tuple[Tensor, Tensor]:
    """Cos and sin of every token's angles, one per pair: [T, dims / 2]."""
    assert facts.rotary is not None
    half = facts.rotary.dims // 2
    table = getattr(parts.attn, "embed_positions", None)
    if table is not None:
        sin, cos = table[:n, :half], table[:n, half:]
        return cos.detach(), sin.detach()
    cos, sin = (x[0].detach() for x in kwargs["position_embeddings"])
    if not cos[
        0
    ].any():  # GPT-J hands them over the other way round (from transformers 5.24 on); the first token's sines are zero
        cos, sin = sin, cos
    if cos.shape[-1] == half:
        return cos, sin
    # one angle per pair, written twice: side by side (cohere) or one half after the other
    twice = bool(half > 1 and torch.equal(cos[:, 0], cos[:, 1]) and torch.equal(cos[:, ::2], cos[:, 1::2]))
    return (cos[:, ::2], sin[:, ::2]) if twice else (cos[:, :half], sin[:, :half])


def collect_calls(model: LanguageModel, ids: list[int], tuple_output: bool) -> list[Call]:
    """Every block's call arguments for a full pass over ``ids``, without running a block: masks and angles only.

    A trace that grew row by row has none for its full length; each block's forward is replaced, for this one pass, by a
    function that keeps its arguments and returns its input.
    """
    calls: list[Call] = []
    blocks = [parts.block for parts in model.parts.blocks]

    def keep(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return (hidden_states, None) if tuple_output else hidden_states

    with model.lock, torch.inference_mode():
        try:
            for block in blocks:
                block.forward = keep
            whole = torch.tensor([ids], device=model.device)
            model.model(input_ids=whole, use_cache=False, **last_logits_only(model.model))
        finally:
            for block in blocks:
                block.__dict__.pop("forward", None)
    return calls


def last_logits_only(model: Any) -> dict[str, int]:
    """The argument that limits the unembedding to the last position, where the family has it."""
    return {"logits_to_keep": 1} if "logits_to_keep" in _takes(type(model).forward) else {}


def with_cache(model: Any, kept: Any) -> dict[str, Any]:
    """The argument with the keys and values of earlier tokens: it is called ``cache`` from transformers 5.24 on."""
    return {"cache" if "cache" in _takes(type(model).forward) else "past_key_values": kept, "use_cache": True}


@cache
def _takes(forward: Hashable) -> frozenset[str]:
    """Names of the arguments of a model's pass."""
    return frozenset(inspect.signature(cast(Callable[..., Any], forward)).parameters)
