"""Which module of a block computes which of its tensors, and the hooks that keep these tensors while the block runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from txpanel.models.anatomy import BlockAnatomy
from txpanel.models.parts import BlockParts, LinearMap
from txpanel.tracing.module_calls import ModuleCall, call_of, rows

__all__ = ["Keep", "opaque_taps", "outputs", "taps"]

Keep = Callable[[dict[str, Tensor], Any, Any], None]
"""Keeps, in a dictionary, something of a module's arguments and output."""


@dataclass(frozen=True)
class _Output:
    """Keeps what a module gives, under a name."""

    name: str

    def __call__(self, kept: dict[str, Tensor], _args: Any, out: Any) -> None:
        kept[self.name] = as_rows(out)


def outputs(facts: BlockAnatomy, parts: BlockParts) -> dict[str, nn.Module]:
    """The tensors of a block, by short name, that are the unchanged output of one of its modules, and that module."""
    found = {keep.name: module for module, keep in _taps(facts, parts) if isinstance(keep, _Output)}
    return found | {_given_by(part, facts): module for part, module in parts.opaque.items() if part != "block"}


def taps(facts: BlockAnatomy, parts: BlockParts, kept: dict[str, Tensor]) -> list[Any]:
    """Register hooks that keep the tensors of a block's opened parts in ``kept``; the caller removes them."""
    return [module.register_forward_hook(_keeping(keep, kept)) for module, keep in _taps(facts, parts)]


def opaque_taps(
    part: str, module: nn.Module, facts: BlockAnatomy, kept: dict[str, Tensor], calls: dict[str, ModuleCall]
) -> list[Any]:
    """Register hooks that keep the input and the output of a part that is not opened, and how it was called; the caller removes them."""
    if part == "block":
        return []
    name = _given_by(part, facts)

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stream, calls[part] = call_of(module, args, kwargs)
        if part in ("mixer", "mlp", "cross"):
            kept[f"{part}_in"] = as_rows(stream)

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        kept[name] = as_rows(rows(output))

    # before the user's own hooks, which may change the input: they run again when the call is repeated
    entered = module.register_forward_pre_hook(before, with_kwargs=True, prepend=True)
    return [entered, module.register_forward_hook(after)]


def _given_by(part: str, facts: BlockAnatomy) -> str:
    """Short name of the tensor that the module of a part that is not opened returns."""
    raw = f"{part}_proj" if after_write(facts) else f"{part}_out"
    norms = {"attn_norm": _written(facts), "mlp_norm": _written_by_mlp(facts)} | {
        norm: norm for norm in ("ln1", "ln2", "cross_ln")
    }
    return norms.get(part, raw)


def after_write(facts: BlockAnatomy) -> bool:
    """Whether something stands between what a sublayer's last module gives and the stream."""
    return facts.norm_place in ("sandwich", "branch") or facts.residual_multiplier != 1.0


def _written(facts: BlockAnatomy) -> str:
    sublayer = "mixer" if "mixer" in facts.opaque else "attn"
    return f"{sublayer}_out" if facts.residual_multiplier == 1.0 else f"{sublayer}_normed"


def _written_by_mlp(facts: BlockAnatomy) -> str:
    return "mlp_out" if facts.residual_multiplier == 1.0 else "mlp_normed"


def _taps(facts: BlockAnatomy, parts: BlockParts) -> list[tuple[nn.Module, Keep]]:
    """The modules to hook, and what is kept of each: its output (or input) under the tensor's name."""
    found: list[tuple[nn.Module, Keep]] = []
    if "block" in facts.opaque:
        return found

    def on(module: nn.Module | None, keep: Keep) -> None:
        if module is not None:
            found.append((module, keep))

    for name, norm in (
        ("ln1", "ln1"),
        ("ln2", "ln2"),
        ("cross_ln", "cross_ln"),
        (_written(facts), "attn_norm"),
        (_written_by_mlp(facts), "mlp_norm"),
    ):
        if norm in parts.norms:
            on(parts.norms[norm].module, _Output(name))
    if facts.has_attention:
        _tap_projections(on, facts, parts)
        on(parts.modules["o"], _Output("attn_proj" if after_write(facts) else "attn_out"))
    if facts.has_mlp:
        _tap_mlp(on, facts, parts)
    middle = parts.norms["ln2"].module if "ln2" in parts.norms else parts.opaque.get("ln2")
    both = facts.has_mixer and facts.mlp_there
    if middle is not None and both and not facts.parallel and facts.norm_place in ("pre", "sandwich"):
        name = "resid_mid_cross" if facts.cross_there else "resid_mid"
        on(middle, lambda kept, args, out: kept.__setitem__(name, as_rows(args[0])))
    if facts.cross_there:
        before = parts.norms["cross_ln"].module if "cross_ln" in parts.norms else parts.opaque.get("cross_ln")
        if facts.norm_place == "pre":
            on(before, lambda kept, args, out: kept.__setitem__("resid_mid", as_rows(args[0])))
        on(parts.modules.get("cross_o"), _Output("cross_out"))
    return found


def _keeping(keep: Keep, kept: dict[str, Tensor]) -> Callable[..., None]:
    """A hook that keeps what a module gave, unless it is of another form than expected: `verify` notices what is missing, and the run goes on."""

    def hook(_module: nn.Module, args: Any, out: Any) -> None:
        with suppress(IndexError, KeyError, RuntimeError, TypeError, ValueError, AttributeError, StopIteration):
            keep(kept, args, out)

    return hook


def as_rows(x: Any) -> Tensor:
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
        on(parts.modules.get("q_latent"), _Output("q_latent"))
        on(
            parts.modules["q"],
            lambda kept, args, out: kept.__setitem__(
                "q_pre_rotary", _split(as_rows(out), parts.maps["q"], facts.n_heads)
            ),
        )
        on(
            parts.modules["kv_down"],
            lambda kept, args, out: kept.__setitem__("kv_latent", as_rows(out)[:, parts.maps["kv_latent"].rows]),
        )
        return
    if facts.clip:  # q and k are clipped after their norm, v has none
        on(
            parts.modules.get("v", parts.modules.get("qkv")),
            lambda kept, args, out: kept.__setitem__(
                "v_unclipped", _split(as_rows(out), parts.maps["v"], facts.n_kv_heads)
            ),
        )
    for letter, heads in (("q", facts.n_heads), ("k", facts.n_kv_heads)):
        module, map_ = parts.modules.get(letter, parts.modules.get("qkv")), parts.maps[letter]
        late = facts.qk_norm_late and facts.rotary
        before = f"{letter}_unclipped" if facts.clip else f"{letter}_pre_rotary"
        name = f"{letter}_proj" if facts.qk_norm and not late else before
        if facts.qk_norm or facts.clip or (facts.rotary and facts.q_factor == 1.0):
            on(module, lambda kept, args, out, n=name, m=map_, h=heads: kept.__setitem__(n, _split(as_rows(out), m, h)))
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
    return (x if first else x.transpose(0, 1)).detach().clone()  # a copy: some models write into it later


def _tap_mlp(on: Callable[..., None], facts: BlockAnatomy, parts: BlockParts) -> None:
    maps, modules = parts.maps, parts.modules
    if facts.experts:
        on(modules["router"], lambda kept, args, out: _keep_route(kept, out))
        if not parts.shared_outside:
            on(parts.mlp, _Output("mlp_proj" if after_write(facts) else "mlp_out"))
        for name, module in (
            ("shared_switch", "shared_switch"),
            ("shared_pre", "shared_up"),
            ("shared_gate", "shared_gate"),
            ("shared_out", "shared_down"),
        ):
            on(modules.get(module), _Output(name))
        return
    if "gate_up" in modules:
        on(
            modules["gate_up"],
            lambda kept, args, out: kept.update(
                mlp_gate=as_rows(out)[:, maps["gate"].rows], mlp_pre=as_rows(out)[:, maps["up"].rows]
            ),
        )
    else:
        on(modules["up"], _Output("mlp_pre"))
        on(modules.get("gate"), _Output("mlp_gate"))
    on(modules["down"], lambda kept, args, out: kept.__setitem__("mlp_post", as_rows(args[0])))
    on(modules["down"], _Output("mlp_proj" if after_write(facts) else "mlp_out"))


def _keep_route(kept: dict[str, Tensor], out: Any) -> None:
    """(logits, weights, indices): integer indices are told from weights by their type (their order differs by family)."""
    logits, *rest = out
    kept["router"] = logits.detach()
    kept["expert_index"] = next(x for x in rest if not x.is_floating_point()).detach()
    kept["expert_weight"] = next(x for x in rest if x.is_floating_point()).detach()
