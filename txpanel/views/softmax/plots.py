"""Pictures of the softmax view: logits and the probability they hold, logits by rank, surprisal along the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from txpanel.messages import _
from txpanel.toolkit import figure_code
from txpanel.toolkit.bars import CLEAR
from txpanel.toolkit.format import number, percent
from txpanel.toolkit.labels import shorten
from txpanel.toolkit.palette import colour
from txpanel.toolkit.rendering import ink_axis, plain, rendered, roomy, tick
from txpanel.views.distribution import Distribution
from txpanel.views.softmax.data import Histogram, ranked

__all__ = ["Mirror", "Ranked", "Surprisal"]


def _rectangle() -> hv.Rectangles:
    return hv.Rectangles([(0.0, 0.0, 1.0, 1.0)]).opts(default_tools=[], tools=[], responsive=True)


def _falling() -> hv.Curve:
    return hv.Curve([(1.0, 0.0), (2.0, 1.0)], "rank", "logit").opts(
        default_tools=[], tools=[], responsive=True, logx=True
    )


class _Figure:
    """A HoloViews element, with axes in the page's ink."""

    def __init__(self, view: Any, element: Callable[[], Any]) -> None:
        self.figure = rendered(element)
        plain(self.figure)
        self.renderer = self.figure.renderers[0]
        view.watch(view, lambda event: self.dark(event.new), "dark")

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        self._dark = dark
        for axis in (*self.figure.xaxis, *self.figure.yaxis):
            ink_axis(axis, colour("muted", dark=dark))
        for grid in (*self.figure.xgrid, *self.figure.ygrid):
            grid.update(grid_line_color=colour("border", dark=dark), grid_line_alpha=1)


class Mirror(_Figure):
    """Up: the share of all tokens that have such a logit. Down: the share of all probability that they hold. A click names a bin."""

    def __init__(self, view: Any, tap: Callable[[int], Any]) -> None:
        super().__init__(view, _rectangle)
        self.renderer.glyph.update(fill_color="fill", line_color="line", line_width=2, fill_alpha=1)
        self.source: ColumnDataSource = self.renderer.data_source
        self.histogram: Histogram | None = None
        self.lit: list[int] = []
        self.figure.on_event(Tap, lambda event: self._tapped(event, tap))
        self.figure.x_range, self.figure.y_range = Range1d(0, 1), Range1d(-1, 1)
        self.figure.xgrid[0].visible = False
        self.figure.yaxis[0].formatter = figure_code.ticks("percent")
        self.figure.add_tools(
            HoverTool(
                renderers=[self.renderer],
                tooltips=[(_("logits"), "@range"), (_("tokens"), "@count"), (_("probability"), "@mass")],
            )
        )
        self.dark(view.dark)

    def feed(self, found: Histogram) -> None:
        """Another distribution."""
        self.histogram = found
        count, bins = found.counts.sum(), len(found.counts)
        left, right = np.tile(found.edges[:-1], 2), np.tile(found.edges[1:], 2)
        shares = found.counts / count
        spans = [
            _("{a} to {b}").format(a=number(a, 3), b=number(b, 3))
            for a, b in zip(found.edges[:-1], found.edges[1:], strict=True)
        ]
        gap = 0.06 * (found.edges[1] - found.edges[0])
        self.source.data = {
            "left": left + gap,
            "right": right - gap,
            "bottom": np.concatenate([np.zeros(bins), -found.mass]),
            "top": np.concatenate([shares, np.zeros(bins)]),
            "range": spans * 2,
            "count": [f"{n:,}" for n in found.counts] * 2,
            "mass": [percent(m) for m in found.mass] * 2,
            "fill": [""] * (2 * bins),
            "line": [CLEAR] * (2 * bins),
        }
        self.figure.x_range.update(start=float(found.edges[0]), end=float(found.edges[-1]))
        self.figure.y_range.update(start=-1.06 * float(found.mass.max()), end=1.06 * float(shares.max()))
        self.dark(self._dark)

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        super().dark(dark)
        bins = len(self.histogram.counts) if self.histogram else 0
        self.source.data["fill"] = (
            [colour("lane", dark=dark)] * bins + [colour("focus", dark=dark)] * bins
            if bins
            else [colour("lane", dark=dark)]
        )
        self._frame()

    def light(self, bins: list[int]) -> None:
        """Frames the bins that the open "why" card is about."""
        if bins != self.lit:
            self.lit = bins
            self._frame()

    def _frame(self) -> None:
        bins, ink = len(self.histogram.counts) if self.histogram else 0, colour("text", dark=self._dark)
        self.source.data["line"] = [ink if i in self.lit else CLEAR for i in range(bins)] * 2 or [CLEAR]

    def _tapped(self, event: Any, tap: Callable[[int], Any]) -> None:
        if event.x is None or self.histogram is None:
            return
        edges = self.histogram.edges
        if edges[0] <= event.x <= edges[-1]:
            tap(min(int(np.searchsorted(edges, event.x, side="right")) - 1, len(edges) - 2))


class Ranked(_Figure):
    """Logits from the largest down; the first tokens and the last ones are equally easy to see on the logarithmic axis. A click names a token."""

    def __init__(self, view: Any, tap: Callable[[int], Any]) -> None:
        super().__init__(view, _falling)
        self.source: ColumnDataSource = self.renderer.data_source
        self.renderer.glyph.line_width = 2
        self.marks = ColumnDataSource({"rank": [], "logit": [], "name": [], "p": [], "text": []})
        self.dots = self.figure.scatter("rank", "logit", source=self.marks, size=9, line_color=None)
        self.names = self.figure.text(
            "rank",
            "logit",
            text="text",
            source=self.marks,
            x_offset=8,
            y_offset=-6,
            text_font_size="12px",
            text_baseline="bottom",
        )
        exact = figure_code.hover("exact")
        tooltips = [
            (_("token"), "@name"),
            (_("rank"), "@rank{0,0}"),
            (_("logit"), "@logit{custom}"),
            (_("probability"), "@p"),
        ]
        self.figure.add_tools(
            HoverTool(
                renderers=[self.renderer, self.dots],
                mode="mouse",
                line_policy="nearest",
                tooltips=tooltips,
                formatters={"@logit": exact},
            )
        )
        self.found: Distribution | None = None
        self.figure.on_event(Tap, lambda event: self._tapped(event, tap))
        self.figure.x_range, self.figure.y_range = Range1d(1, 10), Range1d(0, 1)
        self.figure.xaxis[0].formatter = figure_code.ticks("thousands")
        self.dark(view.dark)

    def _tapped(self, event: Any, tap: Callable[[int], Any]) -> None:
        if event.x is not None and event.x > 0 and self.found is not None:
            tap(int(self.found.order[min(max(round(event.x), 1), self.found.size) - 1]))

    def feed(self, found: Distribution, name: Callable[[Any], list[str]], marked: list[int]) -> None:
        """Another distribution; `marked` tokens get a dot and their name."""
        self.found = found
        places = ranked(found)
        ids = found.order[places]
        self.source.data = {
            "rank": places + 1.0,
            "logit": found.logits[ids],
            "name": name(ids),
            "p": [percent(p) for p in found.probabilities[ids]],
        }
        names = name(marked)
        self.marks.data = {
            "rank": [float(found.ranks[i]) + 1 for i in marked],
            "logit": [float(found.logits[i]) for i in marked],
            "name": names,
            "p": [percent(found.probabilities[i]) for i in marked],
            "text": [shorten(n, 18) if i == marked[-1] else "" for i, n in zip(marked, names, strict=True)],
        }
        finite = found.logits[np.isfinite(found.logits)]
        low, high = float(finite.min()), float(finite.max())
        room = 0.08 * ((high - low) or 1.0)
        self.figure.x_range.update(start=0.8, end=float(found.size) * 1.2)
        self.figure.y_range.update(start=low - room, end=high + 2 * room)

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        super().dark(dark)
        self.renderer.glyph.line_color = colour("lane", dark=dark)
        self.dots.glyph.fill_color = colour("focus", dark=dark)
        self.names.glyph.text_color = colour("focus-ink", dark=dark)


class Surprisal(_Figure):
    """Surprisal of each token of the text, in bits; a click chooses a token."""

    def __init__(self, view: Any, tap: Callable[[int], Any]) -> None:
        super().__init__(view, _rectangle)
        self.renderer.glyph.update(fill_color="fill", line_color=None, fill_alpha=1, border_radius=2)
        self.source: ColumnDataSource = self.renderer.data_source
        self.chosen, self.total = -1, 0
        self.figure.x_range, self.figure.y_range = Range1d(0, 1), Range1d(0, 1)
        self.figure.xgrid[0].visible = False
        roomy(self.figure)
        self.figure.on_event(
            Tap, lambda event: event.x is not None and 0 <= round(event.x) < self.total and tap(round(event.x))
        )
        self.figure.add_tools(
            HoverTool(
                renderers=[self.renderer],
                tooltips=[(_("token"), "@name"), (_("surprisal"), "@bits"), (_("its probability"), "@p")],
            )
        )
        self.dark(view.dark)

    def feed(self, bits: np.ndarray, names: list[str], chosen: int) -> None:
        """Another text, or another chosen token. `bits`: float [T], in bits; NaN for the first token."""
        self.total, self.chosen = len(bits), chosen
        at = np.arange(self.total, dtype=np.float64)
        tops = np.nan_to_num(bits)
        wide = 0.38 if self.total <= 60 else 0.5
        self.source.data = {
            "left": at - wide,
            "right": at + wide,
            "bottom": np.zeros(self.total),
            "top": tops,
            "name": names,
            "fill": [""] * self.total,
            "bits": [
                _("{bits} bits").format(bits=number(b, 3)) if np.isfinite(b) else _("first token: no prediction")
                for b in bits
            ],
            "p": [percent(float(2.0**-b)) if np.isfinite(b) else "–" for b in bits],
        }
        self.figure.x_range.update(start=-0.6, end=self.total - 0.4)
        self.figure.y_range.update(start=0, end=max(1.0, 1.08 * float(tops.max(initial=0))))
        step = max(1, -(-self.total // 30))
        ticks = list(range(0, self.total, step))
        self.figure.xaxis[0].update(
            major_label_overrides={i: shorten(names[i], 12) for i in ticks},
            major_label_orientation=0.0 if self.total <= 6 and max(map(len, names), default=0) <= 5 else 0.8,
        )
        tick(self.figure.xaxis[0], ticks)
        self.dark(self._dark)

    def dark(self, dark: bool) -> None:
        """Follows the theme of the page."""
        super().dark(dark)
        fills = [colour("focus" if i == self.chosen else "focus-mid", dark=dark) for i in range(max(1, self.total))]
        self.source.data["fill"] = fills
