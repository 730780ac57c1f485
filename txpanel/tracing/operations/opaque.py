"""Parts of a model that are not opened: they are run by calling their module, and have no list of operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from txpanel.tracing.operations.base import Cell, Operation, Term, Values, no_weights, number, short


@dataclass(frozen=True)
class Opaque(Operation):
    """``y = module(x)``: a module's output, called with the other arguments that it had in the run. Input: the module's input.

    Attributes:
        module: the module's path in the model. part: which part it is, see :class:`~txpanel.models.anatomy.BlockAnatomy`; outside of the blocks
            ``embed`` or ``output``. layer: its block. row: of the output, only what follows after this token (-1: the last).
        call: calls the module as in one run; given by :meth:`txpanel.tracing.Trace.operation`.
    """

    kind: ClassVar[str] = "opaque"
    module: str = ""
    part: str = ""
    layer: int | None = None
    row: int | None = None
    call: Callable[[Tensor], Tensor] | None = None

    def recompute(self, x: Values) -> Tensor:
        if self.call is None:
            raise no_weights(self.output)
        return self.call(x[self.inputs[0]])

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        return []

    def opaque_at(self, cell: Cell) -> str | None:
        return self.module


@dataclass(frozen=True)
class Difference(Operation):
    """``y = a - b``: what a step that is run as a whole has added. Inputs: a, b."""

    kind: ClassVar[str] = "difference"

    def recompute(self, x: Values) -> Tensor:
        return x[self.inputs[0]] - x[self.inputs[1]]

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        after, before = self.inputs
        a, b = number(x[after][cell]), number(x[before][cell])
        return [
            Term(a, short(after), (self.at(after, *cell),), (a,)),
            Term(-b, f"-{short(before)}", (self.at(before, *cell),), (b,)),
        ]
