"""What several views do the same way: slow work beside the page, and a figure of a fixed height."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from txpanel.worker import Worker


def aside() -> Worker:
    """A worker for one view; where there is no server session (notebook, script, test) it works at once instead."""
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        return Worker()

    def dispatch(result: Callable[[], object]) -> None:
        # Panel may put new figures on the page a tick later; a result that came first would name models unknown there.
        document.add_timeout_callback(result, 60)

    return Worker(dispatch)


def plot(figure: Any, height: int) -> pn.pane.Bokeh:
    """A Bokeh figure that is as wide as there is room, and so high."""
    figure.update(
        sizing_mode="stretch_width", height=height, background_fill_alpha=0, border_fill_alpha=0, outline_line_alpha=0
    )
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", height=height, margin=0)
