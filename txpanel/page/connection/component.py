"""The bar that says whether the server is connected, and what keeps the page usable while it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param

from txpanel.messages import _
from txpanel.page.messenger import Messenger

__all__ = ["Connection", "before_it_is_there"]

CSS = (Path(__file__).parent / "connection.css").read_text(encoding="utf-8")


class Connection(Messenger):
    """Draws a bar beside the page, outside of what Bokeh draws, and takes the page over when the connection breaks (`kept_connections`)."""

    words = param.Dict(
        default={}, doc="What the bar says: lost, silent, gone, open, behind (older pictures), and retry on its button."
    )
    css = param.String(default=CSS, doc="How the bar looks: it stands outside of this component.")

    _module = "connection.js"

    def __init__(self, **params: Any) -> None:
        super().__init__(_nothing, words=_words(), **params)


def before_it_is_there() -> dict[str, Any]:
    """What the bar needs while the first picture stands, before there is a connection (``connection.js``)."""
    return {"words": _words(), "css": CSS}


def _nothing(_data: dict[str, Any]) -> None:
    """The browser's one message is used by its own side alone, to find the connection."""


def _words() -> dict[str, str]:
    return {
        "lost": _(
            "The connection to the server is lost. The page keeps trying; what you do meanwhile is kept and sent later."
        ),
        "silent": _(
            "The server does not answer at the moment: it is busy, or the connection is broken. What you do is kept."
        ),
        "gone": _("The server is back, but no longer has this page. It is opened again, with the text that you typed."),
        "coming": _("The page is still connecting. What you do is kept and done as soon as it is connected."),
        "open": _("Connected again."),
        "behind": _("The pictures still show the previous text."),
        "retry": _("Try now"),
    }
