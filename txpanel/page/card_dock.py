"""Where the “why this number” card stands, so that it stays in sight."""

from __future__ import annotations

import param

from txpanel.page.messenger import Messenger

__all__ = ["CardDock"]


class CardDock(Messenger):
    """Moves the card and scrolls to the opened view, so that both are in sight; draws nothing itself."""

    asked = param.Integer(default=0, doc="Counts the questions; 0 while there is none.")
    cards = param.Integer(default=0, doc="How many cards there are: the current one and those that were pinned.")
    opened = param.String(default="", doc="Id of the unfolded view; empty: none.")

    _module = "card_dock.js"
