"""Matrix products with the model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, einsum

from txpanel.models.parts import LinearMap
from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Values, no_weights, number, short


@dataclass(frozen=True)
class Lookup(Operation):
    """A row of a table: ``y[t] = factor * W[index[t]]``. Input: token ids or positions (int64 [T])."""

    kind: ClassVar[str] = "lookup"
    table_name: str = ""
    table: Tensor | None = None
    factor: float = 1.0
    offset: int = 0
    symbol: str = "W_E"

    def recompute(self, x: Values) -> Tensor:
        if self.table is None:
            raise no_weights(self.output)
        rows = self.table[x[self.inputs[0]] + self.offset]
        return (rows * self.factor if self.factor != 1.0 else rows).float()

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.table is None:
            raise no_weights(self.output)
        row = int(x[self.inputs[0]][cell[0]]) + self.offset
        weight = number(self.table[row, cell[1]].float())
        factor = "" if self.factor == 1.0 else f" · {self.factor:.6g}"
        sources = (Source(self.table_name, {"row": row, "column": cell[1]}), Source(self.inputs[0], {"token": cell[0]}))
        return [
            Term(
                number(self.recompute(x)[cell]),
                f"{self.symbol}[{row}, {cell[1]}]{factor}",
                sources,
                (weight, float(row - self.offset)),
            )
        ]


@dataclass(frozen=True)
class Linear(Operation):
    """``y[t, o] = factor * (sum_i x[t, i] W[o, i] + b[o])``; with ``heads``, o is split into (head, dim)."""

    kind: ClassVar[str] = "linear"
    map: LinearMap | None = None
    heads: int = 0
    factor: float = 1.0
    symbol: str = "W"
    row: int | None = None  # only this token's vector is used (the unembedding); -1: the last

    def recompute(self, x: Values) -> Tensor:
        if self.map is None:
            raise no_weights(self.output)
        y = self._input(x) @ self.map.matrix().T
        bias = self.map.offset()
        y = y if bias is None else y + bias
        y = y * self.factor if self.factor != 1.0 else y
        return y.unflatten(-1, (self.heads, -1)).transpose(0, 1) if self.heads else y

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.map is None:
            raise no_weights(self.output)
        token, out = self._place(cell)
        vector = self._input(x)
        vector = vector[token] if vector.dim() > 1 else vector
        row = self.map.row(out)
        products = (vector.double() * row.double() * self.factor).tolist()
        name = short(self.inputs[0])
        terms = [
            Term(
                value,
                f"{name}[{i}] · {self.symbol}[{i}]",
                (self._source(token, i, x), Source(self.map.name, self.map.weight_index(out, i))),
                (a, w),
            )
            for i, (value, a, w) in enumerate(zip(products, vector.tolist(), row.tolist(), strict=True))
        ]
        bias = self.map.offset()
        if bias is not None:
            b = number(bias[out])
            terms.append(Term(b * self.factor, "b", (Source(self.map.bias_name, self.map.bias_index(out)),), (b,)))
        return terms

    def _input(self, x: Values) -> Tensor:
        value = x[self.inputs[0]]
        return value if self.row is None else value[self.row]

    def _place(self, cell: Cell) -> tuple[int, int]:
        """(token, flat output) of a cell."""
        if self.heads:
            head, token, dim = cell
            size = (self.map.outputs if self.map else 0) // self.heads
            return token, head * size + dim
        return (cell[0], cell[1]) if self.row is None else (self.row, cell[0])

    def _source(self, token: int, i: int, x: Values) -> Source:
        return self.at(self.inputs[0], token % x[self.inputs[0]].shape[0], i)


@dataclass(frozen=True)
class HeadOutput(Operation):
    """What each head adds through its slice of the output projection: ``y[h, t, f] = sum_d z[h, t, d] W_O[f, (h, d)]``."""

    kind: ClassVar[str] = "head output"
    map: LinearMap | None = None

    def recompute(self, x: Values) -> Tensor:
        if self.map is None:
            raise no_weights(self.output)
        z = x[self.inputs[0]]
        matrix = self.map.matrix().unflatten(1, (z.shape[0], z.shape[2]))  # [F, H, D]
        return einsum("htd,fhd->htf", z, matrix)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.map is None:
            raise no_weights(self.output)
        head, token, out = cell
        z = x[self.inputs[0]][head, token]
        start = head * z.shape[0]
        row = self.map.row(out)[start : start + z.shape[0]]
        products = (z.double() * row.double()).tolist()
        return [
            Term(
                value,
                f"z[{d}] · W_O[{start + d}]",
                (self.at(self.inputs[0], head, token, d), Source(self.map.name, self.map.weight_index(out, start + d))),
                (a, w),
            )
            for d, (value, a, w) in enumerate(zip(products, z.tolist(), row.tolist(), strict=True))
        ]


@dataclass(frozen=True)
class HeadSum(Operation):
    """The output projection as a sum over heads: ``y[t, f] = sum_h result[h, t, f] + b_O[f]``."""

    kind: ClassVar[str] = "sum over heads"
    map: LinearMap | None = None

    def recompute(self, x: Values) -> Tensor:
        y = x[self.inputs[0]].sum(0)
        bias = None if self.map is None else self.map.offset()
        return y if bias is None else y + bias

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        column = x[self.inputs[0]][:, cell[0], cell[1]].tolist()
        terms = [Term(v, f"head {h}", (self.at(self.inputs[0], h, *cell),), (v,)) for h, v in enumerate(column)]
        bias = None if self.map is None else self.map.offset()
        if self.map is not None and bias is not None:
            b = number(bias[cell[1]])
            terms.append(Term(b, "b_O", (Source(self.map.bias_name, self.map.bias_index(cell[1])),), (b,)))
        return terms
