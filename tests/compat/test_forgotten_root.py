"""A layout's models can be looked at, and nothing of them stays in ``pn.state``."""

from __future__ import annotations

import panel as pn

from txpanel.compat.forgotten_root import models_of


def test_panel_still_keeps_a_root() -> None:
    """When this fails, Panel lets go of a root by itself: drop `forgotten_root`."""
    layout = pn.Column("x")
    root = layout.get_root()
    assert root.ref["id"] in pn.state._views
    layout._cleanup(root)
    assert root.ref["id"] in pn.state._views
    pn.state._views.pop(root.ref["id"])


def test_nothing_is_left_behind() -> None:
    before = set(pn.state._views)
    layout = pn.Column(pn.pane.Str("x"))
    assert {type(model).__name__ for model in models_of(layout)} >= {"Column", "HTML"}
    assert set(pn.state._views) == before
    assert not layout._models
