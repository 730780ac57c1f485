"""Steps that work cell by cell: sums, factors, soft-caps, activations, gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from txpanel.tracing.operations.base import Cell, Operation, Term, Values, no_weights, number, short


@dataclass(frozen=True)
class Add(Operation):
    """``y = a + b + ...``, as in the residual stream."""

    kind: ClassVar[str] = "add"

    def recompute(self, x: Values) -> Tensor:
        total = x[self.inputs[0]]
        for name in self.inputs[1:]:
            total = total + x[name]
        return total

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        values = [number(x[name][cell]) for name in self.inputs]
        return [
            Term(v, short(name), (self.at(name, *cell),), (v,)) for name, v in zip(self.inputs, values, strict=True)
        ]


@dataclass(frozen=True)
class Times(Operation):
    """``y = factor * x`` (Granite's multipliers, logit scales)."""

    kind: ClassVar[str] = "times"
    factor: float = 1.0

    def recompute(self, x: Values) -> Tensor:
        return x[self.inputs[0]] * self.factor

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        value = number(x[self.inputs[0]][cell])
        return [
            Term(
                value * self.factor,
                f"{short(self.inputs[0])} · {self.factor:.6g}",
                (self.at(self.inputs[0], *cell),),
                (value,),
            )
        ]


@dataclass(frozen=True)
class SoftCap(Operation):
    """``y = cap * tanh(x / cap)`` (Gemma 2, arXiv:2408.00118)."""

    kind: ClassVar[str] = "soft-cap"
    cap: float = 1.0

    def recompute(self, x: Values) -> Tensor:
        return torch.tanh(x[self.inputs[0]] / self.cap) * self.cap

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        value = number(x[self.inputs[0]][cell])
        return [
            Term(
                number(self.recompute(x)[cell]),
                f"{self.cap:g} · tanh({value:.6g} / {self.cap:g})",
                (self.at(self.inputs[0], *cell),),
                (value,),
            )
        ]


def _at(function: Callable[[Tensor], Tensor], x: Tensor, cell: Cell) -> float:
    """One cell of ``function(x)``, computed with its whole row: vectorised and scalar kernels differ in the last digits."""
    return number(function(x[cell[:-1]])[cell[-1]])


@dataclass(frozen=True)
class Activation(Operation):
    """``y = act(x)``: the model's own activation function, one cell at a time."""

    kind: ClassVar[str] = "activation"
    function: Callable[[Tensor], Tensor] | None = None
    function_name: str = ""

    def recompute(self, x: Values) -> Tensor:
        if self.function is None:
            raise no_weights(self.output)
        return self.function(x[self.inputs[0]])

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.function is None:
            raise no_weights(self.output)
        value = number(x[self.inputs[0]][cell])
        label = f"{self.function_name}({short(self.inputs[0])} = {value:.6g})"
        return [Term(_at(self.function, x[self.inputs[0]], cell), label, (self.at(self.inputs[0], *cell),), (value,))]


@dataclass(frozen=True)
class Gate(Operation):
    """``y = act(gate) * up`` (GLU variants, Shazeer, arXiv:2002.05202). Inputs: gate, up."""

    kind: ClassVar[str] = "gate"
    function: Callable[[Tensor], Tensor] | None = None
    function_name: str = ""

    def recompute(self, x: Values) -> Tensor:
        if self.function is None:
            raise no_weights(self.output)
        return self.function(x[self.inputs[0]]) * x[self.inputs[1]]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.function is None:
            raise no_weights(self.output)
        gate, up = (x[name][cell] for name in self.inputs)
        act = _at(self.function, x[self.inputs[0]], cell)
        sources = tuple(self.at(name, *cell) for name in self.inputs)
        return [
            Term(act * number(up), f"{self.function_name}(gate = {number(gate):.6g}) · up", sources, (act, number(up)))
        ]


@dataclass(frozen=True)
class ClampedGate(Operation):
    """GPT-OSS's gate: ``(up + 1) * g * sigmoid(alpha g)`` with g at most ``limit`` and up within ±``limit``. Inputs: gate, up."""

    kind: ClassVar[str] = "gate"
    limit: float = 7.0
    alpha: float = 1.702

    def recompute(self, x: Values) -> Tensor:
        gate, up = x[self.inputs[0]].clamp(max=self.limit), x[self.inputs[1]].clamp(-self.limit, self.limit)
        return (up + 1) * (gate * torch.sigmoid(gate * self.alpha))

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        gate, up = (x[name][cell] for name in self.inputs)
        glu = number(gate.clamp(max=self.limit) * torch.sigmoid(gate.clamp(max=self.limit) * self.alpha))
        clamped = number(up.clamp(-self.limit, self.limit))
        sources = tuple(self.at(name, *cell) for name in self.inputs)
        return [
            Term(glu * clamped, "swish(gate) · up", sources, (glu, clamped)),
            Term(glu, "swish(gate) · 1", sources[:1], (glu,)),
        ]
