"""Attention, step by step: rotation, scores, bias, mask, softmax with its max and sum, weighted sum of values.

Vaswani et al., arXiv:1706.03762. Letters: H heads, G key/value heads, Q queries, S keys, D head size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from txpanel.models.anatomy import Relative, Rotary
from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Terms, Values, no_weights, number, short


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """Grouped-query attention (arXiv:2305.13245): key/value heads repeated for the query heads that share them.

    [G, T, D] -> [H, T, D]; query head h uses key/value head h // (H/G).
    """
    return x if x.shape[0] == heads else x.repeat_interleave(heads // x.shape[0], 0)


def rotary_pairs(rotary: Rotary) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Dimensions of each pair: read at (a, b), written at (c, d). Each int64 [dims / 2]."""
    half, n = rotary.dims // 2, torch.arange(rotary.dims // 2)
    first, second = (n, n + half) if rotary.layout == "half" else (2 * n, 2 * n + 1)
    to_first, to_second = (2 * n, 2 * n + 1) if rotary.layout == "interleaved" else (n, n + half)
    return first + rotary.offset, second + rotary.offset, to_first + rotary.offset, to_second + rotary.offset


@dataclass(frozen=True)
class Rotate(Operation):
    """Each pair (a, b) rotated by its position's angle: ``(a cos - b sin, b cos + a sin)``. Inputs: x [H, T, D], cos, sin [T, dims/2]."""

    kind: ClassVar[str] = "rotary"
    rotary: Rotary = field(default_factory=lambda: Rotary(0, None))

    def recompute(self, x: Values) -> Tensor:
        value, cos, sin = (x[name] for name in self.inputs)
        a, b, c, d = rotary_pairs(self.rotary)
        turned = value.clone()
        turned[..., c] = value[..., a] * cos - value[..., b] * sin
        turned[..., d] = value[..., b] * cos + value[..., a] * sin
        return turned

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        name, cos_name, sin_name = self.inputs
        value, (head, token, dim) = x[name], cell
        a, b, c, d = rotary_pairs(self.rotary)
        own = self.at(name, *cell)
        for to, near, far, sign in ((c, a, b, -1.0), (d, b, a, 1.0)):
            hit = (to == dim).nonzero()
            if len(hit):
                pair = int(hit[0])
                cos, sin = number(x[cos_name][token, pair]), number(x[sin_name][token, pair])
                u, v = number(value[head, token, near[pair]]), number(value[head, token, far[pair]])
                at_near, at_far = (
                    self.at(name, head, token, int(near[pair])),
                    self.at(name, head, token, int(far[pair])),
                )
                angle = {"token": token, "pair": pair}
                return [
                    Term(
                        u * cos, f"{short(name)}[{int(near[pair])}] · cos", (at_near, Source(cos_name, angle)), (u, cos)
                    ),
                    Term(
                        sign * v * sin,
                        f"{'-' if sign < 0 else ''}{short(name)}[{int(far[pair])}] · sin",
                        (at_far, Source(sin_name, angle)),
                        (v, sign * sin),
                    ),
                ]
        v = number(value[cell])
        return [Term(v, f"{short(name)}[{dim}], not rotated", (own,), (v,))]


@dataclass(frozen=True)
class Join(Operation):
    """Head dimensions side by side, the second part shared by all heads (latent attention). Inputs: [H, T, a], [1, T, b]."""

    kind: ClassVar[str] = "join"

    def recompute(self, x: Values) -> Tensor:
        own, shared = (x[name] for name in self.inputs)
        return torch.cat([own, shared.expand(own.shape[0], -1, -1)], -1)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        head, token, dim = cell
        size = x[self.inputs[0]].shape[-1]
        name, place = (self.inputs[0], (head, token, dim)) if dim < size else (self.inputs[1], (0, token, dim - size))
        value = number(x[name][place])
        return [Term(value, f"{short(name)}[{place[-1]}]", (self.at(name, *place),), (value,))]


@dataclass(frozen=True)
class Scores(Operation):
    """``scores[h, q, s] = scaling * sum_d q[h, q, d] k[g(h), s, d]``. Inputs: q [H, Q, D], k [G, S, D]."""

    kind: ClassVar[str] = "scores"
    scaling: float = 1.0

    def recompute(self, x: Values) -> Tensor:
        q, k = (x[name] for name in self.inputs)
        return torch.matmul(q, repeat_heads(k, q.shape[0]).transpose(-1, -2)) * self.scaling

    def head(self, x: Values, head: int) -> Tensor:
        """One head's scores [Q, S]."""
        q, k = (x[name] for name in self.inputs)
        return torch.matmul(q[head], k[head * k.shape[0] // q.shape[0]].T) * self.scaling

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        head, query, key = cell
        q, k = (x[name] for name in self.inputs)
        group = head * k.shape[0] // q.shape[0]
        a, b = q[head, query], k[group, key]
        products = (a.double() * b.double() * self.scaling).tolist()
        return [
            Term(
                v,
                f"q[{d}] · k[{d}] · {self.scaling:.4g}",
                (self.at(self.inputs[0], head, query, d), self.at(self.inputs[1], group, key, d)),
                (m, n),
            )
            for d, (v, m, n) in enumerate(zip(products, a.tolist(), b.tolist(), strict=True))
        ]


@dataclass(frozen=True)
class Bias(Operation):
    """A bias is added. ALiBi (arXiv:2108.12409): a slope per head times the key's position. Inputs: scores [H, Q, S], bias [H, 1 or Q, S]."""

    kind: ClassVar[str] = "bias"
    label: str = "ALiBi bias"

    def recompute(self, x: Values) -> Tensor:
        return x[self.inputs[0]] + x[self.inputs[1]]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        alibi = x[self.inputs[1]]
        where = (cell[0], min(cell[1], alibi.shape[1] - 1), cell[2])
        score, bias = number(x[self.inputs[0]][cell]), number(alibi[where])
        return [
            Term(score, short(self.inputs[0]), (self.at(self.inputs[0], *cell),), (score,)),
            Term(bias, self.label, (self.at(self.inputs[1], *where),), (bias,)),
        ]


@dataclass(frozen=True)
class Distances(Operation):
    """A learned number per head and distance (T5, arXiv:1910.10683). Input: positions [T]; output [H, T, T].

    The first half of the table's rows are for single distances, the others for ranges that grow with the logarithm of the distance.
    """

    kind: ClassVar[str] = "distances"
    relative: Relative = field(default_factory=lambda: Relative(2, 2))
    heads: int = 0
    table_name: str = ""
    table: Tensor | None = None

    def buckets(self, positions: Tensor) -> Tensor:
        """The table's row for each query and key: int64 [T, T]."""
        ages = positions[:, None] - positions  # how far the key lies back
        rows, start = self.relative.buckets, torch.zeros_like(ages)
        if self.relative.both_ways:
            rows //= 2
            start, ages = (ages < 0).long() * rows, ages.abs()
        ages, single = ages.clamp(min=0), rows // 2
        far = torch.log(ages.float() / single) / math.log(self.relative.max_distance / single) * (rows - single)
        far = (single + far.clamp(min=0).long()).clamp(max=rows - 1)
        return start + torch.where(ages < single, ages, far)

    def recompute(self, x: Values) -> Tensor:
        if self.table is None:
            raise no_weights(self.output)
        rows = self.buckets(x[self.inputs[0]])
        return self.table.float().cpu()[rows].permute(2, 0, 1).contiguous()

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.table is None:
            raise no_weights(self.output)
        head, query, key = cell
        row = int(self.buckets(x[self.inputs[0]])[query, key])
        value = number(self.table[row, head])
        return [
            Term(value, f"row {row}, head {head}", (Source(self.table_name, {"row": row, "column": head}),), (value,))
        ]


@dataclass(frozen=True)
class Mask(Operation):
    """Scores of keys that a query may not attend to become minus infinity. Inputs: scores [H, Q, S], mask bool [Q, S]."""

    kind: ClassVar[str] = "mask"

    def recompute(self, x: Values) -> Tensor:
        return x[self.inputs[0]].masked_fill(~x[self.inputs[1]], -math.inf)

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        _head, query, key = cell
        score = number(x[self.inputs[0]][cell])
        source = (self.at(self.inputs[0], *cell), Source(self.inputs[1], {"query": query, "key": key}))
        if bool(x[self.inputs[1]][query, key]):
            return [Term(score, f"{short(self.inputs[0])}, not masked", source, (score, 1.0))]
        return [Term(-math.inf, "-∞: masked", source, (score, 0.0))]


@dataclass(frozen=True)
class RowMax(Operation):
    """The largest score of a row, subtracted before the exponential so that it can't overflow. Inputs: masked, and a sink where there is one."""

    kind: ClassVar[str] = "max"

    def recompute(self, x: Values) -> Tensor:
        top = x[self.inputs[0]].amax(-1)
        return torch.maximum(top, _sinks(self, x, top)) if len(self.inputs) > 1 else top

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        row = x[self.inputs[0]][cell]
        key = int(row.argmax())
        value = number(row[key])
        if len(self.inputs) > 1 and value < (sink := number(x[self.inputs[1]][cell[0]])):
            return [Term(sink, "the sink", (Source(self.inputs[1], {"head": cell[0]}),), (sink,))]
        return [
            Term(
                value,
                f"largest of {len(row)}: {short(self.inputs[0])}[{key}]",
                (self.at(self.inputs[0], *cell, key),),
                (value,),
            )
        ]


@dataclass(frozen=True)
class RowSum(Operation):
    """``sum = sum_s exp(x[s] - max)``, plus ``exp(sink - max)``. Inputs: masked, max, and a sink where there is one."""

    kind: ClassVar[str] = "sum of exponentials"

    def recompute(self, x: Values) -> Tensor:
        row, top = x[self.inputs[0]], x[self.inputs[1]]
        total = torch.exp(row - top[..., None]).sum(-1)
        return total + torch.exp(_sinks(self, x, top) - top) if len(self.inputs) > 2 else total

    def terms(self, x: Values, cell: Cell) -> Terms:
        top, name = number(x[self.inputs[1]][cell]), short(self.inputs[0])
        row = x[self.inputs[0]][cell].numpy().astype(np.float64)

        def say(s: int) -> tuple[str, tuple[Source, ...]]:
            if s == len(row):
                return "e^(sink - max)", (Source(self.inputs[2], {"head": cell[0]}),)
            return f"e^({name}[{s}] - max)", (self.at(self.inputs[0], *cell, s),)

        added = np.append(row, number(x[self.inputs[2]][cell[0]])) if len(self.inputs) > 2 else row
        return Terms(np.exp(added - top), (added,), say)


@dataclass(frozen=True)
class Softmax(Operation):
    """``p[s] = exp(x[s] - max) / sum``. Inputs: x, max, sum. With a sink a row sums to less than 1."""

    kind: ClassVar[str] = "softmax"

    def recompute(self, x: Values) -> Tensor:
        value, top, total = (x[name] for name in self.inputs)
        return torch.exp(value - top[..., None]) / total[..., None]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        value, top, total = (x[name] for name in self.inputs)
        row = cell[:-1]
        score, high, below = number(value[cell]), number(top[row]), number(total[row])
        sources = (self.at(self.inputs[0], *cell), self.at(self.inputs[1], *row), self.at(self.inputs[2], *row))
        return [
            Term(
                math.exp(score - high) / below,
                f"e^({score:.6g} - {high:.6g}) / {below:.6g}",
                sources,
                (score, high, below),
            )
        ]


@dataclass(frozen=True)
class WeightedSum(Operation):
    """``z[h, q, d] = sum_s pattern[h, q, s] v[g(h), s, d]``. Inputs: pattern [H, Q, S], v [G, S, D]."""

    kind: ClassVar[str] = "weighted sum"

    def recompute(self, x: Values) -> Tensor:
        pattern, v = (x[name] for name in self.inputs)
        return torch.matmul(pattern, repeat_heads(v, pattern.shape[0]))

    def terms(self, x: Values, cell: Cell) -> Terms:
        head, query, dim = cell
        pattern, v = (x[name] for name in self.inputs)
        group = head * v.shape[0] // pattern.shape[0]
        weights, values = (row.numpy().astype(np.float64) for row in (pattern[head, query], v[group, :, dim]))

        def say(s: int) -> tuple[str, tuple[Source, ...]]:
            at = self.at(self.inputs[0], head, query, s), self.at(self.inputs[1], group, s, dim)
            return f"pattern[{s}] · v[{s}]", at

        return Terms(weights * values, (weights, values), say)


def _sinks(op: Operation, x: Values, like: Tensor) -> Tensor:
    """The learned sink of each head, [H, Q]."""
    return x[op.inputs[-1]][:, None].expand_as(like)
