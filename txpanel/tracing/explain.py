"""Why a number is what it is: its operands, their sum, and whether the sum is the recorded value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from txpanel.errors import NoSuchTensor, TxpanelError
from txpanel.tracing import slices
from txpanel.tracing.compare import rounding
from txpanel.tracing.operations.base import Term, Terms, short, values_of
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.operations.placed import Placed

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-5}
"""Relative to the sum of the operands' absolute values. Half precision keeps about three digits: 0.02."""
LEAVES = {"tokens": "token id", "positions": "position"}
"""What two tensors that no operation makes are called."""


@dataclass(frozen=True, slots=True)
class Check:
    """Whether the operands add up to the recorded value.

    Attributes:
        ok: ``difference <= tolerance``. difference: |sum of terms - value|. tolerance: what float rounding explains.
    """

    ok: bool
    difference: float
    tolerance: float


@dataclass(frozen=True)
class Explanation:
    """One cell, explained.

    Attributes:
        name, index: the cell. value: as recorded. terms: operands, largest first; they add up to the value (none for a leaf:
        a weight, a token id, an angle). formula: LaTeX with this model's sizes. inputs: names of the tensors it is made from.
        operation: what sort of step. feeds: names of the tensors made from it. check: see :class:`Check`. note: a sentence if the
            model has changed since the run, so that the terms use the present weights; else empty.
        opaque: path of the module that made the cell, where this part of the model is not opened: there are no terms, and the check is
            what the module gives when it is called again. ``None`` for all others.
        note: of such a cell, why its module could not be called again, in words; then the check's difference is NaN.
    """

    name: str
    index: dict[str, int]
    value: float
    terms: Sequence[Term] = field(default_factory=list)
    formula: str = ""
    inputs: tuple[str, ...] = ()
    operation: str = ""
    feeds: tuple[str, ...] = ()
    check: Check = Check(True, 0.0, 0.0)
    opaque: str | None = None
    note: str = ""

    @property
    def text(self) -> str:
        """``name[index]`` as one writes it."""
        return f"{self.name}[{', '.join(f'{k}={v}' for k, v in self.index.items())}]"

    @property
    def total(self) -> float:
        """Sum of the terms, added in double precision."""
        values = values_of(self.terms)
        return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


class Run(slices.Run, Protocol):
    """What an explanation asks of a run; a :class:`~txpanel.tracing.Trace` is one."""

    provenance: dict[str, str]

    def value(self, name: str) -> Tensor:
        """A tensor or a weight, float32."""

    def feeds(self, name: str, **index: int) -> list[str]:
        """Names of the tensors computed from ``name``."""

    def is_weight(self, name: str) -> bool:
        """Whether ``name`` is a parameter of the model."""


def explain(run: Run, name: str, index: Mapping[str, int]) -> Explanation:
    """See :meth:`txpanel.tracing.Trace.why`."""
    operation = run.operation(name)
    dims = run.dims(name)
    cell = place(name, dims, slices.shape(run, name) if operation is not None else tuple(run.value(name).shape), index)
    around = slices.Around.cell(run, dict(zip(dims, cell, strict=True)))
    whole = around.value(name) if operation is not None else run.value(name)
    got = float(whole[cell].item())
    where = dict(zip(dims, cell, strict=True))
    feeds = tuple(run.feeds(name, **where))
    if operation is None:
        kind = LEAVES.get(name, "weight" if run.is_weight(name) else "given")
        return Explanation(name, where, got, operation=kind, feeds=feeds)
    dtype = run.provenance.get("dtype", "float32")
    module = operation.opaque_at(cell)
    if module is not None:
        inputs = operation.made_from or operation.inputs if isinstance(operation, Placed) else operation.inputs
        found = Explanation(name, where, got, [], operation.formula, inputs, Opaque.kind, feeds, opaque=module)
        try:
            again = operation.again({source: run.tensor(source) for source in operation.inputs})
        except TxpanelError as error:  # without the model, or a module that keeps a state of its own
            return replace(found, check=Check(False, math.nan, math.nan), note=str(error))
        row = again[cell[:-1]]
        return replace(found, check=_again(got, float(again[cell]), float(row.abs().max()), dtype))
    made = operation.terms(around.inputs(operation), cell)
    terms = made.sorted() if isinstance(made, Terms) else sorted(made, key=lambda term: -abs(term.value))
    found = Explanation(name, where, got, terms, operation.formula, operation.inputs, operation.kind, feeds)
    numbers = getattr(torch, dtype, torch.float32)
    slack = operation.slack_at(around.inputs(operation), cell) + rounding(operation, whole, cell, numbers)
    return replace(found, check=_check(found, dtype, slack))


def _again(value: float, again: float, size: float, dtype: str) -> Check:
    """What a module gives when it is called again, compared with the recorded value: relative to the row's largest number."""
    if not math.isfinite(value) or not math.isfinite(again):
        return _same(value, again)
    tolerance = 10 * TOLERANCE.get(getattr(torch, dtype, torch.float32), 0.02) * size + 1e-12
    return Check(abs(value - again) <= tolerance, abs(value - again), tolerance)


def _same(value: float, again: float) -> Check:
    """Of numbers that are infinite or none (NaN): whether both are."""
    same = value == again or (math.isnan(value) and math.isnan(again))
    return Check(same, 0.0 if same else math.inf, 0.0)


def _check(found: Explanation, dtype: str, slack: float) -> Check:
    if not math.isfinite(found.value) or not math.isfinite(found.total):
        return _same(found.value, found.total)
    relative = TOLERANCE.get(getattr(torch, dtype, torch.float32), 0.02)
    size = max(abs(found.value), math.fsum(map(abs, values_of(found.terms))))
    difference = abs(found.total - found.value)
    tolerance = relative * size + slack + 1e-12
    return Check(difference <= tolerance, difference, tolerance)


def place(name: str, dims: tuple[str, ...], shape: tuple[int, ...], index: Mapping[str, int]) -> tuple[int, ...]:
    """A cell from its named index; negative places count from the end.

    Raises:
        NoSuchTensor: a dimension is missing or unknown, or the place is outside.
    """
    if set(index) != set(dims):
        raise NoSuchTensor(
            f"A cell of '{short(name)}' is chosen by {', '.join(dims) or 'nothing'}; got {', '.join(index) or 'nothing'}."
        )
    cell = []
    for dim, size in zip(dims, shape, strict=True):
        at = int(index[dim])
        if not -size <= at < size:
            raise NoSuchTensor(f"'{short(name)}' has {size} places along {dim}, so there is no {dim} {at}.")
        cell.append(at % size)
    return tuple(cell)
