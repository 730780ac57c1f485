"""One head, stage by stage, as linked pictures: scores, cap, bias, mask, pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from txpanel.messages import _, again
from txpanel.toolkit.card import Legend, Table, row
from txpanel.toolkit.format import number
from txpanel.toolkit.heatmap import FEW, NUMBERS_UP_TO, Axis, Heatmap
from txpanel.toolkit.highlights import Cells
from txpanel.toolkit.labels import put
from txpanel.toolkit.palette import Scale
from txpanel.toolkit.rendering import sized
from txpanel.views.attention.data import WINDOW, Cut, Look, cut, overview, stage, stages
from txpanel.views.attention.head_picture import head_picture
from txpanel.views.attention.words import option_words, stage_words, titles
from txpanel.views.heads import cell_of, strongest

__all__ = ["Maps"]

HOVER = ("", _("value"), _("tensor"))
INKS = ("query-ink", "key-ink")
CELL = 25
"""Pixels of a cell in which a short number has room."""
BESIDE = 112
"""Pixels that the names of the rows and their title take."""


def _pooled(
    tensor: str, head: int, side: int, total: int, name: str, index: Mapping[str, int]
) -> tuple[int, int] | None:
    """Where a weight stands in the overview of `side` x `side` cells."""
    here = name == tensor and index["head"] == head
    return (cell_of(index["query"], total, side), cell_of(index["key"], total, side)) if here else None


class Maps:
    """The stages of the chosen head as linked pictures.

    Attributes:
        panel: the pictures in a row, `after` behind them. heats: stage -> `Heatmap`. window: the tokens shown as (queries, keys).
    """

    def __init__(self, view: Any, cursor: ColumnDataSource, after: Sequence[Any] = ()) -> None:
        self.view, self.cursor, self.after = view, cursor, after
        self.chosen = ColumnDataSource({"query": [0], "key": [0]})
        self.heats: dict[str, Heatmap] = {}
        self.pictures: dict[str, Any] = {}
        self.legend: dict[str, Legend] = {}
        self.values: dict[str, np.ndarray] = {}
        self.window = (Cut(0, 0, 0), Cut(0, 0, 0))
        self._run: Any = None
        self._free = 0  # the key in focus when this run began; -1 once another one was chosen
        self.panel = row(*after)

    def feed(self, look: Look, *, hide_sink: bool = False, weigh: bool = False) -> None:
        """Another head, block, run or option."""
        state = self.view.state
        if look.trace is not self._run:
            self._free = 0 if self._run is None else state.key
            self._run = look.trace
        rows = cut(look.total, state.query)
        self.window = (rows, self._columns(rows, state.key))
        self._widen(self.window[1])
        parts = stages(look.trace, look.layer)
        for part in parts:
            values = (
                look.shown(hide_sink=hide_sink, weigh=weigh)
                if part == "pattern"
                else stage(look.trace, look.layer, look.head, part)
            )
            scale = (
                Scale.of("magnitude", values)
                if weigh and part == "pattern" and look.norms is not None
                else self._shares(values)
                if part == "pattern"
                else Scale.of("signed", values)
            )
            self._show(
                part,
                look,
                values,
                scale,
                option_words(look, hide_sink=hide_sink, weigh=weigh) if part == "pattern" else "",
            )
        if look.total > WINDOW:
            self._show_overview(look)
        names = [*parts, *(["overview"] if look.total > WINDOW else [])]
        wanted = [*(self.pictures[name] for name in names), *self.after]
        if [id(x) for x in self.panel.objects] != [id(x) for x in wanted]:
            self.panel.objects = wanted
        self.choose()

    def _widen(self, columns: Cut) -> None:
        """As many pictures in a row as keep room for the numbers in their cells, if the cells are few enough for numbers."""
        shown = columns.stop - columns.start
        least = CELL * shown + BESIDE if FEW < shown <= NUMBERS_UP_TO else 300
        if self.panel.styles.get("--tx-least") != f"{least}px":
            self.panel.styles = {**self.panel.styles, "--tx-least": f"{least}px"}

    def _columns(self, rows: Cut, key: int) -> Cut:
        """Columns to show: the same tokens as the rows, so that the diagonal is in sight, until a key outside of them is chosen."""
        if key != self._free:
            self._free = -1
        return rows if rows.start <= key < rows.stop or key == self._free else cut(rows.total, key)

    def _shares(self, values: np.ndarray) -> Scale:
        """Weights from 0 to 1; of a long text, where each is small, to the largest one on screen."""
        rows, columns = self.window
        seen = values[rows.slice, columns.slice]
        if (rows.whole and columns.whole) or not np.isfinite(seen).any():
            return Scale.of("probability")
        return Scale("probability", 0.0, float(np.nanmax(seen)) or 1.0)

    def choose(self) -> bool:
        """Frames the chosen cell; False if it lies outside the window, which must then be fed again."""
        state = self.view.state
        put(self.chosen, {"query": [state.query], "key": [state.key]})
        rows, columns = self.window
        free = state.key == self._free
        return rows.start <= state.query < rows.stop and (free or columns.start <= state.key < columns.stop)

    def _show(self, part: str, look: Look, values: np.ndarray, scale: Scale, instead: str) -> None:
        heat, column = self._picture(part)
        rows, columns = self.window
        strings = look.trace.tokens.strings
        self.values[part] = values
        heat.feed(
            values[rows.slice, columns.slice],
            Axis(strings[rows.slice], rows.start),
            Axis(strings[columns.slice], columns.start),
            scale=scale,
            name=f"blocks.{look.layer}.{part}[{look.head}, {{r}}, {{c}}]",
            cell=_("{r} attends to {c}"),
            at=Cells(f"blocks.{look.layer}.{part}", "query", "key", {"head": look.head}),
        )
        title, subtitle = stage_words(look, part)
        if not (rows.whole and columns.whole):
            subtitle += " · " + _("rows {a}–{b}, columns {c}–{d} of {n}").format(
                a=rows.start + 1, b=rows.stop, c=columns.start + 1, d=columns.stop, n=rows.total
            )
        column.heading.param.update(
            heading=title, paragraphs=[[("", subtitle)], *([[("good", instead)]] if instead else [])]
        )
        shown = columns.stop - columns.start
        side = max(180, min(380, 46 * shown), CELL * shown if shown <= NUMBERS_UP_TO else 0)
        sized(column, heat.figure, side + BESIDE, side + 76)
        self.legend[part].show(heat.scale)
        column.tools.changed()
        self._frame(heat, rows, columns)

    def _picture(self, part: str) -> tuple[Heatmap, Any]:
        if part not in self.heats:
            heat = Heatmap(
                self.view,
                "probability" if part == "pattern" else "signed",
                "query",
                "key",
                tap=lambda q, k: self._tap(part, q, k),
                inks=INKS,
                hover=tuple(map(again, HOVER)),
                titles=titles(),
            )
            heat.link(self.cursor, row="query", column="key")
            self.legend[part] = Legend()
            state, table = self.view.state, lambda: self.table(part)
            column = head_picture(state, part, heat, self.legend[part], table, lambda: state.head)
            self.heats[part], self.pictures[part] = heat, column
            heat.outline(self.chosen, "focus", x="key", y="query")
        return self.heats[part], self.pictures[part]

    def _frame(self, heat: Heatmap, rows: Cut, columns: Cut) -> None:
        """The hovered query's row and key's column, framed in all pictures at once."""
        if len(heat.frames) == 1:
            heat.outline(self.cursor, "query", x=0, y="query", line=1.5)
            heat.outline(self.cursor, "key", x="key", y=0, line=1.5)
        (_chosen, _ink), (row, _row), (column, _column) = heat.frames
        row.glyph.update(x=(columns.start + columns.stop - 1) / 2, width=columns.stop - columns.start)
        column.glyph.update(y=(rows.start + rows.stop - 1) / 2, height=rows.stop - rows.start)

    def _show_overview(self, look: Look) -> None:
        if "overview" not in self.heats:
            self._picture("overview")
        heat, column = self.heats["overview"], self.pictures["overview"]
        small = overview(look.pattern)
        step = -(-look.total // len(small))
        names = [_("tokens from number {i}").format(i=i * look.total // len(small) + 1) for i in range(len(small))]
        self.values["overview"] = small
        heat.feed(
            small,
            Axis(names),
            Axis(names),
            scale=Scale("probability", 0, float(np.nanquantile(small, 0.98)) or 1.0),
            name=_("largest of up to {n} × {n} weights").format(n=step),
            cell=_("{r} attend to {c}"),
            room=(0, 0),
            at=partial(_pooled, f"blocks.{look.layer}.pattern", look.head, len(small), look.total),
        )
        column.heading.param.update(
            heading=_("The whole text"),
            paragraphs=[
                [
                    (
                        "",
                        _("each cell shows the largest of up to {n} × {n} weights; click one to go there").format(
                            n=step
                        ),
                    )
                ]
            ],
        )
        sized(column, heat.figure, 300, 290)
        self.legend["overview"].show(heat.scale)
        self.legend["overview"].caption = _("full colour from {high}").format(high=number(heat.scale.high, 2))

    def _tap(self, part: str, row: int, column: int) -> None:
        state = self.view.state
        if part == "overview":
            place = strongest(state.trace.head_map(state.layer, state.head), row, column, len(self.values["overview"]))
            if place is None:
                return
            (row, column), part = place, "pattern"
        state.focus(query=row, key=column)
        state.ask(f"blocks.{state.layer}.{part}", head=state.head, query=row, key=column)

    def table(self, part: str) -> Table:
        """A stage's numbers as they are shown, all rows and columns of the text."""
        names = [f"{i} {s}" for i, s in enumerate(self.view.state.trace.tokens.strings)]
        values = self.values[part]
        if len(values) != len(names):
            names = [str(i) for i in range(len(values))]
        return Table.matrix(values, names, names, corner=_("query / key"), caption=self.pictures[part].heading.heading)
