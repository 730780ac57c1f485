"""What every operation of a model declares: how its output follows from its inputs, and which terms add up to one cell."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, overload

import numpy as np
import numpy.typing as npt
from torch import Tensor

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.torch_modes import without_gradients

PLACED = re.compile(r"^(?:blocks\.[^.]*|lens\.\d+(?:\.\d+)?)\.(?=.)")

Values = Mapping[str, Tensor]
Cell = tuple[int, ...]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Source:
    """One cell of a named tensor or weight: ``Source("blocks.0.ln1", {"token": 4, "feature": 17})``."""

    name: str
    index: dict[str, int]

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(str(place) for place in self.index.values())}]"


@dataclass(frozen=True, slots=True)
class Term:
    """One signed operand of a number.

    Attributes:
        value: what it contributes. label: how it is made, in symbols. source: the cell it comes from first.
        sources: all cells that it is a product of. factors: their values, in the same order.
    """

    value: float
    label: str
    sources: tuple[Source, ...] = ()
    factors: tuple[float, ...] = ()

    @property
    def source(self) -> Source | None:
        """The first of :attr:`sources`."""
        return self.sources[0] if self.sources else None


class Terms(Sequence[Term]):
    """Operands that are created on access: a row of attention has as many as the text has tokens, and few are shown.

    Args:
        values: float64 [n], what each contributes. factors: per factor float64 [n]. say: returns label and sources of the operand at a place.
        order: int64 [n], which operand stands where; ``None``: in their own order.
    """

    def __init__(
        self,
        values: Floats,
        factors: tuple[Floats, ...],
        say: Callable[[int], tuple[str, tuple[Source, ...]]],
        order: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.values, self.factors, self.say = values, factors, say
        self._order = order

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, at: int) -> Term: ...
    @overload
    def __getitem__(self, at: slice) -> list[Term]: ...
    def __getitem__(self, at: int | slice) -> Term | list[Term]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        place = range(len(self))[at]
        return self.own(place if self._order is None else int(self._order[place]))

    @property
    def listed(self) -> list[float]:
        """What each contributes, in the order of this list."""
        return list((self.values if self._order is None else self.values[self._order]).tolist())

    def own(self, place: int) -> Term:
        """The operand at a place of their own order, whatever the order of this list."""
        label, sources = self.say(place)
        return Term(float(self.values[place]), label, sources, tuple(float(some[place]) for some in self.factors))

    def sorted(self) -> Terms:
        """The same, largest first."""
        order = np.argsort(-np.abs(self.values), kind="stable").astype(np.int64)
        return Terms(self.values, self.factors, self.say, order)


def values_of(terms: Sequence[Term]) -> list[float]:
    """What each operand contributes, in the order of the list."""
    return terms.listed if isinstance(terms, Terms) else [term.value for term in terms]


@dataclass(frozen=True)
class Operation(ABC):
    """One declared step of the model.

    Attributes:
        output: name of the tensor it makes. inputs: names of the tensors it reads. dims: names of the output's dimensions.
        formula: LaTeX with this model's sizes. kind: what sort of step (class attribute).
    """

    kind: ClassVar[str] = ""
    output: str
    inputs: tuple[str, ...]
    dims: tuple[str, ...]
    formula: str = ""
    cells: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Dimension names of inputs, where they are not the output's own."""

    def __init_subclass__(cls) -> None:
        """Wrap the computing methods: whatever the caller's mode, they run without gradients and without autocast."""
        for name in ("recompute", "again", "slack", "slack_at", "terms"):
            if name in vars(cls):
                setattr(cls, name, without_gradients(vars(cls)[name]))

    @abstractmethod
    def recompute(self, x: Values) -> Tensor:
        """The output, computed by the declared formula from the inputs (float32).

        Raises:
            Unsupported: if weights are needed and this trace was opened without the model.
        """

    def slack(self, x: Values) -> Tensor | None:
        """How far rounding in the kernel of quantised weights may put the output off, in the output's shape; ``None``: the weights are not quantised."""
        return None

    def slack_at(self, x: Values, cell: Cell) -> float:
        """The same for one cell."""
        return 0.0

    @abstractmethod
    def terms(self, x: Values, cell: Cell) -> Sequence[Term]:
        """The operands of one output cell; they add up to it. For a step of attention ``x`` may hold only the cell's row (`slices.Part`).

        Raises:
            Unsupported: if weights are needed and this trace was opened without the model.
        """

    def opaque_at(self, cell: Cell) -> str | None:
        """Path of the module that made a cell where it is not opened; ``None``: its terms add up to it."""
        return None

    def again(self, x: Values) -> Tensor:
        """The output, with the modules of parts that are not opened called again.

        Raises:
            Unsupported: as `recompute`, or such a module keeps a state of its own.
        """
        return self.recompute(x)

    def at(self, name: str, *place: int) -> Source:
        """Source of a cell of input ``name``."""
        dims = self.cells.get(name, self.dims)
        return Source(name, dict(zip(dims, (int(p) for p in place), strict=True)))


def no_weights(what: str) -> Unsupported:
    """The error of an operation whose weights are missing because the trace was opened without its model."""
    words = _(
        "'{what}' is computed with the model's weights, and this trace was opened without the model. "
        "Load the model and record the text again to see how this number was computed."
    )
    return Unsupported(words.format(what=what))


def short(name: str) -> str:
    """A tensor's name without its block, or its layer and token: ``blocks.3.ln1`` -> ``ln1``, ``lens.3.5.probs`` -> ``probs``."""
    return PLACED.sub("", name)


def number(x: Tensor) -> float:
    """A tensor of one element as a Python float."""
    return float(x.item())
