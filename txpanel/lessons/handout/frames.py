"""What the pictures of a handout share: which tokens they show, how these are called, bars and strips of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from txpanel.lessons.handout.svg import FAINT, GREY, INK, Drawing, fitted, text_width
from txpanel.lessons.situation import Array, Situation
from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.format import count

__all__ = [
    "MOST_TOKENS",
    "Picture",
    "bars",
    "chosen",
    "column_heads",
    "few_positions",
    "heads_height",
    "left_out",
    "numbered",
    "strip",
    "width_of_names",
]

MOST_TOKENS = 25
"""More columns than these could not be read on paper."""


@dataclass(frozen=True)
class Picture:
    """A picture and the sentences below it."""

    svg: str
    caption: str


def few_positions(here: Situation, most: int = MOST_TOKENS) -> list[int]:
    """Positions that a picture shows: all, or of a long text the first one and those up to the query."""
    n = len(here.ids)
    if n <= most:
        return list(range(n))
    end = max(here.query, most - 1)
    return [0, *range(end - most + 2, end + 1)]


def left_out(here: Situation, shown: Sequence[int]) -> str:
    """A sentence that says which tokens are shown; empty where all are."""
    if len(shown) == len(here.ids):
        return ""
    first, end = count(shown[1] + 1), count(shown[-1] + 1)
    said = _("Of {all} tokens it shows the first one and tokens {first} to {end}.")
    return " " + said.format(all=count(len(here.ids)), first=first, end=end)


def numbered(here: Situation, at: int, room: float = 13) -> str:
    """A token as a label, with its position from 1 before it, its blanks drawn, cut where it is long."""
    return f"{at + 1}  {fitted(visible(here.trace.tokens.strings[at]), room)}"


def chosen(here: Situation) -> str:
    """The chosen query's token, for a caption."""
    return visible(here.trace.tokens.strings[here.query])


def width_of_names(names: Iterable[str], size: float = 10) -> float:
    """Room for the names of rows, on the left of a picture."""
    return 10 + max(text_width(name, size) for name in names)


TURN = 55.0
"""Degrees by which the tokens above a matrix are turned."""


def heads_height(here: Situation, shown: Sequence[int]) -> float:
    """Room for the tokens above a matrix."""
    return 10 + max(text_width(numbered(here, at, 11), 9) for at in shown) * math.sin(math.radians(TURN))


def column_heads(drawing: Drawing, here: Situation, shown: Sequence[int], left: float, top: float, cell: float) -> None:
    """The tokens above the columns of a matrix."""
    for i, at in enumerate(shown):
        drawing.text(left + (i + 0.5) * cell + 3, top - 5, numbered(here, at, 11), size=9, turn=-TURN)


Rows = Sequence[tuple[str, Sequence[tuple[float, str]]]]


def bars(drawing: Drawing, rows: Rows, left: float, top: float, room: float) -> None:
    """Rows of horizontal bars: of each its name, and one or two lengths (0 to 1) with what is written behind them.

    The first of two is an outline, the second one is filled.
    """
    for i, (name, lengths) in enumerate(rows):
        height = ROW if len(lengths) == 1 else TWO_ROWS
        y = top + i * height
        drawing.text(left - 8, y + height / 2 + 3, name, anchor="end")
        thick = (height - 6) / len(lengths)
        for j, (length, said) in enumerate(lengths):
            filled = j == len(lengths) - 1
            wide = max(0.0, min(1.0, length)) * room
            y_bar = y + 3 + j * thick
            drawing.rect(left, y_bar, max(wide, 0.5), thick - 1, GREY if filled else "#ffffff", INK)
            drawing.text(left + wide + 6, y_bar + thick / 2 + 2.5, said, size=9, bold=filled)


ROW, TWO_ROWS = 17, 28
"""Height of a row of one or two bars."""


def strip(drawing: Drawing, values: Array, left: float, middle: float, room: float, height: float) -> None:
    """The numbers of a vector as thin bars, up where they are positive and down where they are negative; the largest one is `height` / 2."""
    most = float(np.abs(values).max()) or 1.0
    wide = room / len(values)
    up, down = list[str](), list[str]()
    for i, value in enumerate(np.asarray(values, float) / most * height / 2):
        part = f"M{left + i * wide:.1f} {middle:.1f}h{wide * 0.9:.2f}v{-value:.1f}h{-wide * 0.9:.2f}z"
        (up if value > 0 else down).append(part)
    drawing.path("".join(up), INK)
    drawing.path("".join(down), GREY)
    drawing.line(left, middle, left + room, middle, FAINT, 0.6)
