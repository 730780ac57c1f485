"""Display and export that need no network: Panel's defaults fetch their scripts from a CDN, ours never do."""

from __future__ import annotations

import base64
import io
import mimetypes
import re
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.resources import INLINE

__all__ = ["notebook", "save", "self_contained"]

DIST = Path(pn.__file__).parent / "dist"
ELSEWHERE = re.compile(
    r"(?:https://cdn\.holoviz\.org/(panel|panel-material-ui)/[^/\"'\\\s]+/dist/|(?<=[\"'])[./]*static/extensions/([\w-]+)/)"
    r"([\w./@-]+\.(?:css|js|png|ico|svg|webmanifest))(?:\?[^\"'\\\s]*)?"
)
"""Files of Panel and its extensions by address: at the CDN, or beside a server, where whatever was imported lets them point."""
RELATIVE = re.compile(rb"url\(\s*['\"]?(?!data:|#)[^)]*\)")

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
    page = io.StringIO()
    try:
        content.save(page, title=title, resources=INLINE, **kwargs)
    finally:
        pn.config.inline = before
    Path(filename).write_text(self_contained(page.getvalue()), encoding="utf-8")


def self_contained(page: str) -> str:
    """A page with the style sheets and icons inside that Panel links to even when told to put everything in."""
    return ELSEWHERE.sub(lambda found: _data_url(found.group(1) or found.group(2), found.group(3)), page)


def _data_url(extension: str, file: str) -> str:
    path = DIST / file
    if extension != "panel":  # linked because it was imported, and made for what no page of ours has in it
        return f"data:{mimetypes.guess_type(file)[0]},"
    if not path.is_file():
        return "data:,"
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    content = path.read_bytes()
    if path.suffix == ".css":  # what it refers to beside itself is not beside a data URL
        content = RELATIVE.sub(b"url(data:,)", content)
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
