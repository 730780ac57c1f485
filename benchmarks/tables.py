"""A comparison as data: it goes to results.json, and from there into docs/benchmarks.md and its plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

Cell = str | float | int | None
Column = tuple[str, str]
"""What stands above it, and its unit (a key of `UNITS`)."""

FACTORS = {"ms": 1e3, "MB": 1e-6}
"""From what is kept (seconds, bytes) to the unit that is written."""

UNITS: dict[str, Callable[[Any], str]] = {
    "": str,
    "ms": lambda seconds: f"{seconds * 1e3:,.1f}",
    "s": lambda seconds: f"{seconds:,.1f}",
    "MB": lambda count: f"{count / 1e6:,.1f}",
    "bytes": lambda count: f"{count:,}",
    "count": lambda count: f"{count:,}",
    "per s": lambda rate: f"{rate:,.1f}",
    "times": lambda ratio: f"{ratio:.2f}",
}


@dataclass
class Table:
    """One comparison.

    Attributes:
        id: of the list in the project's references. note: what is counted, and of what.
        rows: one cell for each column, as measured: seconds, bytes, counts; None where a peer is not installed.
        plot: title of the column that is drawn as bars; none when empty. log: on a logarithmic axis.
    """

    id: str
    title: str
    note: str
    columns: list[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    plot: str = ""
    log: bool = False

    def markdown(self) -> str:
        """A heading, the note and the table."""
        lines = [f"## {self.id} · {self.title}", "", self.note, ""]
        lines += [_line(heading(column) for column in self.columns)]
        lines += [_line("---" if i == 0 else "---:" for i in range(len(self.columns)))]
        for row in self.rows:
            cells = zip(row, self.columns, strict=True)
            lines.append(_line("not installed" if cell is None else UNITS[unit](cell) for cell, (_, unit) in cells))
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """From JSON."""
        return cls(**{**data, "columns": [tuple(column) for column in data["columns"]]})


def heading(column: Column) -> str:
    """The title, with the unit where the cells do not say it."""
    title, unit = column
    return f"{title}, {unit}" if unit in (*FACTORS, "s", "bytes") else title


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
