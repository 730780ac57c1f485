"""The activation curve with a token's own points on it: made by HoloViews once, fed afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.events import Tap
from bokeh.models import HoverTool, Range1d, Span

from txpanel.messages import _
from txpanel.toolkit.figure_code import hover as hover_code
from txpanel.toolkit.palette import colour
from txpanel.toolkit.rendering import ink_axis, rendered


def _line_and_points() -> hv.Overlay:
    zero = np.zeros(1, np.float32)
    line = hv.Curve((zero, zero), "into", "out")
    points, strong = (hv.Points((zero, zero, zero), ["into", "out"], ["neuron"]) for _each in range(2))
    return (line * points * strong).opts(default_tools=[], responsive=True, show_grid=True)


class ActivationPlot:
    """``y = act(x)`` as a line, every neuron of one token as a point on it, the strongest ones larger.

    Args:
        view: the view it belongs to; light and dark are followed.
        tap: called with the number of the neuron nearest to a click.
    """

    def __init__(self, view: Any, tap: Callable[[int], Any]) -> None:
        self.figure = rendered(_line_and_points)
        self.figure.toolbar.update(logo=None, active_drag=None)
        self.figure.toolbar_location = None
        self.line, self.points, self.strong = self.figure.renderers[:3]
        self.points.glyph.update(size=5, fill_alpha=0.45, line_color=None)
        self.strong.glyph.update(size=11, line_width=1.5)
        self.line.glyph.line_width = 2
        for renderer in (self.line, self.points, self.strong):
            renderer.nonselection_glyph = renderer.selection_glyph = renderer.muted_glyph = None
        self.figure.x_range, self.figure.y_range = Range1d(-3, 3), Range1d(-1, 3)
        self.axes = [Span(location=0, dimension=d, line_width=1) for d in ("width", "height")]
        for span in self.axes:
            self.figure.add_layout(span)
        self.figure.xaxis[0].axis_label, self.figure.yaxis[0].axis_label = "", ""
        self._hover()
        self.figure.on_event(Tap, lambda event: self._tapped(event, tap))
        self.x, self.y, self.numbers = np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64)
        self.dark(view.dark)
        view.watch(view, lambda event: self.dark(event.new), "dark")

    def _hover(self) -> None:
        whole = hover_code("whole")
        full = hover_code("seven")
        tips = [
            (_("neuron"), "@neuron{custom}"),
            (_("before the activation function"), "@into{custom}"),
            (_("after it"), "@out{custom}"),
        ]
        tool = HoverTool(
            renderers=[self.points, self.strong],
            tooltips=tips,
            formatters={"@neuron": whole, "@into": full, "@out": full},
        )
        self.figure.add_tools(tool)

    def _tapped(self, event: Any, tap: Callable[[int], Any]) -> None:
        if event.x is None or not self.numbers.size:
            return
        width = (self.figure.x_range.end - self.figure.x_range.start) or 1.0
        height = (self.figure.y_range.end - self.figure.y_range.start) or 1.0
        away = ((self.x - event.x) / width) ** 2 + ((self.y - event.y) / height) ** 2
        nearest = int(away.argmin())
        if away[nearest] < 0.03**2:
            tap(int(self.numbers[nearest]))

    def feed(
        self,
        curve: tuple[np.ndarray, np.ndarray] | None,
        x: np.ndarray,
        y: np.ndarray,
        strongest: list[int],
        label: str,
    ) -> None:
        """Shows another curve and other points.

        Args:
            curve: two float32 arrays, or None where the function is not at hand.
            x, y: float32 ``[F]``, argument and value of every neuron.
            strongest: neurons drawn larger.
            label: of the horizontal axis.
        """
        self.x, self.y, self.numbers = x, y, np.arange(x.size)
        gx, gy = curve if curve is not None else (np.zeros(0, np.float32), np.zeros(0, np.float32))
        self.line.data_source.data = {"into": gx, "out": gy}
        neuron = np.arange(x.size, dtype=np.float32)
        self.points.data_source.data = {"into": x, "out": y, "neuron": neuron}
        self.strong.data_source.data = {"into": x[strongest], "out": y[strongest], "neuron": neuron[strongest]}
        self._ranges(np.concatenate([gx, x]), np.concatenate([gy, y]))
        self.figure.xaxis[0].axis_label = label

    def _ranges(self, xs: np.ndarray, ys: np.ndarray) -> None:
        for side, values in ((self.figure.x_range, xs), (self.figure.y_range, ys)):
            low, high = float(values.min()), float(values.max())
            pad = 0.06 * (high - low or 1.0)
            side.update(start=low - pad, end=high + pad)

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        self.line.glyph.line_color = colour("lane", dark=dark)
        self.points.glyph.fill_color = colour("mlp", dark=dark)
        self.strong.glyph.update(fill_color=colour("focus", dark=dark), line_color=colour("surface", dark=dark))
        quiet = {"axis_line_color": None, "major_tick_line_color": None, "minor_tick_line_color": None}
        for axis in (*self.figure.xaxis, *self.figure.yaxis):
            axis.update(**quiet)
            ink_axis(axis, colour("muted", dark=dark))
        for grid in (*self.figure.xgrid, *self.figure.ygrid):
            line = colour("border", dark=dark)
            grid.update(css_variables={"--bk-grid-line-color": line}, grid_line_color=line, grid_line_alpha=0.6)
        for span in self.axes:
            span.line_color = colour("control", dark=dark)
