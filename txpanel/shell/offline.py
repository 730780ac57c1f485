"""Display and export that need no network: Panel's defaults fetch their scripts from a CDN, ours never do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import panel as pn
from bokeh.resources import INLINE

__all__ = ["notebook", "save"]

_ready = False


def notebook() -> None:
    """Loads Panel's scripts into the notebook itself, once per kernel. Does nothing on a server."""
    global _ready
    if not _ready and not pn.state.curdoc:
        pn.extension(inline=True)
        _ready = True


def save(content: Any, filename: str | Path, *, title: str = "txpanel", **kwargs: Any) -> None:
    """Writes Panel objects as one HTML file with everything inside."""
    before = pn.config.inline
    pn.config.inline = True
    try:
        content.save(str(filename), title=title, resources=INLINE, **kwargs)
    finally:
        pn.config.inline = before
