"""Numbers over the layers: lines with a point per layer, and writes as bars above and below a lane. Made by HoloViews once, fed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.events import Tap
from bokeh.models import BasicTickFormatter, ColumnDataSource, HoverTool, Range1d, Scatter, Span

from txpanel.messages import _
from txpanel.toolkit.figure_code import hover as hover_code
from txpanel.toolkit.format import number
from txpanel.toolkit.labels import mark
from txpanel.toolkit.palette import colour
from txpanel.toolkit.rendering import ink_axis, rendered, tick


class LayerPlot:
    """What all plots with the layers along the bottom share: axes, theme, the line of the layer in focus.

    Args:
        view: the view it belongs to; light and dark are followed.
        figure: made by HoloViews.
        tap: called with (layer, height) of a click.
    """

    def __init__(self, view: Any, figure: Any, tap: Callable[[int, float], Any] | None) -> None:
        self.figure = figure
        figure.toolbar.update(logo=None, active_drag=None)
        figure.toolbar_location = None
        figure.x_range, figure.y_range = Range1d(-0.5, 0.5), Range1d(0, 1)
        figure.yaxis[0].formatter = BasicTickFormatter(power_limit_high=7)
        figure.xaxis[0].axis_label, figure.yaxis[0].axis_label = _("block"), ""
        self.here = Span(location=0, dimension="height", line_width=2, line_alpha=0.6)
        figure.add_layout(self.here)
        self.layers = 1
        self._set_visible(False)
        self.lit = ColumnDataSource({"x": [], "y": []})
        ring = Scatter(x="x", y="y", size=15, fill_alpha=0, line_width=2)
        self._ring = mark(figure, ring, self.lit, "annotation")
        if tap is not None:
            figure.on_event(Tap, lambda event: self._tapped(event, tap))

    def _tapped(self, event: Any, tap: Callable[[int, float], Any]) -> None:
        if event.x is not None and event.y is not None and 0 <= (layer := int(np.floor(event.x + 0.5))) < self.layers:
            tap(layer, float(event.y))

    def _rings(self, places: Sequence[tuple[int, float]]) -> None:
        """Rings around the numbers that the open card is about."""
        once = list(dict.fromkeys(places))
        data = {"x": [layer for layer, _value in once], "y": [value for _layer, value in once]}
        if data != self.lit.data:
            self.lit.data = data

    def _axes(self, layers: int, low: float, high: float, ends: Sequence[str] = ()) -> None:
        """Ranges; every n-th block has its number, and `ends` follow after the last one."""
        self.layers = layers
        self._set_visible(True)
        names = [*(str(i + 1) for i in range(layers - len(ends))), *ends]  # blocks are counted from 1 on screen
        step = max(1, -(-layers // 10))
        at = sorted({*range(0, layers - len(ends) - step // 2, step), *range(layers - len(ends), layers)})
        pad = 0.07 * (high - low or 1.0)
        self.figure.x_range.update(start=-0.6, end=layers - 0.4)
        self.figure.y_range.update(start=low - pad, end=high + pad)
        tick(self.figure.xaxis[0], at)
        self.figure.xaxis[0].major_label_overrides = {i: names[i] for i in at}

    def _set_visible(self, visible: bool) -> None:
        """Hides what would be drawn without numbers."""
        spans = [part for part in self.figure.center if isinstance(part, Span)]
        for part in (*self.figure.axis, *self.figure.grid, *spans, *(() if visible else self.figure.renderers)):
            part.visible = visible

    def theme(self, dark: bool) -> None:
        """Follows the theme of the page."""
        ink, line = colour("muted", dark=dark), colour("border", dark=dark)
        quiet = {"axis_line_color": None, "major_tick_line_color": None, "minor_tick_line_color": None}
        for axis in (*self.figure.xaxis, *self.figure.yaxis):
            axis.update(**quiet)
            ink_axis(axis, ink)
        for grid in (*self.figure.xgrid, *self.figure.ygrid):
            grid.update(css_variables={"--bk-grid-line-color": line}, grid_line_color=line, grid_line_alpha=0.5)
        self.figure.xgrid[0].grid_line_color = None
        self.here.line_color = colour("focus", dark=dark)
        self._ring.glyph.line_color = colour("focus-ink", dark=dark)


def _curve() -> hv.Overlay:
    zero = np.zeros(1, np.float32)
    element = hv.Curve((zero, zero), "layer", "value") * hv.Points((zero, zero), ["layer", "value"])
    return element.opts(default_tools=[], responsive=True, show_grid=True, show_legend=False)


def _up_and_down() -> hv.Overlay:
    up, down = hv.Rectangles([(-0.4, 0.0, 0.4, 1.0)]), hv.Rectangles([(-0.4, -1.0, 0.4, 0.0)])
    return (up * down).opts(default_tools=[], responsive=True, show_grid=True)


class Lines(LayerPlot):
    """Up to a few series over the layers.

    Args:
        view: the view it belongs to.
        tap: called with (layer, height) of a click.
    """

    def __init__(self, view: Any, tap: Callable[[int, float], Any] | None = None) -> None:
        super().__init__(view, rendered(_curve), tap)
        self.curves, self.points, self.meanings = [self.figure.renderers[0]], [self.figure.renderers[1]], ["lane"]
        tips = [(_("block"), "@block"), ("", "@name"), (_("value"), "@value{custom}")]
        self.hover = HoverTool(renderers=self.points, tooltips=tips, formatters={"@value": hover_code("seven")})
        self.figure.add_tools(self.hover)
        self._plain(self.curves[0], self.points[0])
        self.zero = Span(location=0, dimension="width", line_width=1, visible=False)
        self.figure.add_layout(self.zero)
        self.dark(view.dark)
        view.watch(view, lambda event: self.dark(event.new), "dark")

    def _plain(self, curve: Any, points: Any) -> None:
        curve.glyph.line_width = 2
        points.glyph.update(size=6, line_color=None)
        for renderer in (curve, points):
            renderer.nonselection_glyph = renderer.selection_glyph = renderer.muted_glyph = None
            renderer.data_source.data = {name: np.zeros(1, np.float32) for name in ("block", "layer", "value")} | {
                "name": [""]
            }

    def _grow(self, count: int) -> None:
        """Room for more series: like the first, but made without HoloViews, of which each element costs 30 ms."""
        while len(self.curves) < count:
            source = ColumnDataSource({"layer": [], "value": [], "block": [], "name": []})
            self.curves = [*self.curves, self.figure.line("layer", "value", source=source)]
            self.points = [*self.points, self.figure.scatter("layer", "value", source=source)]
            self._plain(self.curves[-1], self.points[-1])
        self.hover.renderers = list(self.points)

    def feed(
        self,
        series: dict[str, np.ndarray],
        focus: int,
        meanings: Sequence[str],
        *,
        dashed: Sequence[str] = (),
        low: float | None = None,
        high: float | None = None,
        ends: Sequence[str] = (),
    ) -> None:
        """Shows other numbers.

        Args:
            series: name of each and one value per layer (NaN: none).
            focus: the layer in focus.
            meanings: colour of each series, a key of `palette.COLOURS`. dashed: names of those drawn dashed.
            low, high: ends of the axis where they are given. ends: names of the places behind the last block.
        """
        self._grow(len(series))
        self.meanings = [*meanings, *["lane"] * len(self.curves)][: len(self.curves)]
        names, values = list(series), [np.asarray(v, np.float32) for v in series.values()]
        for i, (curve, points) in enumerate(zip(self.curves, self.points, strict=True)):
            on = i < len(values) and bool(np.isfinite(values[i]).any())
            curve.visible = points.visible = on
            if on:
                layer = np.arange(values[i].size, dtype=np.float32)
                data = {"layer": layer, "value": values[i], "block": layer + 1, "name": [names[i]] * values[i].size}
                curve.data_source.data = points.data_source.data = data
                curve.glyph.line_dash = "dashed" if names[i] in dashed else "solid"
        every = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(1)
        every = every if every.size else np.zeros(1)
        self._axes(
            max((v.size for v in values), default=1),
            float(every.min()) if low is None else low,
            float(every.max()) if high is None else high,
            ends,
        )
        self.here.location = focus
        self.dark(self._dark)

    def light(self, places: Sequence[tuple[int, str]]) -> None:
        """Rings around points, by layer and series."""
        drawn = [points.data_source.data for points in self.points if points.visible]
        series = {str(data["name"][0]): data["value"] for data in drawn}
        there = [(layer, series[name]) for layer, name in places if name in series]
        self._rings([(layer, float(values[layer])) for layer, values in there if layer < len(values)])

    def nearest(self, layer: int, height: float) -> str | None:
        """Name of the series whose point at a layer is nearest to a height; None where there is none."""
        found: dict[str, float] = {}
        for points in self.points:
            data = points.data_source.data
            if points.visible and layer < len(data["value"]) and np.isfinite(value := float(data["value"][layer])):
                found[str(data["name"][layer])] = abs(value - height)
        return min(found, key=lambda name: found[name]) if found else None

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        self._dark = dark
        self.theme(dark)
        self.zero.line_color = colour("control", dark=dark)
        for curve, points, meaning in zip(self.curves, self.points, self.meanings, strict=True):
            curve.glyph.line_color = points.glyph.fill_color = colour(meaning, dark=dark)


class Writes(LayerPlot):
    """What attention (up) and MLP (down) write in each block; the height is the square root of the norm, so that small ones can be seen.

    Args:
        view: the view it belongs to.
        tap: called with (layer, height) of a click.
    """

    def __init__(self, view: Any, tap: Callable[[int, float], Any]) -> None:
        super().__init__(view, rendered(_up_and_down), tap)
        self.up, self.down = self.figure.renderers[:2]
        for renderer in (self.up, self.down):
            renderer.glyph.update(line_color=None, border_radius=2, hatch_pattern={"field": "hatch"}, hatch_scale=7)
            renderer.data_source.add([" "] * len(next(iter(renderer.data_source.data.values()), [])), "hatch")
            renderer.nonselection_glyph = renderer.selection_glyph = renderer.muted_glyph = None
        tips = [
            (_("block"), "@block"),
            ("", "@name"),
            (_("norm"), "@size{custom}"),
            (_("cosine with the residual stream"), "@cosine{custom}"),
        ]
        full = hover_code("seven")
        self.figure.add_tools(
            HoverTool(renderers=[self.up, self.down], tooltips=tips, formatters={"@size": full, "@cosine": full})
        )
        self.lane = Span(location=0, dimension="width", line_width=5, visible=False)
        self.figure.add_layout(self.lane)
        self.dark(view.dark)
        view.watch(view, lambda event: self.dark(event.new), "dark")

    def feed(
        self,
        attn: np.ndarray,
        mlp: np.ndarray,
        attn_cosine: np.ndarray,
        mlp_cosine: np.ndarray,
        focus: int,
        *,
        names: Sequence[str] = (),
        closed: Sequence[tuple[bool, bool]] = (),
    ) -> None:
        """Shows other numbers: norm and cosine of what each block's attention and MLP write, all ``[L]``, NaN where a block has no such part.

        Args:
            names: what writes in the place of attention, for each block, where it is not attention everywhere.
            closed: for each block whether these parts are not opened: their bars are hatched.
        """
        layer = np.arange(attn.size, dtype=np.float32)
        for which, renderer, sizes, cosines, name, sign in (
            (0, self.up, attn, attn_cosine, _("attention output"), 1),
            (1, self.down, mlp, mlp_cosine, _("MLP output"), -1),
        ):
            renderer.visible = True
            tall = (sign * np.sqrt(sizes)).astype(np.float32)
            renderer.data_source.data = {
                "left": layer - 0.36, "right": layer + 0.36, "bottom": np.minimum(tall, 0), "top": np.maximum(tall, 0), "block": layer + 1,
                "name": list(names) if names and not which else [name] * layer.size,
                "hatch": ["/" if part[which] else " " for part in closed] or [" "] * layer.size,
                "size": sizes.astype(np.float32), "cosine": cosines.astype(np.float32),
            }  # fmt: skip
        high, low = (float(np.sqrt(sizes[np.isfinite(sizes)].max(initial=0.0))) for sizes in (attn, mlp))
        self._axes(attn.size, -low, high)
        at = sorted({-low, -low / 2, 0.0, high / 2, high})
        tick(self.figure.yaxis[0], at)
        self.figure.yaxis[0].major_label_overrides = {v: number(v * v, 3) for v in at}
        self.here.location = focus

    def light(self, places: Sequence[tuple[int, str]]) -> None:
        """Rings around the ends of bars, by layer and what wrote them (``attn_out``, ``mlp_out``)."""
        ends = {"attn_out": self.up.data_source.data.get("top"), "mlp_out": self.down.data_source.data.get("bottom")}
        there = [(layer, ends[part]) for layer, part in places]
        self._rings([(layer, float(tall[layer])) for layer, tall in there if tall is not None and layer < len(tall)])

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        self.theme(dark)
        self.up.glyph.fill_color = colour("value", dark=dark)
        self.down.glyph.fill_color = colour("mlp", dark=dark)
        for renderer in (self.up, self.down):
            renderer.glyph.update(hatch_color=colour("surface", dark=dark), hatch_alpha=0.85)
        self.lane.line_color = colour("lane", dark=dark)
