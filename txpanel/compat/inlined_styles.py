"""A view is shown in a notebook without Bokeh walking through all models once for each model.

Where everything is to be inside the notebook, Panel puts the text of its style sheets into each model when all of them are in a
document already, and Bokeh looks through the whole document after each. Here it is done before they are put into one.

Versions: Panel 1.9.4 to 1.10.0.
Reason: speed; showing the attention view of the nano model, or its dashboard, takes 1.3 to 2.1 s of a core instead of 8.
Upstream: holoviz/panel, panel/viewable.py, `MimeRenderMixin._repr_mimebundle_`: ``doc.models.freeze()`` around the loop.
Test: tests/compat/test_inlined_styles.py::test_panel_still_looks_through_all_models_for_each
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import panel as pn
from bokeh.models import UIElement
from panel.io.notebook import patch_inline_stylesheets
from panel.viewable import Viewable

__all__ = ["shown"]

_showing: ContextVar[bool] = ContextVar("txpanel_showing", default=False)


def shown(layout: Any, include: Any = None, exclude: Any = None) -> Any:
    """What a notebook shows of a Panel object: as its own ``_repr_mimebundle_``."""
    hooks, token = Viewable._preprocessing_hooks, _showing.set(True)
    # For all objects: a design may wrap the layout in one of its own, which knows none of its hooks.
    hooks.append(_inline)
    try:
        return layout._repr_mimebundle_(include, exclude)
    finally:
        hooks.remove(_inline)
        _showing.reset(token)


def _inline(layout: Any, root: Any, changed: Any, _old_models: Any) -> None:
    """Panel calls it with the models of a layout before they are in a document."""
    if _showing.get() and changed is layout and pn.config.inline and not pn.state._is_pyodide:
        for model in root.select({"type": UIElement}):
            patch_inline_stylesheets(model)
