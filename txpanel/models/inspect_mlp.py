"""Reading the parts of an MLP, dense or a mixture of experts, and the matrices of any module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.models.anatomy import Experts
from txpanel.models.parts import BlockParts, LinearMap, first
from txpanel.models.quirks import Quirk


class MLPInspector:
    """The part of the inspector that reads MLPs; holds the model, its config and the names of its parameters and modules."""

    def __init__(self, model: nn.Module, config: Any, family: str, quirk: Quirk, names: dict[int, str]) -> None:
        self.model, self.config, self.family, self.quirk, self.names = model, config, family, quirk, names

    def fail(self, what: str) -> Unsupported:
        """The error for a part that is not where it should be."""
        return Unsupported(
            f"'{self.family}' can't be opened: {what} was not found where models of this kind keep it. Open another model, or report this one."
        )

    def linear(self, module: Any, rows: Tensor | None = None) -> LinearMap:
        """The matrix of a linear module, or some of its output rows."""
        weight, bias = module.weight, getattr(module, "bias", None)
        return LinearMap(
            name=self.names.get(id(weight), "weight"), stored=weight.detach(), transposed=type(module).__name__ == "Conv1D", rows=rows,
            bias=None if bias is None else bias.detach(), bias_name=self.names.get(id(bias), "bias"),
        )  # fmt: skip

    def _stack(self, weight: Tensor, flipped: bool, rows: Tensor | None, bias: Tensor | None) -> LinearMap:
        return LinearMap(
            name=self.names.get(id(weight), "experts"), stored=weight.detach(), transposed=flipped, rows=rows, stacked=True,
            bias=None if bias is None else bias.detach(), bias_name=self.names.get(id(bias), "bias"),
        )  # fmt: skip

    def _mlp(self, parts: BlockParts, facts: dict[str, Any]) -> None:
        experts = getattr(parts.mlp, "experts", None)
        if experts is not None:
            self._experts(parts, experts, facts)
            return
        owner: Any = parts.mlp
        up, gate, down, fused = (first(owner, part) for part in ("up", "gate", "down", "gate_up"))
        if down is None or (up is None and fused is None):
            raise self.fail("the two projections of the MLP")
        self._dense(parts.maps, parts.modules, "", up, gate, down, fused)
        parts.activation = first(owner, "act") or first(parts.block, "act")
        facts["gated"] = "gate" in parts.maps
        facts["n_neurons"] = parts.maps["up"].outputs
        facts["mlp_bias"] = parts.maps["down"].bias is not None
        facts["activation"] = self._activation_name()

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

    def _activation_name(self) -> str:
        keys = ("activation_function", "hidden_activation", "hidden_act", "activation")
        found = next((value for key in keys if isinstance(value := getattr(self.config, key, None), str)), None)
        return found or self.quirk.activation

    def _experts(self, parts: BlockParts, experts: Any, facts: dict[str, Any]) -> None:
        mlp: Any = parts.mlp
        router = first(mlp, "router")
        if router is None or not hasattr(experts, "gate_up_proj"):
            raise self.fail("the router or the stacked weights of the experts")
        fused, down = experts.gate_up_proj, experts.down_proj
        flipped = fused.shape[-1] != parts.norms["ln2"].weight.shape[-1]  # type: ignore[union-attr]
        size = fused.shape[-1 if flipped else -2] // 2
        gate_rows, up_rows = torch.arange(size), torch.arange(size, 2 * size)
        if self.quirk.unfuse_gate == "interleaved":
            gate_rows, up_rows = torch.arange(0, 2 * size, 2), torch.arange(1, 2 * size, 2)
        bias, down_bias = getattr(experts, "gate_up_proj_bias", None), getattr(experts, "down_proj_bias", None)
        for name, rows in (("gate", gate_rows), ("up", up_rows)):
            parts.maps[name] = self._stack(fused, flipped, rows, bias)
        parts.maps["down"] = self._stack(down, flipped, None, down_bias)
        parts.maps["router"] = self.linear(router)
        parts.modules.update(router=router, experts=experts)
        parts.router_bias = getattr(router, "e_score_correction_bias", None)
        parts.activation = getattr(experts, "act_fn", None)
        shared = first(mlp, "shared")
        if shared is not None:
            self._dense(parts.maps, parts.modules, "shared_", shared.up_proj, shared.gate_proj, shared.down_proj, None)
        clamped = hasattr(experts, "alpha") and hasattr(experts, "limit")
        facts.update(
            gated=True, n_neurons=size, mlp_bias=down_bias is not None,
            activation="clamped swiglu" if clamped else self._activation_name(),
            gate_kind="clamped" if clamped else "plain",
            swiglu_limit=float(experts.limit) if clamped else 0.0, swiglu_alpha=float(experts.alpha) if clamped else 0.0,
            experts=self._router(router, clamped, 0 if shared is None else parts.maps["shared_up"].outputs),
        )  # fmt: skip

    def _router(self, router: Any, clamped: bool, shared: int) -> Experts:
        n, k, norm = int(router.num_experts), int(router.top_k), bool(getattr(router, "norm_topk_prob", True))
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
