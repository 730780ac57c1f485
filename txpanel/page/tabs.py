"""The tabs: which view is unfolded below the flow."""

from __future__ import annotations

import param

from txpanel.page.messenger import Messenger

__all__ = ["Tabs"]


class Tabs(Messenger):
    """Which view is unfolded below the flow."""

    tabs = param.List(default=[], doc="id, title and failed of each view.")
    chosen = param.String(default="", doc="Id of the unfolded one; empty: none.")
    label = param.String(default="", doc="What the tabs are, for screen readers.")
    close_label = param.String(default="", doc="On the button that folds what is unfolded.")
    failed_label = param.String(default="", doc="On the mark of a view that failed.")

    _module = "tabs.js"
    _styles = "tabs.css"
