"""Measures of vectors and distributions that views show: norms, cosines, entropy, surprisal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from txpanel.models.parts import LinearMap
from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Values, no_weights, number, short


def _shares(row: Tensor) -> list[float]:
    """What each number adds to the length of its vector: ``x[i]^2 / |x|``."""
    return list((row * row / (torch.linalg.vector_norm(row) or 1.0)).tolist())


def _sizes(a: Tensor, b: Tensor) -> Tensor:
    """``|a| |b|`` along the last axis: what a cosine is divided by."""
    return torch.linalg.vector_norm(a, dim=-1) * torch.linalg.vector_norm(b, dim=-1)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Along the last axis; 0 where one of them is 0."""
    size = _sizes(a, b)
    return torch.where(size > 0, (a * b).sum(-1) / size, torch.zeros_like(size)).float()


def _cosine_terms(
    a: Tensor, b: Tensor, names: tuple[str, str], sources: Callable[[int], tuple[Source, ...]]
) -> list[Term]:
    """What each pair of numbers adds to the cosine. `names` of the two vectors, and the `sources` of the pair at a place."""
    size, (one, other) = number(_sizes(a, b)) or 1.0, names
    products = zip((a * b).tolist(), a.tolist(), b.tolist(), strict=True)
    return [
        Term(v / size, f"{one.format(i=i)} · {other.format(i=i)} / {size:.6g}", sources(i), (m, n))
        for i, (v, m, n) in enumerate(products)
    ]


@dataclass(frozen=True)
class Length(Operation):
    """``|x| = sqrt(sum_i x[i]^2)``, of the last axis: it is the sum of ``x[i]^2 / |x|``."""

    kind: ClassVar[str] = "length"

    def recompute(self, x: Values) -> Tensor:
        return torch.linalg.vector_norm(x[self.inputs[0]].double(), dim=-1).float()

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        row, name = x[self.inputs[0]][cell].double(), short(self.inputs[0])
        return [
            Term(share, f"{name}[{i}]² / ‖{name}‖", (self.at(self.inputs[0], *cell, i),), (v,))
            for i, (share, v) in enumerate(zip(_shares(row), row.tolist(), strict=True))
        ]


@dataclass(frozen=True)
class Cosine(Operation):
    """``cos = sum_i a[i] b[i] / (|a| |b|)``, of the last axis; 0 where one of them is 0."""

    kind: ClassVar[str] = "cosine"

    def recompute(self, x: Values) -> Tensor:
        a, b = (x[name].double() for name in self.inputs)
        return _cosine(a, b)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        a, b = (x[name][cell].double() for name in self.inputs)
        one, other = (short(name) for name in self.inputs)
        return _cosine_terms(
            a, b, (f"{one}[{{i}}]", f"{other}[{{i}}]"), lambda i: tuple(self.at(name, *cell, i) for name in self.inputs)
        )


@dataclass(frozen=True)
class RowCosine(Operation):
    """The cosine of two rows of a table."""

    kind: ClassVar[str] = "cosine"
    table_name: str = ""
    table: Tensor | None = None
    rows: tuple[int, int] = (0, 0)

    def recompute(self, x: Values) -> Tensor:
        return _cosine(*self._vectors())

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        one, other = (f"W_E[{row}, {{i}}]" for row in self.rows)
        return _cosine_terms(
            *self._vectors(),
            (one, other),
            lambda i: tuple(Source(self.table_name, {"row": row, "column": i}) for row in self.rows),
        )

    def _vectors(self) -> tuple[Tensor, Tensor]:
        if self.table is None:
            raise no_weights(self.output)
        a, b = self.table[list(self.rows)].detach().cpu().double()
        return a, b


@dataclass(frozen=True)
class WriteLength(Operation):
    """``|x[n] W[:, n]|``: norm of what one neuron adds to the residual stream; it is the sum of its squares divided by it. Input: [T, N]."""

    kind: ClassVar[str] = "length"
    map: LinearMap | None = None

    def recompute(self, x: Values) -> Tensor:
        return x[self.inputs[0]].abs() * torch.linalg.vector_norm(self._map().matrix().cpu(), dim=0)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        down, expert, name = self._map(), self._expert(x, cell), short(self.inputs[0])
        value, column = number(x[self.inputs[0]][cell]), down.matrix(expert)[:, cell[-1]].cpu().double()
        shares = _shares(column * value)
        return [
            Term(
                share,
                f"({name} · W_down[{i}])² / size",
                (self.at(self.inputs[0], *cell), Source(down.name, down.weight_index(i, cell[-1], expert))),
                (value, w),
            )
            for i, (share, w) in enumerate(zip(shares, column.tolist(), strict=True))
        ]

    def _map(self) -> LinearMap:
        if self.map is None:
            raise no_weights(self.output)
        return self.map

    def _expert(self, x: Values, cell: Cell) -> int | None:
        """The expert whose weights are used; None for a dense MLP."""
        return None


@dataclass(frozen=True)
class ExpertWriteLength(WriteLength):
    """The same for the chosen experts of a mixture, before their weights. Inputs: values [T, k, N], chosen experts [T, k]."""

    def recompute(self, x: Values) -> Tensor:
        sizes, index = x[self.inputs[0]].abs(), x[self.inputs[1]]
        for expert in index.unique().tolist():
            sizes[index == expert] *= torch.linalg.vector_norm(self._map().matrix(expert).cpu(), dim=0)
        return sizes

    def _expert(self, x: Values, cell: Cell) -> int | None:
        return int(x[self.inputs[1]][cell[:-1]])


@dataclass(frozen=True)
class Entropy(Operation):
    """``H = -sum_i p[i] log2 p[i]`` in bits, of the last axis."""

    kind: ClassVar[str] = "entropy"

    def recompute(self, x: Values) -> Tensor:
        p = x[self.inputs[0]].double()
        return -torch.special.xlogy(p, p).sum(-1).div(math.log(2)).float()

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        row, name = x[self.inputs[0]][cell].double(), short(self.inputs[0])
        bits = (-torch.special.xlogy(row, row) / math.log(2)).tolist()
        return [
            Term(v, f"-{name}[{i}] · log₂ {name}[{i}]", (self.at(self.inputs[0], *cell, i),), (p,))
            for i, (v, p) in enumerate(zip(bits, row.tolist(), strict=True))
        ]


@dataclass(frozen=True)
class Surprisal(Operation):
    """``-log2 p[id]`` in bits, of the token that follows. Inputs: probabilities [V] after the token before it, token ids."""

    kind: ClassVar[str] = "surprisal"
    token: int = 0

    def recompute(self, x: Values) -> Tensor:
        return -torch.log2(x[self.inputs[0]][int(x[self.inputs[1]][self.token])])

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        chosen = int(x[self.inputs[1]][self.token])
        p = number(x[self.inputs[0]][chosen])
        sources = (self.at(self.inputs[0], chosen), Source(self.inputs[1], {"token": self.token}))
        return [Term(number(self.recompute(x)), f"-log₂ {p:.6g}", sources, (p, float(chosen)))]
