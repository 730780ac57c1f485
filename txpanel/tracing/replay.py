"""Running one block again on its recorded input, keeping every tensor inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import BlockAnatomy, Cross
from txpanel.models.language_model import LanguageModel
from txpanel.models.parts import BlockParts, LinearMap
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
    """What is heard of a block while it runs."""

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
        """All of it, by short name; rotary angles apart (`angles`).

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
    """Inside, everything in a block is kept while it runs; to be entered with the model's turn."""
    found = Listening(model, layer)
    facts, parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
    hooks = [tap(found.taps) for tap in _taps(facts, parts)]
    for part, module in parts.opaque.items():
        hooks += _hear(part, module, facts, found)
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


def _hear(part: str, module: nn.Module, facts: BlockAnatomy, found: Listening) -> list[Any]:
    """Hooks that keep the input, the output and the call of a part that is not opened."""
    if part == "block":
        return []
    raw = f"{part}_proj" if after_write(facts) else f"{part}_out"
    norms = {"attn_norm": _written(facts), "mlp_norm": _written_by_mlp(facts)} | {
        norm: norm for norm in ("ln1", "ln2", "cross_ln")
    }
    name = norms.get(part, raw)

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stream, found.opaque[part] = call_of(module, args, kwargs)
        if part in ("mixer", "mlp", "cross"):
            found.taps[f"{part}_in"] = _rows(stream)

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        found.taps[name] = _rows(rows(output))

    return [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]


def after_write(facts: BlockAnatomy) -> bool:
    """Whether something stands between what a sublayer's last module gives and the stream."""
    return facts.norm_place in ("sandwich", "branch") or facts.residual_multiplier != 1.0


def _written(facts: BlockAnatomy) -> str:
    sublayer = "mixer" if "mixer" in facts.opaque else "attn"
    return f"{sublayer}_out" if facts.residual_multiplier == 1.0 else f"{sublayer}_normed"


def _written_by_mlp(facts: BlockAnatomy) -> str:
    return "mlp_out" if facts.residual_multiplier == 1.0 else "mlp_normed"


def _taps(facts: BlockAnatomy, parts: BlockParts) -> list[Callable[[dict[str, Tensor]], Any]]:
    """Hooks to set: each keeps one module's output (or input) under the tensor's name."""
    taps: list[Callable[[dict[str, Tensor]], Any]] = []
    if "block" in facts.opaque:
        return taps

    def on(module: nn.Module | None, keep: Callable[[dict[str, Tensor], Any, Any], None]) -> None:
        if module is not None:
            taps.append(lambda kept: module.register_forward_hook(lambda _m, args, out: _heard(keep, kept, args, out)))

    for name, norm in (
        ("ln1", "ln1"),
        ("ln2", "ln2"),
        ("cross_ln", "cross_ln"),
        (_written(facts), "attn_norm"),
        (_written_by_mlp(facts), "mlp_norm"),
    ):
        if norm in parts.norms:
            on(parts.norms[norm].module, _output(name))
    if facts.has_attention:
        _tap_projections(on, facts, parts)
        on(parts.modules["o"], _output("attn_proj" if after_write(facts) else "attn_out"))
    if facts.has_mlp:
        _tap_mlp(on, facts, parts)
    middle = parts.norms["ln2"].module if "ln2" in parts.norms else parts.opaque.get("ln2")
    both = facts.has_mixer and facts.mlp_there
    if middle is not None and both and not facts.parallel and facts.norm_place in ("pre", "sandwich"):
        name = "resid_mid_cross" if facts.cross_there else "resid_mid"
        on(middle, lambda kept, args, out: kept.__setitem__(name, _rows(args[0])))
    if facts.cross_there:
        before = parts.norms["cross_ln"].module if "cross_ln" in parts.norms else parts.opaque.get("cross_ln")
        if facts.norm_place == "pre":
            on(before, lambda kept, args, out: kept.__setitem__("resid_mid", _rows(args[0])))
        on(parts.modules.get("cross_o"), _output("cross_out"))
    return taps


def _heard(keep: Callable[..., None], kept: dict[str, Tensor], args: Any, out: Any) -> None:
    """Keep what a module gave, unless it is of another form than expected: what is missing then is noticed by `verify`, and the run goes on."""
    with suppress(IndexError, KeyError, RuntimeError, TypeError, ValueError, AttributeError, StopIteration):
        keep(kept, args, out)


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
    if facts.clip:  # q and k are clipped after their norm, v has none
        on(
            parts.modules.get("v", parts.modules.get("qkv")),
            lambda kept, args, out: kept.__setitem__(
                "v_unclipped", _split(_rows(out), parts.maps["v"], facts.n_kv_heads)
            ),
        )
    for letter, heads in (("q", facts.n_heads), ("k", facts.n_kv_heads)):
        module, map_ = parts.modules.get(letter, parts.modules.get("qkv")), parts.maps[letter]
        late = facts.qk_norm_late and facts.rotary
        before = f"{letter}_unclipped" if facts.clip else f"{letter}_pre_rotary"
        name = f"{letter}_proj" if facts.qk_norm and not late else before
        if facts.qk_norm or facts.clip or (facts.rotary and facts.q_factor == 1.0):
            on(module, lambda kept, args, out, n=name, m=map_, h=heads: kept.__setitem__(n, _split(_rows(out), m, h)))
        if facts.qk_norm and (facts.rotary or facts.clip) and not late:
            on(
                parts.modules[f"{letter}_norm"],
                lambda kept, args, out, n=before, p=name, h=heads: kept.__setitem__(
                    n, _head_major(out[0], args[0][0], kept[p], h)
                ),
            )


def _head_major(x: Tensor, given: Tensor, projected: Tensor, heads: int) -> Tensor:
    """The output of a q/k norm, in whichever layout the family norms it, as [H, T, D].

    Args:
        given: what the norm was given, in that same layout. projected: the same as [H, T, D]: a text may have as many tokens as there are heads.
    """
    if x.dim() == 2:
        return x.unflatten(-1, (heads, -1)).transpose(0, 1).detach().clone()
    first = x.shape[0] == heads and (x.shape[1] != heads or bool(torch.equal(given, projected)))
    return (x if first else x.transpose(0, 1)).detach().clone()  # some go on working in the same tensor


def _tap_mlp(on: Callable[..., None], facts: BlockAnatomy, parts: BlockParts) -> None:
    maps, modules = parts.maps, parts.modules
    if facts.experts:
        on(modules["router"], lambda kept, args, out: _keep_route(kept, out))
        if not parts.shared_outside:
            on(parts.mlp, _output("mlp_proj" if after_write(facts) else "mlp_out"))
        for name, module in (
            ("shared_switch", "shared_switch"),
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
    on(modules["down"], _output("mlp_proj" if after_write(facts) else "mlp_out"))


def _keep_route(kept: dict[str, Tensor], out: Any) -> None:
    """(logits, weights, indices): integer indices are told from weights by their type (their order differs by family)."""
    logits, *rest = out
    kept["router"] = logits.detach()
    kept["expert_index"] = next(x for x in rest if not x.is_floating_point()).detach()
    kept["expert_weight"] = next(x for x in rest if x.is_floating_point()).detach()


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
    if not cos[
        0
    ].any():  # GPT-J hands them over the other way round (from transformers 5.24 on); the first token's sines are zero
        cos, sin = sin, cos
    if facts.rotary.backwards:
        sin = -sin
    if cos.shape[-1] == half:
        return cos, sin
    # one angle per pair, written twice: side by side (cohere) or one half after the other
    twice = bool(half > 1 and torch.equal(cos[:, 0], cos[:, 1]) and torch.equal(cos[:, ::2], cos[:, 1::2]))
    return (cos[:, ::2], sin[:, ::2]) if twice else (cos[:, :half], sin[:, :half])
