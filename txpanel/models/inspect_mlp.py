"""Reading the parts of an MLP, dense or a mixture of experts, and the matrices of any module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from inspect import unwrap
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models import adapters
from txpanel.models.anatomy import Experts
from txpanel.models.masked_tokens import predicts_masked_tokens
from txpanel.models.parts import BlockParts, LinearMap, first
from txpanel.models.quantised import packed_weight, refuse_packed
from txpanel.models.quirks import QUIRKS, Quirk
from txpanel.models.routing import follows

OUTER = ("routed_scaling_factor", "moe_routed_scaling_factor")
"""Attributes of a mixture that may be a factor on the sum of its experts."""


def _only_linear(router: Any) -> nn.Module | None:
    """The matrix of a router that keeps it in a module of its own."""
    inner = list(_linear(router)) if router is not None else []
    return inner[0] if len(inner) == 1 else None


def _linear(module: nn.Module) -> Iterator[nn.Module]:
    """The matrices in a module, each with what an adapter adds to it as one."""
    if isinstance(adapters.core(module), nn.Linear):
        yield module
        return
    for child in module.children():
        yield from _linear(child)


def _weight(router: Any) -> Tensor:
    found: Any = router if getattr(router, "weight", None) is not None else _only_linear(router)
    weight: Tensor = found.weight
    return weight


def written_activation(module: nn.Module) -> Any:
    """A function of an activation's name that a module's code calls, such as ESM's own ``gelu``; ``None``: it calls none."""
    forward = unwrap(type(module).forward)
    named = [name for name in forward.__code__.co_names if name in set(ACT2FN)]
    return next((found for name in named if isinstance(found := forward.__globals__.get(name), FunctionType)), None)


class MLPInspector:
    """The part of the inspector that reads MLPs; holds the model, its config and the names of its parameters and modules."""

    def __init__(self, model: nn.Module, config: Any, family: str, quirk: Quirk, names: dict[int, str]) -> None:
        self.model, self.config, self.family, self.quirk, self.names = model, config, family, quirk, names
        self.adapters_read: set[int] = set()
        self.fills = predicts_masked_tokens(adapters.inner_model(model))

    def fail(self, what: str) -> Unsupported:
        """The error for something that is not where it should be; ``what``: its name in words."""
        return Unsupported(_("not found where models of this kind keep it: {what}").format(what=what))

    def _parent(self, module: nn.Module) -> nn.Module:
        """The module that holds another one."""
        return self.model.get_submodule(self.names.get(id(module), "").rpartition(".")[0])

    def linear(self, module: Any, rows: Tensor | None = None) -> LinearMap:
        """The matrix of a linear module, or some of its output rows; with what adapters make of it."""
        if adapters.is_layer(module):
            self.adapters_read.add(id(module))
            whole = adapters.whole(module)
            if whole is not None:
                return self.linear(whole, rows)
            return adapters.adapted(module, self.linear(adapters.inside(module), rows), self.names)
        packed = packed_weight(module)
        weight, bias = module.weight, getattr(module, "bias", None)
        return LinearMap(
            name=self.names.get(id(weight), "weight"), stored=weight, transposed=type(module).__name__ == "Conv1D", rows=rows,
            bias=bias, bias_name=self.names.get(id(bias), "bias"), packed=packed,
        )  # fmt: skip

    def plain(self, module: Any) -> Any:
        """The module that does the work, where peft has put another one in its place (:func:`txpanel.models.adapters.plain`)."""
        at = module
        while adapters.is_layer(at):
            self.adapters_read.add(id(at))
            at = adapters.whole(at) or adapters.inside(at)
        return adapters.plain(module)

    def _stack(self, weight: Tensor, flipped: bool, rows: Tensor | None, bias: Tensor | None) -> LinearMap:
        return LinearMap(
            name=self.names.get(id(weight), "experts"), stored=weight, transposed=flipped, rows=rows, stacked=True,
            bias=bias, bias_name=self.names.get(id(bias), "bias"),
        )  # fmt: skip

    def _mlp(self, parts: BlockParts, facts: dict[str, Any]) -> None:
        experts = self.plain(getattr(parts.mlp, "experts", None))
        if experts is not None:
            self._experts(parts, experts, facts)
            return
        owner: Any = parts.mlp
        up, gate, down, fused = (first(owner, part) for part in ("up", "gate", "down", "gate_up"))
        if down is None or (up is None and fused is None):
            raise self.fail(_("the two projections of the MLP"))
        self._dense(parts.maps, parts.modules, "", up, gate, down, fused)
        facts["gated"] = "gate" in parts.maps
        facts["n_neurons"] = parts.maps["up"].outputs
        facts["mlp_bias"] = parts.maps["down"].bias is not None
        facts["activation"] = self._activation_name(gated=facts["gated"])
        is_known = facts["activation"] in ACT2FN  # its `get` gives the class, not a function
        known = ACT2FN[facts["activation"]] if is_known else None
        written = written_activation(self._parent(up)) if up is not None else None
        parts.activation = first(owner, "act") or first(parts.block, "act") or written or known
        if parts.activation is None:
            raise self.fail(_("the activation function of the MLP"))

    def _dense(
        self,
        maps: dict[str, LinearMap],
        modules: dict[str, nn.Module],
        prefix: str,
        up: Any,
        gate: Any,
        down: Any,
        fused: Any,
    ) -> None:
        modules[prefix + "down"], maps[prefix + "down"] = down, self.linear(down)
        if fused is not None:
            size = self.linear(fused).outputs // 2
            modules[prefix + "gate_up"] = fused
            maps[prefix + "gate"] = self.linear(fused, torch.arange(size))
            maps[prefix + "up"] = self.linear(fused, torch.arange(size, 2 * size))
            return
        modules[prefix + "up"], maps[prefix + "up"] = up, self.linear(up)
        if gate is not None:
            modules[prefix + "gate"], maps[prefix + "gate"] = gate, self.linear(gate)

    def _activation_name(self, gated: bool = False) -> str:
        """The activation's name in the config; for a family that has it only in its code, the usual one, which is then verified."""
        keys = ("activation_function", "hidden_activation", "hidden_act", "activation")
        found = next((value for key in keys if isinstance(value := getattr(self.config, key, None), str)), None)
        return found or ("silu" if gated and self.family not in QUIRKS else self.quirk.activation)

    def _experts(self, parts: BlockParts, experts: Any, facts: dict[str, Any]) -> None:
        mlp: Any = parts.mlp
        router = first(mlp, "router")
        refuse_packed(experts)
        matrix = router if getattr(router, "weight", None) is not None else _only_linear(router)
        if matrix is None or not hasattr(experts, "gate_up_proj"):
            raise self.fail(_("the router or the stacked weights of the experts"))
        fused, down = experts.gate_up_proj, experts.down_proj
        flipped = fused.shape[-1] != self.linear(matrix).stored.shape[-1]
        size = fused.shape[-1 if flipped else -2] // 2
        gate_rows, up_rows = torch.arange(size), torch.arange(size, 2 * size)
        if self.quirk.unfuse_gate == "interleaved":
            gate_rows, up_rows = torch.arange(0, 2 * size, 2), torch.arange(1, 2 * size, 2)
        bias, down_bias = getattr(experts, "gate_up_proj_bias", None), getattr(experts, "down_proj_bias", None)
        for name, rows in (("gate", gate_rows), ("up", up_rows)):
            parts.maps[name] = self._stack(fused, flipped, rows, bias)
        parts.maps["down"] = self._stack(down, flipped, None, down_bias)
        parts.maps["router"] = self.linear(matrix)
        parts.modules.update(router=router, experts=experts)
        parts.activation = getattr(experts, "act_fn", None)
        shared = first(mlp, "shared") or first(parts.block, "shared")
        if shared is not None:
            pieces = [first(shared, name) for name in ("up", "gate", "down", "gate_up")]
            self._dense(parts.maps, parts.modules, "shared_", *pieces)
        switch = first(mlp, "shared_gate")
        if switch is not None:
            parts.modules["shared_switch"], parts.maps["shared_switch"] = switch, self.linear(switch)
        outside = parts.mlp is not parts.block and shared is not None and first(mlp, "shared") is None
        parts.shared_outside = outside
        clamped = hasattr(experts, "alpha") and hasattr(experts, "limit")
        if parts.activation is None and not clamped:
            raise self.fail(_("the activation function of the experts"))
        facts.update(
            gated=True, n_neurons=size, mlp_bias=down_bias is not None,
            activation="clamped swiglu" if clamped else self._activation_name(),
            gate_kind="clamped" if clamped else "plain",
            swiglu_limit=float(experts.limit) if clamped else 0.0, swiglu_alpha=float(experts.alpha) if clamped else 0.0,
            experts=replace(self._router(router, clamped, 0 if shared is None else parts.maps["shared_up"].outputs), switch=switch is not None),
        )  # fmt: skip
        facts["experts"], parts.router_bias = follows(router, parts.maps["router"].matrix(), mlp, facts["experts"])
        scale = next(
            (float(getattr(mlp, name)) for name in OUTER if isinstance(getattr(mlp, name, None), (int, float))), 1.0
        )
        if facts["experts"].factor == 1.0 and scale != 1.0:
            facts["experts"] = replace(facts["experts"], outer=scale)

    def _router(self, router: Any, clamped: bool, shared: int) -> Experts:
        n = int(next(filter(None, (getattr(router, "num_experts", None), len(_weight(router))))))
        k, norm = int(router.top_k), bool(getattr(router, "norm_topk_prob", True))
        if hasattr(router, "num_group"):
            return Experts(
                n,
                k,
                shared,
                "sigmoid-groups",
                router.num_group,
                router.topk_group,
                norm,
                float(router.routed_scaling_factor),
            )
        kind: Any = "topk-softmax" if clamped else "softmax-topk-norm" if norm else "softmax-topk"
        return Experts(n, k, shared, kind)
