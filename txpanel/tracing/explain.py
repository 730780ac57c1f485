"""Why a number is what it is: its operands, their sum, and whether the sum is the recorded value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from txpanel.errors import NoSuchTensor
from txpanel.tracing.operations.base import Operation, Term, short

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
        operation: what sort of step. feeds: names of the tensors made from it. check: see :class:`Check`.
    """

    name: str
    index: dict[str, int]
    value: float
    terms: list[Term] = field(default_factory=list)
    formula: str = ""
    inputs: tuple[str, ...] = ()
    operation: str = ""
    feeds: tuple[str, ...] = ()
    check: Check = Check(True, 0.0, 0.0)

    @property
    def text(self) -> str:
        """``name[index]`` as one writes it."""
        return f"{self.name}[{', '.join(f'{k}={v}' for k, v in self.index.items())}]"

    @property
    def total(self) -> float:
        """Sum of the terms, added in double precision."""
        return (
            math.fsum(term.value for term in self.terms)
            if all(math.isfinite(t.value) for t in self.terms)
            else sum(t.value for t in self.terms)
        )


class Run(Protocol):
    """What an explanation asks of a run; a :class:`~txpanel.tracing.Trace` is one."""

    provenance: dict[str, str]

    def operation(self, name: str) -> Operation | None:
        """The operation that makes ``name``; ``None`` for leaves."""

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of a tensor's dimensions."""

    def value(self, name: str) -> Tensor:
        """A tensor or a weight, float32."""

    def tensor(self, name: str) -> Tensor:
        """A tensor of the run."""

    def feeds(self, name: str, **index: int) -> list[str]:
        """Names of the tensors computed from ``name``."""

    def is_weight(self, name: str) -> bool:
        """Whether ``name`` is a parameter of the model."""


def explain(run: Run, name: str, index: Mapping[str, int]) -> Explanation:
    """See :meth:`txpanel.tracing.Trace.why`."""
    operation = run.operation(name)
    dims = run.dims(name)
    value = run.value(name)
    cell = place(name, dims, tuple(value.shape), index)
    got = float(value[cell].item())
    where = dict(zip(dims, cell, strict=True))
    feeds = tuple(run.feeds(name, **where))
    if operation is None:
        kind = LEAVES.get(name, "weight" if run.is_weight(name) else "given")
        return Explanation(name, where, got, operation=kind, feeds=feeds)
    inputs = {source: run.tensor(source) for source in operation.inputs}
    terms = sorted(operation.terms(inputs, cell), key=lambda term: -abs(term.value))
    found = Explanation(name, where, got, terms, operation.formula, operation.inputs, operation.kind, feeds)
    return replace(found, check=_check(found, run.provenance.get("dtype", "float32")))


def _check(found: Explanation, dtype: str) -> Check:
    if not math.isfinite(found.value) or not math.isfinite(found.total):
        same = found.total == found.value
        return Check(same, 0.0 if same else math.inf, 0.0)
    relative = TOLERANCE.get(getattr(torch, dtype, torch.float32), 0.02)
    size = max(abs(found.value), math.fsum(abs(term.value) for term in found.terms))
    difference = abs(found.total - found.value)
    return Check(difference <= relative * size + 1e-12, difference, relative * size + 1e-12)


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
