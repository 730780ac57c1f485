"""A row that wraps asks for no width of its own, and neither do the boxes around it."""

from __future__ import annotations

from typing import Any

import panel as pn

from txpanel.compat.wrapping_row import WrappingRow
from txpanel.toolkit.card import card, flow


def parts() -> list[Any]:
    return [pn.Spacer(width=280, height=10) for _ in range(3)]


def least(shown: Any) -> float:
    return float(shown.get_root().min_width or 0)


def test_panel_still_adds_up_the_widths_of_a_row() -> None:
    """When this fails, look whether ``pn.Row`` with ``flex-wrap`` does: drop `wrapping_row`."""
    assert least(pn.Row(*parts(), sizing_mode="stretch_width")) == 840


def test_a_row_that_wraps_does_not() -> None:
    assert least(WrappingRow(*parts())) == 0
    assert least(pn.Column(flow(*parts()), sizing_mode="stretch_width")) == 0
    assert least(pn.Column(card("Title", [], *parts()), sizing_mode="stretch_width")) == 0
    assert flow(*parts(), sizing_mode="stretch_both").get_root().sizing_mode == "stretch_both"
