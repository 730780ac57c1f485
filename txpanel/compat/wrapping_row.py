"""A row that wraps: its parts continue on further lines, so its minimal width is not that of all parts side by side.

Panel adds up the widths of a Row's parts and gives that to the Row, and to all boxes around it, as the least width. ``pn.FlexBox`` has no such
width, but its parts come by a template that is evaluated in the browser, which a served page does not do.

Versions: Panel 1.9.4 to 1.10.0.
Reason: on a phone a card with two pictures of 280 pixels would be 590 wide.
Upstream: holoviz/panel, panel/layout/base.py, SizingModeMixin._compute_sizing_mode; panel/layout/flex.py: a FlexBox of Bokeh's own.
Test: tests/compat/test_wrapping_row.py::test_panel_still_adds_up_the_widths_of_a_row
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import panel as pn

__all__ = ["WrappingRow"]

CSS = ":host{flex-wrap:wrap} :host>*{flex:0 1 auto;align-self:auto;min-width:auto}"
"""Its parts as CSS has them: Bokeh's Row would squeeze them into one line. What a part says in `styles`, or as important, holds."""


class WrappingRow(pn.Row):
    """Parts in reading order; set ``objects`` to change them."""

    def __init__(self, *objects: Any, stylesheets: Sequence[str] = (), **params: Any) -> None:
        super().__init__(*objects, stylesheets=[CSS, *stylesheets], **{"sizing_mode": "stretch_width", **params})

    def _compute_sizing_mode(self, children: Sequence[Any], props: dict[str, Any]) -> dict[str, Any]:
        return {"sizing_mode": props.get("sizing_mode", self.sizing_mode)}
