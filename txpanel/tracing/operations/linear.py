"""Matrix products with the model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, einsum

from txpanel.tracing.operations.adapted import Adapted
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
        made = self.table[row, cell[1]] * self.factor if self.factor != 1.0 else self.table[row, cell[1]]
        factor = "" if self.factor == 1.0 else f" · {self.factor:.6g}"
        sources = (Source(self.table_name, {"row": row, "column": cell[1]}), Source(self.inputs[0], {"token": cell[0]}))
        return [
            Term(
                number(made.float()),
                f"{self.symbol}[{row}, {cell[1]}]{factor}",
                sources,
                (weight, float(row - self.offset)),
            )
        ]


@dataclass(frozen=True)
class Linear(Adapted):
    """``y[t, o] = factor * (sum_i x[t, i] W[o, i] + b[o])``; with ``heads``, o is split into (head, dim)."""

    kind: ClassVar[str] = "linear"
    heads: int = 0
    factor: float = 1.0
    symbol: str = "W"
    row: int | None = None  # only this token's vector is used (the unembedding); -1: the last

    def recompute(self, x: Values) -> Tensor:
        if self.map is None:
            raise no_weights(self.output)
        y = self.adapt(self.before(self._input(x)) @ self.map.base.matrix().T, x)
        bias = self.map.offset()
        y = y if bias is None else y + bias
        y = y * self.factor if self.factor != 1.0 else y
        return y.unflatten(-1, (self.heads, -1)).transpose(0, 1) if self.heads else y

    def slack(self, x: Values) -> Tensor | None:
        if self.map is None or self.map.packed is None:
            return None
        y = self.kernel_error(self._input(x)) * abs(self.factor)
        return y.unflatten(-1, (self.heads, -1)).transpose(0, 1) if self.heads else y

    def slack_at(self, x: Values, cell: Cell) -> float:
        if self.map is None or self.map.packed is None:
            return 0.0
        token, out = self._place(cell)
        vector = self._input(x)
        return self.kernel_error_at(vector[token] if vector.dim() > 1 else vector, out, x) * abs(self.factor)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.map is None:
            raise no_weights(self.output)
        token, out = self._place(cell)
        vector = self._input(x)
        vector = vector[token] if vector.dim() > 1 else vector
        row, more = self.map.row(out), self.base_factors(x, out)
        products = self.before(vector).double() * row.double() * self.factor
        for _source, value in more:
            products = products * value
        name = short(self.inputs[0])
        g = " · g" * any(self.gains)
        terms = []
        for i, (value, a, w) in enumerate(zip(products.tolist(), vector.tolist(), row.tolist(), strict=True)):
            inner = [*self.input_factors(i), *more] if self.map.adapted else []
            source = (self._source(token, i, x), Source(self.map.name, self.map.weight_index(out, i)))
            label = f"{name}[{i}] · {self.symbol}[{i}]{g}"
            terms.append(Term(value, label, (*source, *(s for s, _ in inner)), (a, w, *(f for _, f in inner))))
        place = () if self.row is not None else (token,)
        return [*terms, *self.update_terms(x, place, out, self.factor), *self.bias_terms(out, self.factor)]

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
class HeadOutput(Adapted):
    """What each head adds through its slice of the output projection: ``y[h, t, f] = sum_d z[h, t, d] W_O[f, (h, d)]``."""

    kind: ClassVar[str] = "head output"
    symbol: str = "W_O"

    def recompute(self, x: Values) -> Tensor:
        if self.map is None:
            raise no_weights(self.output)
        z = x[self.inputs[0]]
        heads = self.map.base.matrix().unflatten(1, (z.shape[0], z.shape[2]))  # [F, H, D]
        read = self.before(z.transpose(0, 1).flatten(1)).unflatten(1, (z.shape[0], -1)).transpose(0, 1)
        return self.adapt(einsum("htd,fhd->htf", read, heads), x)

    def of_head(self, x: Values, head: int) -> Tensor:
        """What one head adds, [1, T, F]. Input: its z [1, T, D]."""
        if self.map is None:
            raise no_weights(self.output)
        z = x[self.inputs[0]]
        start = head * z.shape[2]
        return z @ self.map.matrix()[:, start : start + z.shape[2]].T

    def of_cell(self, z: Tensor, head: int, out: int) -> Tensor:
        """One number of what one head adds: z [1, 1, D] -> [1, 1, 1]."""
        if self.map is None:
            raise no_weights(self.output)
        start = head * z.shape[2]
        return (z @ self.map.row(out)[start : start + z.shape[2]])[..., None]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.map is None:
            raise no_weights(self.output)
        head, token, out = cell
        z = x[self.inputs[0]][head, token]
        start = head * z.shape[0]
        row, more = self.map.row(out)[start : start + z.shape[0]], self.base_factors(x, out)
        terms = []
        for d, (a, w) in enumerate(zip(z.tolist(), row.tolist(), strict=True)):
            inner, value = [*self.input_factors(start + d), *more] if self.map.adapted else [], a * w
            for _source, factor in inner:
                value *= factor
            source = (
                self.at(self.inputs[0], head, token, d),
                Source(self.map.name, self.map.weight_index(out, start + d)),
            )
            label = f"z[{d}] · {self.symbol}[{start + d}]" + " · g" * any(self.gains)
            terms.append(Term(value, label, (*source, *(s for s, _ in inner)), (a, w, *(f for _, f in inner))))
        return [*terms, *self.update_terms(x, (head, token), out)]


@dataclass(frozen=True)
class HeadSum(Adapted):
    """The output projection as a sum over heads: ``y[t, f] = sum_h result[h, t, f] + b_O[f]``.

    Inputs: result; for quantised weights also z, from which the kernel's error is estimated.
    """

    kind: ClassVar[str] = "sum over heads"

    def recompute(self, x: Values) -> Tensor:
        y = x[self.inputs[0]].sum(0)
        bias = None if self.map is None else self.map.offset()
        return y if bias is None else y + bias

    def slack(self, x: Values) -> Tensor | None:
        if self.map is None or self.map.packed is None:
            return None
        return self.kernel_error(x[self.inputs[1]].transpose(0, 1).flatten(1))

    def slack_at(self, x: Values, cell: Cell) -> float:
        if self.map is None or self.map.packed is None:
            return 0.0
        return self.kernel_error_at(x[self.inputs[1]][:, cell[0]].flatten(), cell[1], x)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        column = x[self.inputs[0]][:, cell[0], cell[1]].tolist()
        terms = [Term(v, f"head {h}", (self.at(self.inputs[0], h, *cell),), (v,)) for h, v in enumerate(column)]
        return terms if self.map is None else [*terms, *self.bias_terms(cell[1], label="b_O")]
