"""Norms, with their mean, variance and scale as operations of their own.

LayerNorm: Ba et al., arXiv:1607.06450. RMSNorm: Zhang and Sennrich, arXiv:1910.07467.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from txpanel.models.parts import NormParts
from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Values, no_weights, number, short


def _kept(cell: Cell, over: tuple[int, ...], rank: int) -> Cell:
    """The cell of a statistic that belongs to a cell of the normalised tensor: reduced axes are dropped."""
    dropped = {axis % rank for axis in over}
    return tuple(place for axis, place in enumerate(cell) if axis not in dropped)


def _spread(stat: Tensor, over: tuple[int, ...], rank: int) -> Tensor:
    """A statistic with its reduced axes restored, of size 1."""
    for axis in sorted(a % rank for a in over):
        stat = stat.unsqueeze(axis)
    return stat


@dataclass(frozen=True)
class Mean(Operation):
    """``mean = (1/n) sum_i x[i]``."""

    kind: ClassVar[str] = "mean"
    over: tuple[int, ...] = (-1,)

    def recompute(self, x: Values) -> Tensor:
        return x[self.inputs[0]].mean(self.over)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        return [
            Term(v / count, f"{short(self.inputs[0])}[{i}] / {count}", (source,), (v,))
            for i, count, v, source in _row(self, x, cell, self.over)
        ]


@dataclass(frozen=True)
class Variance(Operation):
    """``var = (1/n) sum_i (x[i] - mean)^2``; for RMSNorm the mean square (the mean is not subtracted)."""

    kind: ClassVar[str] = "variance"
    over: tuple[int, ...] = (-1,)

    def recompute(self, x: Values) -> Tensor:
        value = x[self.inputs[0]]
        centred = value - _spread(x[self.inputs[1]], self.over, value.dim()) if len(self.inputs) > 1 else value
        return centred.pow(2).mean(self.over)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        mean = number(x[self.inputs[1]][cell]) if len(self.inputs) > 1 else 0.0
        off = " - mean" if len(self.inputs) > 1 else ""
        name = short(self.inputs[0])
        return [
            Term((v - mean) ** 2 / n, f"({name}[{i}]{off})² / {n}", (source,), (v,))
            for i, n, v, source in _row(self, x, cell, self.over)
        ]


@dataclass(frozen=True)
class Scale(Operation):
    """``scale = 1 / sqrt(var + eps)``."""

    kind: ClassVar[str] = "scale"
    eps: float = 1e-6

    def recompute(self, x: Values) -> Tensor:
        return torch.rsqrt(x[self.inputs[0]] + self.eps)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        variance = number(x[self.inputs[0]][cell])
        return [
            Term(
                number(self.recompute(x)[cell]),
                f"1 / √({variance:.6g} + {self.eps:g})",
                (self.at(self.inputs[0], *cell),),
                (variance,),
            )
        ]


@dataclass(frozen=True)
class Normalise(Operation):
    """``y[i] = (x[i] - mean) * scale * w[i] + b[i]``; no mean in RMSNorm. Inputs: x, scale, and for LayerNorm mean."""

    kind: ClassVar[str] = "norm"
    parts: NormParts | None = None
    over: tuple[int, ...] = (-1,)
    has_weights: bool = True

    def recompute(self, x: Values) -> Tensor:
        value = x[self.inputs[0]]
        scale = _spread(x[self.inputs[1]], self.over, value.dim())
        centred = value - _spread(x[self.inputs[2]], self.over, value.dim()) if len(self.inputs) > 2 else value
        weight, bias = self._weights(value)
        return centred * scale * weight + bias

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        value, at = x[self.inputs[0]], _kept(cell, self.over, x[self.inputs[0]].dim())
        scale = number(x[self.inputs[1]][at])
        weight, bias = (number(w.expand(value.shape)[cell]) for w in self._weights(value))
        name, own = short(self.inputs[0]), number(value[cell])
        by_weight = (
            (Source(self._name("weight", cell), self._index(value, cell)),)
            if self.parts is not None and self.parts.weight is not None
            else ()
        )
        scaled = (self.at(self.inputs[1], *at), *by_weight)
        factors = (scale, *((weight,) if by_weight else ()))
        symbols = " · scale" + (" · w" if by_weight else "")
        terms = [
            Term(
                own * scale * weight,
                f"{name}[{cell[-1]}]{symbols}",
                (self.at(self.inputs[0], *cell), *scaled),
                (own, *factors),
            )
        ]
        if len(self.inputs) > 2:
            mean = number(x[self.inputs[2]][at])
            terms.append(
                Term(
                    -mean * scale * weight,
                    f"-mean{symbols}",
                    (self.at(self.inputs[2], *at), *scaled),
                    (-mean, *factors),
                )
            )
        if self.parts is not None and self.parts.bias is not None:
            terms.append(Term(bias, "b", (Source(self._name("bias", cell), self._index(value, cell)),), (bias,)))
        return terms

    def _weights(self, value: Tensor) -> tuple[Tensor, Tensor]:
        if self.parts is None:
            if self.has_weights:
                raise no_weights(self.output)
            return torch.ones(1, dtype=torch.float32), torch.zeros(1, dtype=torch.float32)
        weight = (
            torch.ones(1, dtype=torch.float32)
            if self.parts.weight is None
            else self._shaped(self.parts.weight.detach().float() + self.parts.plus_one, value)
        )
        bias = (
            torch.zeros(1, dtype=torch.float32)
            if self.parts.bias is None
            else self._shaped(self.parts.bias.detach().float(), value)
        )
        return weight.to(value.device), bias.to(value.device)

    def _shaped(self, weight: Tensor, value: Tensor) -> Tensor:
        """Weights laid out like ``value``: [dim], or [head, 1, dim] where heads have their own."""
        if weight.dim() == 2:
            return weight[:, None]
        return weight.unflatten(0, (value.shape[0], value.shape[2]))[:, None] if len(self.over) > 1 else weight

    def _name(self, which: str, cell: Cell) -> str:
        if self.parts is None:
            return which
        return f"{self.parts.name}.norms.{cell[0]}.{which}" if self.parts.separate else f"{self.parts.name}.{which}"

    def _index(self, value: Tensor, cell: Cell) -> dict[str, int]:
        assert self.parts is not None
        if self.parts.weight is not None and self.parts.weight.dim() == 2 and not self.parts.separate:
            return {"row": cell[0], "column": cell[-1]}
        return {"row": cell[0] * value.shape[-1] + cell[-1] if len(self.over) > 1 else cell[-1]}


def _row(op: Operation, x: Values, cell: Cell, over: tuple[int, ...]) -> list[tuple[int, int, float, Source]]:
    """(position, count, value, source) of every element that a statistic's cell is taken over."""
    name = op.inputs[0]
    value = x[name]
    axes = sorted(axis % value.dim() for axis in over)
    kept = iter(cell)
    where: tuple[int | slice, ...] = tuple(slice(None) if axis in axes else next(kept) for axis in range(value.dim()))
    row = value[where].flatten()
    shape = [value.shape[axis] for axis in axes]
    rows = []
    for i, v in enumerate(row.tolist()):
        inner = iter((i // shape[1], i % shape[1]) if len(axes) > 1 else (i,))
        place = [next(inner) if isinstance(w, slice) else w for w in where]
        rows.append((i, len(row), v, op.at(name, *place)))
    return rows
