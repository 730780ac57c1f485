"""Mixtures of experts: which experts a token is routed to, with which weights, and their outputs.

Shazeer et al., arXiv:1701.06538; Mixtral, arXiv:2401.04088; DeepSeek-V3, arXiv:2412.19437. ``slot`` counts a token's chosen experts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from txpanel.models.anatomy import Experts
from txpanel.models.parts import LinearMap
from txpanel.models.routing import route
from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Values, no_weights, number, short


@dataclass(frozen=True)
class ExpertChoice(Operation):
    """Which experts a token goes to: int64 [T, k]. Input: router logits [T, n]."""

    kind: ClassVar[str] = "choice"
    experts: Experts = field(default_factory=lambda: Experts(1, 1, 0, "softmax-topk"))
    bias: Tensor | None = None

    def recompute(self, x: Values) -> Tensor:
        return route(x[self.inputs[0]], self.experts, self.bias)[0]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        chosen = int(self.recompute(x)[cell])
        logit = number(x[self.inputs[0]][cell[0], chosen])
        return [
            Term(
                float(chosen),
                f"expert {chosen}: among the {self.experts.k} highest of {self.experts.n}",
                (self.at(self.inputs[0], cell[0], chosen),),
                (logit,),
            )
        ]


@dataclass(frozen=True)
class ExpertWeight(Operation):
    """The weight of each chosen expert: [T, k]. Inputs: router logits [T, n], chosen experts [T, k]."""

    kind: ClassVar[str] = "expert weight"
    experts: Experts = field(default_factory=lambda: Experts(1, 1, 0, "softmax-topk"))
    bias: Tensor | None = None

    def recompute(self, x: Values) -> Tensor:
        return route(x[self.inputs[0]], self.experts, self.bias)[1]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        expert = int(x[self.inputs[1]][cell])
        logit = number(x[self.inputs[0]][cell[0], expert])
        sources = (self.at(self.inputs[0], cell[0], expert), self.at(self.inputs[1], *cell))
        return [
            Term(
                number(self.recompute(x)[cell]),
                f"{self.experts.router} of router[{expert}]",
                sources,
                (logit, float(expert)),
            )
        ]


@dataclass(frozen=True)
class ExpertLinear(Operation):
    """``y[t, s, o] = sum_i x[t, (s,) i] W[e, o, i] + b[e, o]`` with e the token's s-th expert. Inputs: x, chosen experts [T, k]."""

    kind: ClassVar[str] = "expert linear"
    map: LinearMap | None = None
    symbol: str = "W"

    def recompute(self, x: Values) -> Tensor:
        if self.map is None:
            raise no_weights(self.output)
        value, index = x[self.inputs[0]], x[self.inputs[1]]
        value = value if value.dim() == 3 else value[:, None].expand(-1, index.shape[1], -1)
        y = torch.empty(*index.shape, self.map.outputs, dtype=torch.float32)
        for expert in index.unique().tolist():
            here, bias = index == expert, self.map.offset(expert)
            out = value[here] @ self.map.matrix(expert).T
            y[here] = out if bias is None else out + bias
        return y

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.map is None:
            raise no_weights(self.output)
        (token, slot, out), name = cell, self.inputs[0]
        expert = int(x[self.inputs[1]][token, slot])
        whole = x[name]
        vector = whole[token, slot] if whole.dim() == 3 else whole[token]
        row, bias = self.map.row(out, expert), self.map.offset(expert)
        products = (vector.double() * row.double()).tolist()
        terms = []
        for i, (v, a, w) in enumerate(zip(products, vector.tolist(), row.tolist(), strict=True)):
            place = (token, slot, i) if whole.dim() == 3 else (token, i)
            sources = (self.at(name, *place), Source(self.map.name, self.map.weight_index(out, i, expert)))
            terms.append(Term(v, f"{short(name)}[{i}] · {self.symbol}[{i}]", sources, (a, w)))
        if bias is not None:
            b = number(bias[out])
            terms.append(Term(b, "b", (Source(self.map.bias_name, self.map.bias_index(out, expert)),), (b,)))
        return terms


@dataclass(frozen=True)
class Mix(Operation):
    """``y[t] = factor sum_s weight[t, s] out[t, s]``, plus the shared expert's output. Inputs: weights, outputs (, shared)."""

    kind: ClassVar[str] = "mix"
    factor: float = 1.0

    def recompute(self, x: Values) -> Tensor:
        total = (x[self.inputs[0]][..., None] * x[self.inputs[1]]).sum(1) * self.factor
        return total + x[self.inputs[2]] if len(self.inputs) > 2 else total

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        token, out = cell
        weights, outputs = x[self.inputs[0]][token].tolist(), x[self.inputs[1]][token, :, out].tolist()
        by = "" if self.factor == 1.0 else f" · {self.factor:g}"
        terms = [
            Term(
                w * y * self.factor,
                f"weight[{s}] · expert_out[{s}]{by}",
                (self.at(self.inputs[1], token, s, out), self.at(self.inputs[0], token, s)),
                (y, w),
            )
            for s, (w, y) in enumerate(zip(weights, outputs, strict=True))
        ]
        if len(self.inputs) > 2:
            shared = number(x[self.inputs[2]][cell])
            terms.append(Term(shared, "shared expert", (self.at(self.inputs[2], *cell),), (shared,)))
        return terms


@dataclass(frozen=True)
class Switched(Operation):
    """``y[t, i] = f(s[t]) x[t, i]``: one gate for a whole vector. Inputs: gates [T, 1] or [H, T, 1], vectors."""

    kind: ClassVar[str] = "switch"
    function: Callable[[Tensor], Tensor] = torch.sigmoid
    function_name: str = "sigmoid"

    def recompute(self, x: Values) -> Tensor:
        return self.function(x[self.inputs[0]]) * x[self.inputs[1]]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        at = (*cell[:-1], 0)
        gate, value = number(self.function(x[self.inputs[0]][at])), number(x[self.inputs[1]][cell])
        sources = (self.at(self.inputs[1], *cell), self.at(self.inputs[0], *at))
        return [
            Term(
                gate * value,
                f"{self.function_name}({short(self.inputs[0])}) · {short(self.inputs[1])}",
                sources,
                (value, gate),
            )
        ]
