"""Steps that work cell by cell: sums, factors, soft-caps, activations, gates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Values, no_weights, number, short


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
                _at(lambda row: torch.tanh(row / self.cap) * self.cap, x[self.inputs[0]], cell),
                f"{self.cap:g} · tanh({value:.6g} / {self.cap:g})",
                (self.at(self.inputs[0], *cell),),
                (value,),
            )
        ]


@dataclass(frozen=True)
class Clip(Operation):
    """``y = min(max(x, -limit), limit)`` (MPT, OLMo, DBRX)."""

    kind: ClassVar[str] = "clip"
    limit: float = 0.0

    def recompute(self, x: Values) -> Tensor:
        return x[self.inputs[0]].clamp(-self.limit, self.limit)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        value, name = number(x[self.inputs[0]][cell]), short(self.inputs[0])
        if abs(value) <= self.limit:
            return [Term(value, f"{name}, within ±{self.limit:g}", (self.at(self.inputs[0], *cell),), (value,))]
        kept = self.limit if value > 0 else -self.limit
        return [
            Term(
                kept, f"{kept:g}: {name} = {value:.6g} is beyond the limit", (self.at(self.inputs[0], *cell),), (value,)
            )
        ]


def _at(function: Callable[[Tensor], Tensor], x: Tensor, cell: Cell) -> float:
    """One cell of ``function(x)``, computed with its whole row: vectorised and scalar kernels differ in the last digits."""
    return number(function(x[cell[:-1]])[cell[-1]])


def _rounding(x: float) -> float:
    """How far two kernels of an activation may differ, such as the vectorised and the scalar one: GELU rounds intermediate values as large as x."""
    return 4 * torch.finfo(torch.float32).eps * abs(x)


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

    def slack_at(self, x: Values, cell: Cell) -> float:
        return _rounding(number(x[self.inputs[0]][cell]))

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

    def slack_at(self, x: Values, cell: Cell) -> float:
        gate, up = (number(x[name][cell]) for name in self.inputs)
        return _rounding(gate * up)

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


@dataclass(frozen=True)
class MaskDropped(Operation):
    """ESM's rows of tokens: ``y[t] = x[t] * 0.88 / (1 - masks / T)``, and 0 at a mask. Inputs: x [T, D], token ids [T].

    The model was trained with 80 % of 15 % of the tokens masked, and keeps the sum of the rows as large as then.
    """

    kind: ClassVar[str] = "mask dropped"
    mask: int = 0
    KEPT: ClassVar[float] = 1 - 0.15 * 0.8

    def _factor(self, ids: Tensor) -> float:
        share = torch.tensor(int((ids == self.mask).sum())).float() / len(ids)
        return float(self.KEPT / (1 - share)) if float(share) < 1 else math.nan

    def recompute(self, x: Values) -> Tensor:
        value, ids = (x[name] for name in self.inputs)
        share = (ids == self.mask).sum().float() / len(ids)
        return value.masked_fill((ids == self.mask)[:, None], 0.0) * self.KEPT / (1 - share)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        name, token = self.inputs
        value, ids = (x[source] for source in self.inputs)
        source = (self.at(name, *cell), Source(token, {"token": cell[0]}))
        factor, row = self._factor(ids), number(value[cell])
        if int(ids[cell[0]]) == self.mask:
            made, said = (
                (math.nan, "0 / 0: all tokens are mask tokens") if math.isnan(factor) else (0.0, "0: a mask token")
            )
            return [Term(made, said, source, (row, made))]
        return [Term(row * factor, f"{short(name)}[{cell[1]}] · {factor:.6g}", source, (row, factor))]
