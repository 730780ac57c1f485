"""All Bokeh models of a layout as a page would get them, with nothing of that page left behind.

Versions: Panel 1.9.4 to 1.10.0.
Reason: `get_root` enters each root into ``pn.state`` for the life of the process, and only a session's end takes it out.
Upstream: holoviz/panel, panel/viewable.py, `Renderable.get_root`: a public way to take a root back.
Test: tests/compat/test_forgotten_root.py::test_panel_still_keeps_a_root
"""

from __future__ import annotations

from typing import Any

__all__ = ["models_of"]


def models_of(layout: Any) -> list[Any]:
    """The models of a Panel object; the page that they were made for is gone when this returns."""
    import panel as pn  # late: Panel, which the core does without

    root = layout.get_root()
    models = list(root.references())
    layout._cleanup(root)
    pn.state._views.pop(root.ref["id"], None)
    return models
