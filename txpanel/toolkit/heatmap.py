"""A matrix as a picture: an ``hv.Image`` that is rendered once and fed afterwards (see `txpanel.toolkit.rendering`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.events import MouseLeave, MouseMove, Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Rect

from txpanel.toolkit import figure_code
from txpanel.toolkit.format import brief, number
from txpanel.toolkit.highlights import Cell, Highlights, Locate
from txpanel.toolkit.labels import Words, mark, put, shorten, single
from txpanel.toolkit.palette import Kind, Scale, colour
from txpanel.toolkit.rendering import ink_axis, plain, rendered, roomy, tick

__all__ = ["Axis", "Heatmap"]

GAPS_UP_TO = 40
"""Up to this many cells in a row, there are gaps between them."""
NUMBERS_UP_TO = 25
"""Up to this many cells in a row, each has its number written in it, where it has room."""
FEW = 12
"""Up to this many cells in a row, numbers have two digits in full; more of them are written as short as can be."""


@dataclass(frozen=True)
class Axis:
    """What stands along one side of a picture: cells ``start, start + 1, ...`` and their names."""

    labels: Sequence[str]
    start: int = 0

    @property
    def stop(self) -> int:
        """One past the last cell."""
        return self.start + len(self.labels)

    def __contains__(self, place: int) -> bool:
        return self.start <= place < self.stop

    def ticks(self, room: int, length: int = 12) -> tuple[list[int], dict[int, str]]:
        """Every n-th label, so that at most `room` stand side by side."""
        step = max(1, -(-len(self.labels) // room))
        at = list(range(self.start, self.stop, step))
        return at, {i: shorten(self.labels[i - self.start], length) for i in at}


def _image(row: str, column: str) -> hv.Image:
    element = hv.Image(
        (np.arange(1), np.arange(1), np.zeros((1, 1), np.float32)),
        kdims=[column, row],
        vdims=["value"],
        bounds=(-0.5, -0.5, 0.5, 0.5),
    )
    return element.opts(default_tools=[], tools=[], colorbar=False, responsive=True, invert_yaxis=True)


class Heatmap:
    """A matrix in colour: rows from top to bottom, columns from left to right.

    Args:
        view: the view it belongs to; light and dark are followed.
        kind: which ramp of `palette`.
        row, column: what a row and a column are; also the names of the HoloViews dimensions.
        tap: called with (row, column) of a clicked cell.
        inks: meanings of colours for the row labels and the column labels.
        hover: the names of the tooltip's three lines: cell, value, tensor.
        titles: what the rows and the columns are, beside them.
    """

    CUT = False
    """Whether what is written into the cells may be cut where a cell is too narrow; a number is whole or not there."""

    def __init__(
        self,
        view: Any,
        kind: Kind,
        row: str,
        column: str,
        *,
        tap: Callable[[int, int], Any] | None = None,
        inks: tuple[str, str] = ("muted", "muted"),
        hover: tuple[str, str, str] = ("", "", ""),
        gaps: bool = True,
        titles: tuple[str, str] = ("", ""),
    ) -> None:
        self.kind, self.inks, self.gaps = kind, inks, gaps
        self.rows = self.columns = Axis([""])
        self._sides: tuple[Any, ...] = ()
        self.frames: list[tuple[Any, str]] = []
        self.at: Locate | None = None
        self.scale = Scale(kind, 0.0, 1.0, view.dark)
        self.values = np.zeros((1, 1), np.float32)
        self.figure = rendered(_image, row, column)
        plain(self.figure)
        self.renderer = single(self.figure.renderers[0])
        self.figure.yaxis[0].axis_label, self.figure.xaxis[0].axis_label = (title or None for title in titles)
        self.source: ColumnDataSource = self.renderer.data_source
        self._set_visible(False)
        self._mapper = self.renderer.glyph.color_mapper
        self.figure.x_range, self.figure.y_range = Range1d(-0.5, 0.5), Range1d(0.5, -0.5)
        self.lit = ColumnDataSource({"x": [], "y": []})
        lit = Rect(x="x", y="y", width=1, height=1, fill_alpha=0, line_width=2)
        self._lit = mark(self.figure, lit, self.lit, "annotation")
        self.lights = Highlights.of(view)
        self.lights.add(self)
        self.cells = Words(self.figure, text_align="center", text_baseline="middle", text_font_size="11px")
        self.cells.fit(self.figure, cut=self.CUT)
        roomy(self.figure)
        self._hover(hover)
        if tap is not None:
            self.figure.on_event(Tap, lambda event: self._tapped(event, tap))
        self.dark(view.dark)
        view.watch(view, lambda event: self.dark(event.new), "dark")

    def _set_visible(self, visible: bool) -> None:
        """Hides what would be drawn without numbers."""
        for part in (self.renderer, self.figure.xaxis[0], self.figure.yaxis[0]):
            part.visible = visible

    def _hover(self, lines: tuple[str, str, str]) -> None:
        self.cell = figure_code.hover("cell-words")
        self.number = figure_code.hover("exact")
        self.place = figure_code.hover("cell-name")
        tooltips = [(lines[0], "$x{custom}"), (lines[1], "@image{custom}"), (lines[2], "$y{custom}")]
        formatters = {"$x": self.cell, "@image": self.number, "$y": self.place}
        self.figure.add_tools(
            HoverTool(renderers=[self.renderer], tooltips=tooltips, formatters=formatters, point_policy="follow_mouse")
        )

    def _tapped(self, event: Any, tap: Callable[[int, int], Any]) -> None:
        if event.x is None or event.y is None:
            return
        row, column = int(np.floor(event.y + 0.5)), int(np.floor(event.x + 0.5))
        if row in self.rows and column in self.columns:
            tap(row, column)

    def feed(
        self,
        values: np.ndarray,
        rows: Axis,
        columns: Axis,
        *,
        scale: Scale | None = None,
        name: str = "",
        cell: str = "{r} · {c}",
        room: tuple[int, int] = (32, 24),
        angle: float | None = None,
        steps: tuple[int, int] = (1, 1),
        at: Locate | None = None,
    ) -> None:
        """Shows other numbers.

        Args:
            values: [rows, columns]; NaN is an empty cell.
            scale: colours; from the values' own range when None.
            name: tensor name with ``{r}`` and ``{c}`` for the two indices. cell: the same with the two labels, in words.
            room: how many row and column labels have room.
            angle: of the column labels, in radians; None: upright where they fit.
            steps: how many indices one cell stands for (pooled pictures).
            at: where a tensor's cell stands in the picture, so that it lights up when the "why" card names it.
        """
        self.values, self.rows, self.columns = np.asarray(values, np.float32), rows, columns
        kind = self.scale.kind
        self.scale = (scale or Scale.of(self.kind, values)).themed(self.scale.dark)
        self._mapper.update(low=self.scale.low, high=self.scale.high)
        if self.scale.kind != kind:
            self._mapper.palette = list(self.scale.palette)
        place = {
            "x": [columns.start - 0.5],
            "y": [rows.start - 0.5],
            "dw": [len(columns.labels)],
            "dh": [len(rows.labels)],
        }
        self.source.data = {"image": [self.values], **place}
        self.renderer.visible = True
        if (sides := (rows, columns, room, angle, cell)) != self._sides:  # another head leaves them as they are
            self._sides = sides
            self._axes(rows, columns, room, angle)
            labels = {"rows": list(rows.labels), "columns": list(columns.labels)}
            self.cell.args = {**labels, "row0": rows.start, "column0": columns.start, "template": cell}
        self.place.args = {"name": name, "row_step": steps[0], "column_step": steps[1]}
        self.at = at
        self.light(self.lights.cells if at is not None else [])
        self._numbers()

    def light(self, cells: Sequence[Cell]) -> None:
        """Frames the cells that the open "why" card is about."""
        found = [self.at(*cell) for cell in cells] if self.at is not None else []
        places = dict.fromkeys(one for one in found if one is not None)
        inside = [(r, c) for r, c in places if r in self.rows and c in self.columns]
        put(self.lit, {"x": [c for _r, c in inside], "y": [r for r, _c in inside]})

    def _axes(self, rows: Axis, columns: Axis, room: tuple[int, int], angle: float | None) -> None:
        self.figure.x_range.update(start=columns.start - 0.5, end=columns.stop - 0.5)
        self.figure.y_range.update(start=rows.stop - 0.5, end=rows.start - 0.5)
        upright = 0.0 if len(columns.labels) <= 4 else 0.8
        self.figure.xaxis[0].major_label_orientation = upright if angle is None else angle
        for axis, side, most in ((self.figure.yaxis[0], rows, room[0]), (self.figure.xaxis[0], columns, room[1])):
            at, names = side.ticks(most) if most else ([], {})
            tick(axis, at)
            axis.update(major_label_overrides=names, visible=bool(most or axis.axis_label))
        for grid, side in ((self.figure.ygrid[0], rows), (self.figure.xgrid[0], columns)):
            near = self.gaps and len(side.labels) <= GAPS_UP_TO
            tick(grid, [i - 0.5 for i in range(side.start, side.stop + 1)] if near else [])

    def _numbers(self) -> None:
        few = self.gaps and max(self.values.shape) <= NUMBERS_UP_TO
        at = [(r, c) for r, c in np.ndindex(*self.values.shape) if np.isfinite(self.values[r, c])] if few else []
        numbers = [float(self.values[cell]) for cell in at]
        full = max(self.values.shape) <= FEW
        self.cells.look(11 if full else 10, 6 if full else 2)
        self.cells.feed(
            [self.columns.start + c for _, c in at],
            [self.rows.start + r for r, _ in at],
            [self._written(v) if full else brief(v) for v in numbers],
            self.scale.inks(numbers),
        )

    def _written(self, value: float) -> str:
        return "<.001" if self.scale.kind == "probability" and 0 < value < 0.001 else number(value, 2)

    def outline(
        self,
        source: ColumnDataSource,
        meaning: str,
        *,
        x: Any = "x",
        y: Any = "y",
        width: Any = 1,
        height: Any = 1,
        line: float = 2.5,
    ) -> None:
        """Draws frames around cells that `source` names (columns or constants for centre and size)."""
        ink = colour(meaning, dark=self.scale.dark)
        frame = {"fill_alpha": 0, "line_width": line, "line_color": ink, "border_radius": 3}
        glyph = mark(self.figure, Rect(x=x, y=y, width=width, height=height, **frame), source, "annotation")
        self.frames.append((glyph, meaning))

    def link(self, cursor: ColumnDataSource, *, row: str | None = None, column: str | None = None) -> None:
        """Writes the hovered row and column into columns of `cursor`, in the browser, so that linked pictures follow at once."""
        names = {"cursor": cursor, "row": row, "column": column}
        follow = figure_code.callback("follow", **names, x=self.figure.x_range, y=self.figure.y_range)
        self.figure.js_on_event(MouseMove, follow)
        self.figure.js_on_event(MouseLeave, figure_code.callback("leave", **names))

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        self.scale = self.scale.themed(dark)
        self._mapper.update(palette=list(self.scale.palette), nan_color="rgba(0,0,0,0)")
        gap = f":host{{--bk-grid-line-color:{colour('surface', dark=dark)};--bk-grid-line-width:2;--bk-grid-line-alpha:1}}"
        for grid in (*self.figure.xgrid, *self.figure.ygrid):
            grid.update(
                stylesheets=[gap],
                grid_line_color=colour("surface", dark=dark),
                grid_line_width=2,
                level="guide",
                visible=self.gaps,
            )
        for axis, ink in zip((*self.figure.yaxis, *self.figure.xaxis), self.inks, strict=True):
            ink_axis(axis, colour(ink, dark=dark))
        if self.gaps:
            sunken = colour("sunken", dark=dark)
            self.figure.update(
                stylesheets=[f":host{{--bk-background-fill-color:{sunken};--bk-background-fill-alpha:1}}"],
                background_fill_color=sunken,
            )
        self._lit.glyph.line_color = colour("focus", dark=dark)
        for glyph, meaning in self.frames:
            glyph.glyph.line_color = colour(meaning, dark=dark)
        self._numbers()
