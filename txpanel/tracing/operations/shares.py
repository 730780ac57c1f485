"""The steps inside a softmax, and sums of probabilities over many tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Values, number, short

BINS = 48
"""Bins of equal width between the smallest and the largest logit."""


@dataclass(frozen=True)
class Shifted(Operation):
    """``x[i] - max``: at most 0. Inputs: x, max."""

    kind: ClassVar[str] = "shifted"

    def recompute(self, x: Values) -> Tensor:
        value, top = (x[name] for name in self.inputs)
        return value - top[..., None]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        value, top = self.inputs
        score, high = number(x[value][cell]), number(x[top][cell[:-1]])
        return [
            Term(score, f"{short(value)}[{cell[-1]}]", (self.at(value, *cell),), (score,)),
            Term(-high, "-max", (self.at(top, *cell[:-1]),), (high,)),
        ]


@dataclass(frozen=True)
class Power(Operation):
    """``e^x[i]`` of numbers that are at most 0. Input: x."""

    kind: ClassVar[str] = "exponential"

    def recompute(self, x: Values) -> Tensor:
        return torch.exp(x[self.inputs[0]])

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        value = number(x[self.inputs[0]][cell])
        return [Term(math.exp(value), f"e^({value:.6g})", (self.at(self.inputs[0], *cell),), (value,))]


@dataclass(frozen=True)
class _Together(Operation):
    """The sum over some tokens of a vocabulary. Inputs: what is added up, and the logits that say which tokens."""

    def _terms(self, x: Values, which: npt.NDArray[np.int64]) -> list[Term]:
        source, name = self.inputs[0], short(self.inputs[0])
        values = x[source].double().numpy()[which].tolist()
        return [
            Term(v, f"{name}[{i}]", (Source(source, {"vocab": i}),), (v,))
            for i, v in zip(which.tolist(), values, strict=True)
        ]


@dataclass(frozen=True)
class Others(_Together):
    """The sum over all tokens except the ``best`` likeliest and those ``besides``: what a list of tokens leaves out."""

    kind: ClassVar[str] = "others"
    best: int = 0
    besides: tuple[int, ...] = ()

    def recompute(self, x: Values) -> Tensor:
        which = self._which(x[self.inputs[1]])
        return x[self.inputs[0]][torch.from_numpy(which)].double().sum().float()

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        return self._terms(x, self._which(x[self.inputs[1]]))

    def _which(self, logits: Tensor) -> npt.NDArray[np.int64]:
        left = np.ones(len(logits), bool)
        left[np.argsort(-logits.numpy(), kind="stable")[: self.best]] = False
        left[list(self.besides)] = False
        return np.flatnonzero(left)


@dataclass(frozen=True)
class Bins(_Together):
    """The summed probability of the tokens in each bin of logits: [BINS]."""

    kind: ClassVar[str] = "bin"

    def recompute(self, x: Values) -> Tensor:
        found, shares = bin_of(x[self.inputs[1]].numpy()), x[self.inputs[0]].double().numpy()
        inside = found >= 0
        return torch.from_numpy(np.bincount(found[inside], shares[inside], BINS)).float()

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        return self._terms(x, np.flatnonzero(bin_of(x[self.inputs[1]].numpy()) == cell[0]))


def edges(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """float64 [BINS + 1]: where the bins of these logits begin and end."""
    finite = logits[np.isfinite(logits)].astype(np.float64)
    return np.asarray(np.histogram_bin_edges(finite, BINS), np.float64)


def bin_of(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """int64 [V]: the bin that each logit falls in, the last one with both its ends; -1 for those that are not finite."""
    found = np.searchsorted(edges(logits), logits.astype(np.float64), side="right") - 1
    return np.where(np.isfinite(logits), np.clip(found, 0, BINS - 1), -1).astype(np.int64)
