"""Highlighting: every picture marks the cell that the open “why this number” card explains, and the sources of its largest operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from txpanel.toolkit.explained import highlighted_cells
from txpanel.tracing.names import cell_name

__all__ = ["Cells", "Highlights", "Locate", "names"]

Cell = tuple[str, Mapping[str, int]]
Locate = Callable[[str, Mapping[str, int]], "tuple[int, int] | None"]
"""Where a cell of a tensor stands in a picture, as (row, column); None if it is not in it."""


@dataclass(frozen=True)
class Cells:
    """Where the cells of one tensor stand in a picture whose sides are two of its dimensions.

    Args:
        name: the tensor. row, column: its dimensions that run down and across.
        fixed: the other dimensions, such as ``{"head": 3}``.
    """

    name: str
    row: str
    column: str
    fixed: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, name: str, index: Mapping[str, int]) -> tuple[int, int] | None:
        """Row and column of a cell; None if the picture does not show it."""
        if name != self.name or not {self.row, self.column} <= index.keys():
            return None
        here = all(index.get(dim) == at for dim, at in self.fixed.items())
        return (index[self.row], index[self.column]) if here else None


def names(tensor: str, cells: Sequence[Cell]) -> bool:
    """Whether one of the cells is `tensor`, written as ``pattern[0, 3, 1]``, or lies in it (``|result[0, 3]|``, a row)."""
    row = tensor.strip("|‖").removesuffix("]") + ", "
    return bool(tensor) and any((cell := cell_name(*one)) == tensor or cell.startswith(row) for one in cells)


class Highlights:
    """Tells the pictures of a view which cells to highlight: one watcher for all of them, so that it is one message to the browser."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self.pictures: list[Any] = []
        view.follow(self._changed, "question", "trace", empty=self._changed)

    @classmethod
    def of(cls, view: Any) -> Highlights:
        """The highlights of a view, made on first use."""
        if "_lights" not in vars(view):
            view._lights = cls(view)
        found: Highlights = view._lights
        return found

    @property
    def cells(self) -> list[Cell]:
        """The cell in question, and those that its largest operands come from."""
        return (
            list(highlighted_cells(self.view.state.trace, self.view.state.question))
            if self.view.state is not None
            else []
        )

    def add(self, picture: Any) -> None:
        """A picture with a method ``light(cells)``."""
        self.pictures.append(picture)

    def _changed(self) -> None:
        cells = self.cells
        for picture in self.pictures:
            picture.light(cells)
