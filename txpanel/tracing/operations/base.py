"""What every operation of a model declares: how its output follows from its inputs, and which terms add up to one cell."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from txpanel.errors import Unsupported

PLACED = re.compile(r"^(?:blocks\.[^.]*|lens\.\d+(?:\.\d+)?)\.(?=.)")

Values = Mapping[str, Tensor]
Cell = tuple[int, ...]


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

    @abstractmethod
    def recompute(self, x: Values) -> Tensor:
        """The output, computed by the declared formula from the inputs (float32).

        Raises:
            Unsupported: if weights are needed and this trace was opened without the model.
        """

    @abstractmethod
    def terms(self, x: Values, cell: Cell) -> list[Term]:
        """The operands of one output cell; they add up to it."""

    def at(self, name: str, *place: int) -> Source:
        """Source of a cell of input ``name``."""
        dims = self.cells.get(name, self.dims)
        return Source(name, dict(zip(dims, (int(p) for p in place), strict=True)))


def no_weights(what: str) -> Unsupported:
    """The error of an operation whose weights are missing because the trace was opened without its model."""
    return Unsupported(
        f"'{what}' is made with the model's weights, and this trace was opened without the model. "
        "Load the model and record the text again to see how this number is made."
    )


def short(name: str) -> str:
    """A tensor's name without its block, or its layer and token: ``blocks.3.ln1`` -> ``ln1``, ``lens.3.5.probs`` -> ``probs``."""
    return PLACED.sub("", name)


def number(x: Tensor) -> float:
    """A tensor of one element as a Python float."""
    return float(x.item())
