"""Bokeh figures from HoloViews elements, and what all pictures do with a figure: its size, its axes, its ticks.

An element is rendered a single time in a process; each picture is a copy of that figure. Later values go straight into its Bokeh data source: half a
millisecond, where a ``DynamicMap`` takes twenty-five, and zoom and selection stay. Axes are
integers with the tokens as tick labels, because a text repeats tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any

from bokeh.document import Document
from bokeh.io import curdoc
from bokeh.models import FixedTicker
from holoviews.plotting.bokeh import BokehRenderer

from txpanel.compat.stamp import Stamp
from txpanel.messages import language
from txpanel.toolkit.figure_code import callback

__all__ = ["ink_axis", "plain", "rendered", "roomy", "sized", "tick"]


def rendered(element: Callable[..., Any], *given: Hashable) -> Any:
    """The Bokeh figure of a HoloViews element.

    HoloViews takes 15 to 50 ms for each, and what it makes depends on no session: so it is asked once per process, and a copy takes 2 ms.

    Args:
        element: makes it, a function of a module. given: its arguments.
    """
    figure = _stamp(language(), element, *given)()
    if BokehRenderer.theme:
        curdoc().theme = BokehRenderer.theme  # as HoloViews does with the document of each figure
    return figure


@cache
def _stamp(_language: str, element: Callable[..., Any], *given: Hashable) -> Stamp:
    plot = BokehRenderer.instance().get_plot(element(*given), doc=Document())
    plot.document = None  # HoloViews cleans a plot up with its document
    plot.state.outline_line_color = None  # in the dark the page's theme would draw a frame around every other picture
    # A canvas each: WebGL, HoloViews' default, is slower for pictures this small, by seconds where no graphics card helps.
    plot.state.output_backend = "canvas"
    return Stamp(plot.state)


def sized(column: Any, figure: Any, width: int, height: int) -> None:
    """Gives a picture (what `txpanel.toolkit.card.picture` returns) its natural size in pixels; on a narrow page it shrinks in width."""
    figure.update(height=height, sizing_mode="stretch_width")
    column.plot.height = height
    alone = {"flex": f"1 1 {min(width, 300)}px", "width": "100%", "min-width": "0"}
    column.styles = {**alone, **column.styles, "max-width": f"{width}px"}


def plain(figure: Any) -> None:
    """Hides toolbar, outline, background, and the axes' lines and names."""
    figure.toolbar.logo = None
    figure.toolbar_location = None
    figure.toolbar.active_drag = None
    figure.update(outline_line_color=None, outline_line_alpha=0, background_fill_alpha=0, border_fill_alpha=0)
    figure.min_border = 2
    for axis in (*figure.xaxis, *figure.yaxis):
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
        axis.axis_label = None


def ink_axis(axis: Any, ink: str) -> None:
    """Colours tick labels and the axis' own name.

    The page's theme repaints every axis in the browser; CSS variables are what it leaves alone (in a style sheet: of
    ``css_variables`` Bokeh 3.9 applies only the first).
    """
    css = (
        f":host{{--bk-major-label-text-color:{ink};--bk-major-label-text-font-size:12px;--bk-background-fill-color:transparent;"
        f"--bk-axis-label-text-color:{ink};--bk-axis-label-text-font-size:12px;--bk-axis-label-text-font-style:normal}}"
    )
    axis.update(stylesheets=[css], major_label_text_color=ink, major_label_text_font_size="12px")
    axis.update(axis_label_text_color=ink, axis_label_text_font_size="12px", axis_label_text_font_style="normal")


def tick(side: Any, at: Sequence[float]) -> None:
    """Ticks of an axis or grid. The ticker is kept and changed: replacing it would make Bokeh walk through all models of the page, 0.1 s."""
    if isinstance(side.ticker, FixedTicker):
        side.ticker.update(tags=list(at), ticks=list(at))
    else:
        side.ticker = FixedTicker(tags=list(at), ticks=list(at))


def roomy(figure: Any) -> None:
    """Leaves out ticks along the bottom where their slanted labels would run into each other: a picture shrinks on a narrow page."""
    axis = figure.xaxis[0]
    if not isinstance(axis.ticker, FixedTicker):
        tick(axis, [])
    look = callback("roomy", figure=figure, range=figure.x_range, axis=axis, ticker=axis.ticker)
    figure.js_on_change("inner_width", look)
    axis.ticker.js_on_change("ticks", look)
