"""Adapters of peft inside a model: which there are, which are on, and what each does to the matrix that it sits on.

They are told by peft's own classes, which are only looked at where peft is loaded: without it no model has any. What an active
adapter does is read for the kinds whose formula stands in :mod:`txpanel.models.linear_map`; every other kind is named and refused.
A merged adapter is part of the plain weights, and one that is turned off does nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import Adapter
from txpanel.models.as_in_use import modules_of
from txpanel.models.linear_map import LinearMap, LowRank, Rescale

__all__ = [
    "active",
    "adapted",
    "core",
    "described",
    "inner_model",
    "inside",
    "is_layer",
    "known",
    "layers",
    "plain",
    "refuse_foreign",
    "unread",
    "whole",
    "would_be_on",
]

LORA = re.compile(r"peft\.tuners\.lora\.(layer|bnb|gptq|awq|aqlm|hqq|eetq|inc|torchao)")
"""Modules with the classes that add ``scale * B A x`` to what their base layer gives, however its weights are stored."""
LORA_LAYERS = re.compile(r"Linear|Linear8bitLt|Linear4bit|\w*LoraLinear|\w*QuantLinear")


def _tuners() -> Any:
    return sys.modules.get("peft.tuners.tuners_utils")


def is_layer(module: object) -> bool:
    """Whether a module is one that peft has put in the place of a layer, with the layer inside."""
    tuners, other = _tuners(), sys.modules.get("peft.utils.other")
    kinds = [getattr(tuners, "BaseTunerLayer", None), getattr(other, "AuxiliaryTrainingWrapper", None)]
    return isinstance(module, tuple(kind for kind in kinds if kind is not None))


def layers(model: nn.Module) -> list[Any]:
    """All layers of peft in a model (see `is_layer`)."""
    return [module for module in modules_of(model) if is_layer(module)] if _tuners() else []


def inner_model(model: nn.Module) -> nn.Module:
    """The model of transformers inside peft's; the model itself where it is none of peft's.

    Raises:
        Unsupported: in words, for adapters that are not layers inside the model (prompt tuning, prefix tuning).
    """
    peft = sys.modules.get("peft.peft_model")
    if peft is None or not isinstance(model, (peft.PeftModel, sys.modules["peft.mixed_model"].PeftMixedModel)):
        return model
    outer: Any = model
    names = outer.active_adapters if not callable(outer.active_adapters) else outer.active_adapters()
    for name in [names] if isinstance(names, str) else names:
        kind = outer.peft_config.get(name)
        if kind is not None and getattr(kind, "is_prompt_learning", False):
            raise Unsupported(
                _(
                    "The adapter “{name}” is of the kind {kind}: it puts learned vectors before the text or its keys. They "
                    "are not tokens, so the run cannot be shown token by token. Open the model without it "
                    "(model.get_base_model())."
                ).format(name=name, kind=_kind(kind))
            )
    tuner = outer.base_model
    found: nn.Module = tuner.model if isinstance(tuner, _tuners().BaseTuner) else tuner
    return found


def _kind(config: Any) -> str:
    found = getattr(config, "peft_type", "")
    return str(getattr(found, "value", found))


def active(module: Any) -> tuple[str, ...]:
    """Names of the adapters that a layer of peft applies now, in order; without those that are merged into its weights."""
    if module.disable_adapters or module.merged_adapters:
        return ()
    set_to = module.active_adapter
    return would_be_on(module, (set_to,) if isinstance(set_to, str) else tuple(set_to))


def would_be_on(module: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of some adapters take part in a layer of peft when they are set to be active."""
    if _is_wrapper(module):  # all of them, or none: with another one beside it, the original module runs
        return names[:1] if set(names) <= set(module._adapters) else ()
    there = known(module)
    return tuple(name for name in names if name in there)


def known(module: Any) -> set[str]:
    """Names of the adapters that a layer of peft has, on or off."""
    if _is_wrapper(module):
        return set(module._adapters)
    return {str(key) for part in module.adapter_layer_names for key in getattr(module, part, ())}


def _is_wrapper(module: Any) -> bool:
    return "original_module" in module._modules


def inside(module: Any) -> Any:
    """The original module inside a layer of peft."""
    return module.original_module if _is_wrapper(module) else module.base_layer


def plain(module: Any) -> Any:
    """The module that does the work: where peft has another one in its place (``modules_to_save``, layer norm tuning) or none of its adapters is on.

    Raises:
        Unsupported: an adapter that is on does something to this module that is no replacement.
    """
    while is_layer(module):
        found = whole(module)
        if found is None:
            raise _unread(module, active(module))
        module = found
    return module


def whole(module: Any) -> Any:
    """The module that a layer of peft calls instead of adding to one: the original one, or an adapter's own copy. ``None``: it adds to it."""
    names = active(module)
    if not names:
        return inside(module)
    if type(module).__name__ == "ModulesToSaveWrapper":
        return module.modules_to_save[names[0]]
    if type(module).__module__.startswith("peft.tuners.ln_tuning"):
        return module.ln_tuning_layers[names[0]]
    return None


def core(module: Any) -> Any:
    """The innermost module inside layers of peft, whatever they add to it: it has the class and the settings that the model's code relies on."""
    while is_layer(module):
        module = whole(module) or inside(module)
    return module


def _unread(module: Any, names: tuple[str, ...]) -> Unsupported:
    kind = type(module).__module__.removeprefix("peft.tuners.").split(".")[0]
    what = f"{kind}, {type(module).__name__}" if kind != "peft" else type(module).__name__
    return Unsupported(
        _(
            "The adapter “{name}” changes a layer in a way that txpanel does not support: {what}. Turn it off, or "
            "merge it into the weights (model.merge_and_unload()), and open the model again."
        ).format(name=names[-1], what=what)
    )


def adapted(module: Any, base: LinearMap, names: dict[int, str]) -> LinearMap:
    """A linear layer's matrix with what peft's layer around it makes of it at the moment.

    Args:
        module: peft's layer. base: the matrix of the layer inside. names: of parameters, by their identity.

    Raises:
        Unsupported: in words, for kinds of adapters that are not read.
    """
    on = active(module)
    if not on:
        return base
    kind = type(module)
    if base.adapted:  # nested layers of peft: the order in which they apply is not defined
        raise _unread(module, on)
    if kind.__module__ == "peft.tuners.ia3.layer" or kind.__module__ == "peft.tuners.ia3.bnb":
        factors = tuple(Rescale(name, names[id(p)], p) for name in on for p in [module.ia3_l[name]])
        return replace(base, scaled_in=factors) if module.is_feedforward else replace(base, scaled_out=factors)
    if LORA.match(kind.__module__) and LORA_LAYERS.fullmatch(kind.__name__):
        return replace(base, updates=tuple(_update(module, name, base.rows, names) for name in on))
    raise _unread(module, on)


def _update(module: Any, name: str, rows: Tensor | None, names: dict[int, str]) -> LowRank:
    variant = getattr(module, "lora_variant", {}).get(name)
    kind = getattr(variant, "__name__", type(variant).__name__) if variant is not None else ""
    up, down = module.lora_B[name], module.lora_A[name]
    if kind not in ("", "DoraLinearVariant") or (kind and up.bias is not None):
        raise Unsupported(
            _(
                "The adapter “{name}” is a variant of LoRA that txpanel does not support ({kind}). Turn it off, or merge "
                "it into the weights (model.merge_and_unload()), and open the model again."
            ).format(name=name, kind=kind.removesuffix("LinearVariant") or type(module).__name__)
        )
    magnitude = module.lora_magnitude_vector[name].weight if kind else None
    bias = {} if up.bias is None else {"bias": up.bias, "bias_name": names[id(up.bias)]}
    return LowRank(
        adapter=name,
        down=LinearMap(names[id(down.weight)], down.weight),
        up=LinearMap(names[id(up.weight)], up.weight, rows=rows, **bias),
        scale=float(module.scaling[name]),
        alpha=float(module.lora_alpha.get(name, 0.0)),
        magnitude=magnitude,
        magnitude_name="" if magnitude is None else names[id(magnitude)],
    )


def described(maps: dict[str, LinearMap]) -> dict[str, tuple[Adapter, ...]]:
    """What adapters do to each of some matrices, as plain facts; what q, k and v in one weight share has one name."""
    sharing: dict[str, list[str]] = {}
    for part, found in maps.items():
        for update in found.updates:
            sharing.setdefault(update.down.name, []).append(part)
    return {part: tuple(_facts(part, found, sharing)) for part, found in maps.items() if found.adapted}


def _facts(part: str, found: LinearMap, sharing: dict[str, list[str]]) -> Iterator[Adapter]:
    words: set[str] = set()
    for update in found.updates:
        word = re.sub(r"\W", "_", update.adapter)
        word = word if word not in words else f"{word}_{len(words)}"
        words.add(word)
        rank, size = update.down.stored.shape
        at = "".join(sharing[update.down.name]) if part in ("q", "k", "v") else "_".join(sharing[update.down.name])
        yield Adapter(
            update.adapter, update.method, int(rank), update.alpha, update.scale, int(size),
            latent=f"{at}_lora_{word}", gain=f"{part}_dora_{word}" if update.magnitude is not None else "",
        )  # fmt: skip
    for method, factors in (("IA3", found.scaled_out), ("IA3 inputs", found.scaled_in)):
        for factor in factors:
            yield Adapter(factor.adapter, method, size=factor.stored.numel())


def refuse_foreign(model: nn.Module) -> None:
    """Refuse modules that peft has put in the place of whole attention layers (adaption prompts).

    Raises:
        Unsupported: in words.
    """
    if _tuners() is None:
        return
    for module in modules_of(model):
        if type(module).__module__.startswith("peft.tuners.adaption_prompt"):
            raise Unsupported(
                _(
                    "An adapter of peft has replaced the model's attention ({kind}), which txpanel does not support. Remove "
                    "it and open the model again."
                ).format(kind=type(module).__name__)
            )


def unread(model: nn.Module, read: set[int]) -> Iterator[tuple[nn.Module, str]]:
    """Layers of peft that are on and that the inspector has not read, each with the reason to show.

    Args:
        read: ``id`` of each layer that was read.
    """
    for module in layers(model):
        names = active(module)
        if names and id(module) not in read:
            yield module, str(_unread(module, names))
