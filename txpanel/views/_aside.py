"""What several views do the same way: slow work beside the page, and a figure of a fixed height."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
from panel.io.document import unlocked
from panel.io.state import set_curdoc

from txpanel.worker import Worker


def aside() -> Worker:
    """A worker for one view; where there is no server session (notebook, script, test) it works at once instead."""
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        return Worker()

    def dispatch(result: Callable[[], object]) -> None:
        def deliver() -> None:
            # Panel writes new figures to the browser in its own queue; what is not in it would overtake them and name
            # models that are unknown there.
            with set_curdoc(document), unlocked():
                result()

        document.add_timeout_callback(deliver, 60)

    return Worker(dispatch)


def plot(figure: Any, height: int) -> pn.pane.Bokeh:
    """A Bokeh figure that is as wide as there is room, and so high."""
    figure.update(
        sizing_mode="stretch_width", height=height, background_fill_alpha=0, border_fill_alpha=0, outline_line_alpha=0
    )
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", height=height, margin=0)
