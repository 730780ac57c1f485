"""Horizontal bars with names and numbers: ``hv.Rectangles`` that are rendered once and fed afterwards (see `txpanel.toolkit.rendering`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Text

from txpanel.toolkit.figure_code import hover as hover_code
from txpanel.toolkit.highlights import Cell, Highlights, names
from txpanel.toolkit.labels import mark, shorten, single
from txpanel.toolkit.palette import colour
from txpanel.toolkit.rendering import ink_axis, plain, rendered, tick

__all__ = ["Bars"]

CLEAR = "rgba(0,0,0,0)"


def _rectangle() -> hv.Rectangles:
    return hv.Rectangles([(0.0, -0.3, 1.0, 0.3)]).opts(default_tools=[], tools=[], responsive=True, invert_yaxis=True)


class Bars:
    """Numbers as horizontal bars, from top to bottom, each with its name on the left and its number on the right.

    Args:
        view: the view it belongs to; light and dark are followed.
        meaning: colour of a bar; a chosen one has `strong`, a remainder ("others") is grey.
        ink: colour of the names.
        tap: called with the place of a clicked bar, 0 at the top.
        hover: names of the tooltip's lines: name, value, tensor.
    """

    def __init__(
        self,
        view: Any,
        meaning: str,
        *,
        strong: str = "focus",
        ink: str = "text",
        tap: Callable[[int], Any] | None = None,
        hover: tuple[str, str, str] = ("", "", ""),
    ) -> None:
        self.meanings, self.ink = (meaning, strong, "lane"), ink
        self.figure = rendered(_rectangle)
        plain(self.figure)
        self.renderer = single(self.figure.renderers[0])
        self.renderer.glyph.update(fill_color="fill", line_color="line", line_width=2, border_radius=2)
        self.source: ColumnDataSource = self.renderer.data_source
        self.kinds: list[int] = []
        self._dark = view.dark
        self.lights = Highlights.of(view)
        self.lights.add(self)
        self._table([], [], [], [])
        self.figure.x_range, self.figure.y_range = Range1d(0, 1), Range1d(0.5, -0.5)
        words = {"x_offset": 6, "text_baseline": "middle", "text_font_size": "11.5px"}
        self.numbers = mark(self.figure, Text(x="end", y="y", text="text", **words), self.source)
        self.figure.xaxis[0].visible = self.figure.xgrid[0].visible = self.figure.ygrid[0].visible = False
        formatter = hover_code("exact")
        tooltips = [(hover[0], "@name"), (hover[1], "@value{custom}"), (hover[2], "@tensor")]
        self.figure.add_tools(HoverTool(renderers=[self.renderer], tooltips=tooltips, formatters={"@value": formatter}))
        if tap is not None:
            self.figure.on_event(Tap, lambda event: self._tapped(event, tap))
        self.dark(view.dark)
        view.watch(view, lambda event: self.dark(event.new), "dark")

    def _tapped(self, event: Any, tap: Callable[[int], Any]) -> None:
        if event.y is not None and 0 <= (place := int(np.floor(event.y + 0.5))) < len(self.kinds):
            tap(place)

    def _table(self, names: Sequence[str], values: Any, texts: Sequence[str], tensors: Sequence[str]) -> None:
        # lists, not arrays: Bokeh sends each array in two WebSocket frames of its own, and there are few bars
        value, at = np.asarray(values, np.float64), np.arange(len(names), dtype=np.float64)
        self.source.data = {
            "left": np.minimum(value, 0).tolist(),
            "right": np.maximum(value, 0).tolist(),
            "bottom": (at - 0.34).tolist(),
            "top": (at + 0.34).tolist(),
            "y": at.tolist(),
            "end": np.maximum(value, 0).tolist(),
            "text": list(texts),
            "value": value.tolist(),
            "name": list(names),
            "tensor": list(tensors),
            "fill": self._fills(),
            "line": self._lines(tensors, self.lights.cells),
        }

    def light(self, cells: Sequence[Cell]) -> None:
        """Frames the bars of numbers that the open "why" card is about."""
        lines = self._lines(self.source.data["tensor"], cells)
        if lines != self.source.data["line"]:
            self.source.data["line"] = lines

    def _lines(self, tensors: Sequence[str], cells: Sequence[Cell]) -> list[str]:
        ink = colour("focus-ink", dark=self._dark)
        return [ink if names(tensor, cells) else CLEAR for tensor in tensors]

    def _fills(self) -> list[str]:
        inks = [colour(meaning, dark=self._dark) for meaning in self.meanings]
        return [inks[kind] for kind in self.kinds]

    def feed(
        self,
        names: Sequence[str],
        values: Sequence[float] | np.ndarray,
        texts: Sequence[str],
        *,
        tensors: Sequence[str] = (),
        chosen: int | None = None,
        others: int | None = None,
        low: float | None = None,
        high: float | None = None,
        length: int = 14,
    ) -> None:
        """Shows other bars.

        Args:
            names: one per bar; cut to `length` characters beside the bar, whole in the tooltip.
            values, texts: lengths of the bars (float, one per name), and the text beside each.
            tensors: name and index of each value.
            chosen, others: the place of the highlighted bar, and of the one that stands for the rest.
            low, high: ends of the axis; the values' own when None.
        """
        self.kinds = [1 if i == chosen else 2 if i == others else 0 for i in range(len(names))]
        self._table(names, values, texts, tensors or [""] * len(names))
        most = float(max(values, default=1.0) if high is None else high)
        least = min(0.0, float(min(values, default=0.0) if low is None else low))
        span = (most - least) or 1.0
        room = max(0.3, 0.035 * max(map(len, texts), default=0))  # what stands beside the longest bar has to fit
        self.figure.x_range.update(start=least, end=most + room * span)
        self.figure.y_range.update(start=len(names) - 0.5, end=-0.5)
        labels = {i: shorten(name, length) for i, name in enumerate(names)}
        tick(self.figure.yaxis[0], list(labels))
        self.figure.yaxis[0].major_label_overrides = labels

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        self._dark = dark
        self.source.data["fill"] = self._fills()
        self.light(self.lights.cells)
        self.numbers.glyph.text_color = colour("soft", dark=dark)
        ink = colour(self.ink, dark=dark)
        for axis in self.figure.yaxis:
            ink_axis(axis, ink)
