"""Whether what a declared operation gives is what was recorded: row by row, relative to the row's own size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from txpanel.tracing.operations.base import Cell, Operation, Values, values_of

ROW = {torch.float32: 2e-5, torch.float64: 1e-6, torch.float16: 0.02}
"""How far a cell may be off, relative to the largest number of its row, by the model's type; of others (bfloat16): 0.06."""
TERMS = {torch.float32: 2e-5, torch.float64: 1e-6, torch.float16: 0.02}
"""How far a sum may be off, relative to the sum of its terms' absolute values; of others: 0.04."""
HALF_ROW, HALF_TERMS = 0.06, 0.04
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-6, torch.float16: 1e-3}
"""How far a number of a row may be off by rounding alone, relative to the row's largest: what is left where large ones cancel; of others: 0.008."""
HALF_ROUNDING = 0.008
VECTORS = (("feature",), ("dim",), ("neuron",), ("vocab",), ("rank",))
"""Dimensions along which the numbers of a row are computed together."""
FAILING = 4
"""How many of the rows that seem to be wrong are examined, the worst first."""


@dataclass(frozen=True)
class Gap:
    """How far an operation's result is from the recorded tensor.

    Attributes:
        ok: whether rounding explains the difference. size: the largest difference, relative to its row's largest number.
    """

    ok: bool
    size: float


def gap(operation: Operation | None, inputs: Values, again: Tensor, recorded: Tensor, dtype: torch.dtype) -> Gap:
    """What an operation gives compared with what was recorded.

    A row in which large numbers cancel is off by more than its own size explains; so where a row seems to be wrong, its worst cell is
    compared with the sum of its terms' absolute values.
    """
    if again.shape != recorded.shape:
        return Gap(False, math.inf)
    if not recorded.is_floating_point():
        return Gap(bool(torch.equal(again, recorded)), float(not torch.equal(again, recorded)))
    finite = torch.isfinite(recorded)
    if not bool((torch.isfinite(again) == finite).all()):
        return Gap(False, math.inf)
    if not recorded.numel():
        return Gap(True, 0.0)
    slack = operation.slack(inputs) if operation is not None else None
    off = torch.where(finite, ((again - recorded).abs() - (0.0 if slack is None else slack)).clamp(min=0), 0.0)
    size = torch.where(finite, recorded.abs(), 0.0)
    off, size = (off, size) if off.dim() else (off[None], size[None])
    worst, row_size = off.amax(-1), size.amax(-1)
    share = worst / (row_size + 1e-20)
    wrong = worst > ROW.get(dtype, HALF_ROW) * row_size + 1e-12
    if not bool(wrong.any()):
        return Gap(True, float(share.max()))
    rows = (share * wrong).flatten().topk(min(FAILING, int(wrong.sum()))).indices
    for flat in rows.tolist():
        at = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), worst.shape)) if worst.dim() else ()
        cell = (*at, int(off[at].argmax()))[: recorded.dim()]
        if operation is None or not _explained(
            operation, inputs, cell, float(again[cell]), float(recorded[cell]), dtype
        ):
            return Gap(False, float(share.max()))
    return Gap(True, float(share.max()))


def _explained(
    operation: Operation, inputs: Values, cell: Cell, again: float, recorded: float, dtype: torch.dtype
) -> bool:
    """Whether rounding of the terms explains a difference."""
    size = math.fsum(abs(value) for value in values_of(operation.terms(inputs, cell)) if math.isfinite(value))
    return abs(again - recorded) <= TERMS.get(dtype, HALF_TERMS) * size + operation.slack_at(inputs, cell)


def terms_gap(operation: Operation, inputs: Values, value: Tensor, cell: Cell, dtype: torch.dtype) -> Gap:
    """The sum of a cell's terms compared with the cell."""
    terms, got = values_of(operation.terms(inputs, cell)), float(value[cell])
    if not all(map(math.isfinite, terms)) or not math.isfinite(got):
        same = sum(terms) == got or (math.isnan(sum(terms)) and math.isnan(got))
        return Gap(same, 0.0 if same else math.inf)
    size = max(abs(got), math.fsum(map(abs, terms)))
    off = abs(math.fsum(terms) - got)
    slack = operation.slack_at(inputs, cell) + rounding(operation, value, cell, dtype)
    if (
        dtype not in (torch.float32, torch.float64) and value.dim()
    ):  # intermediate values of an activation are rounded, even if the result is small
        row = value[cell[:-1]]
        slack += TERMS.get(dtype, HALF_TERMS) * float(row[torch.isfinite(row)].abs().max())
    return Gap(off <= TERMS.get(dtype, HALF_TERMS) * size + slack + 1e-12, off / (size + 1e-20))


def rounding(operation: Operation, value: Any, cell: Cell, dtype: torch.dtype) -> float:
    """How far rounding alone may put a cell off that is one number of a vector: its row was computed together.

    Args:
        value: what the operation has made, or the part of it around the cell.
    """
    if operation.dims[-1:] not in VECTORS:
        return 0.0
    row = value[cell[:-1]]
    finite = row[torch.isfinite(row)]
    return ROUNDING.get(dtype, HALF_ROUNDING) * float(finite.abs().max()) if finite.numel() else 0.0


def sample(operation: Operation, value: Tensor, n: int) -> list[Cell]:
    """A fixed choice of ``n`` cells of a tensor, from its first, its last and other rows."""
    own = operation.output.rpartition(".")[2]
    chosen = [tuple(_place(f"{own} {i} {dim}", size) for dim, size in enumerate(value.shape)) for i in range(n)]
    if value.dim() > 1 and n > 1:
        chosen[0] = (*chosen[0][:-2], 0, chosen[0][-1])
        chosen[1] = (*chosen[1][:-2], value.shape[-2] - 1, chosen[1][-1])
    return list(dict.fromkeys(chosen)) if value.numel() else []


def _place(name: str, size: int) -> int:
    """A place from 0 to ``size`` - 1, by a hash of a name: always the same one."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % max(1, size)
