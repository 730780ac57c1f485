"""The parts of the page that are not views: the bar on top and the tabs below the flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param

from txpanel.toolkit.component import Component

__all__ = ["Dock", "SheetHead", "Tabs", "TopBar"]

OnMessage = Callable[[dict[str, Any]], None]


class Messenger(Component):
    """A component that hands the browser's messages to one function."""

    def __init__(self, on_message: OnMessage, **params: Any) -> None:
        super().__init__(**params)
        self._on_message: OnMessage | None = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(data)

    def send(self, data: dict[str, Any]) -> None:
        """A message to the browser."""
        self._send_msg(data)

    def close(self) -> None:
        """Hears nothing any more."""
        self._on_message = None


class TopBar(Messenger):
    """Model, prompt, examples, sampling, generate; what runs and why; progress and errors; block, head and token."""

    text = param.String(
        default="", doc="The text that the server has; what is typed and not run yet lives in the browser."
    )
    heard = param.String(default="", doc="Which request the server has last heard of those that carry a text.")
    info = param.Dict(
        default={}, doc="name, title, facts, reason, models (name, title, facts, note), examples, fixed, chat, link."
    )
    stages = param.List(
        default=[], doc="The declared stages of sampling, as `txpanel.decoding.stages.for_browser` gives them."
    )
    settings = param.Dict(default={}, doc="The sampling settings, the seed among them.")
    status = param.Dict(default={}, doc="ready, busy, generating, progress, error, notice, can_undo, can_redo, runs.")
    next = param.Dict(default={}, doc="The drawn next token: text and p.")
    place = param.Dict(default={}, doc="layer, head, query and what can be chosen: layers, heads, querys.")
    words = param.Dict(default={}, doc="All texts of the bar.")
    kept = param.Dict(default={}, doc="name, data: a run too long for the address, for the browser to keep.")
    wanted = param.String(default="", doc="Name of a run that the browser is asked for; it answers with ``kept``.")

    _module = "top_bar/top_bar.js"
    _styles = "top_bar/top_bar.css"


class Tabs(Messenger):
    """Which view is unfolded below the flow."""

    tabs = param.List(default=[], doc="id, title and failed of each view.")
    chosen = param.String(default="", doc="Id of the unfolded one; empty: none.")
    label = param.String(default="", doc="What the tabs are, for screen readers.")
    failed_label = param.String(default="", doc="On the mark of a view that failed.")

    _module = "tabs.js"
    _styles = "tabs.css"


class SheetHead(Messenger):
    """On a phone: the head of the sheet as which an opened part comes up, and what closes it.

    Says whether the page is as narrow as a phone's, and whether the system prefers dark.
    """

    title = param.String(default="", doc="What is open.")
    shown = param.Boolean(default=False, doc="Whether what is open is a sheet on a narrow page.")
    close_label = param.String(default="", doc="On the button that closes it.")

    _module = "sheet.js"
    _styles = "sheet.css"


class Dock(Messenger):
    """Keeps what is asked and what is opened in sight; draws nothing itself."""

    asked = param.Integer(default=0, doc="Counts the questions; 0 while there is none.")
    cards = param.Integer(default=0, doc="How many cards there are: the current one and those that were pinned.")
    opened = param.String(default="", doc="Id of the unfolded view; empty: none.")

    _module = "card_dock.js"
