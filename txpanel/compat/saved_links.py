"""A saved page with the style sheets and icons inside that Panel links to even when told to put everything in.

Versions: Panel 1.9.4 to 1.10.0, panel-material-ui 0.16.6.
Reason: a saved page is opened without a network, and a link to a CDN tells somebody that it was.
Upstream: holoviz/panel, panel/io/resources.py and panel/io/save.py: ``inline`` for style sheets of components and for icons.
Test: tests/compat/test_saved_links.py::test_panel_still_links_to_files_of_its_own
"""

from __future__ import annotations

import base64
import mimetypes
import re
from pathlib import Path

import panel as pn

__all__ = ["self_contained"]

DIST = Path(pn.__file__).parent / "dist"
ELSEWHERE = re.compile(
    r"(?:https://cdn\.holoviz\.org/(panel|panel-material-ui)/[^/\"'\\\s]+/dist/|(?<=[\"'])[./]*static/extensions/([\w-]+)/)"
    r"([\w./@-]+\.(?:css|js|png|ico|svg|webmanifest))(?:\?[^\"'\\\s]*)?"
)
"""Addresses of files of Panel and its extensions: on the CDN, or under ``static/extensions/``, which depends on what was imported."""
RELATIVE = re.compile(rb"url\(\s*['\"]?(?!data:|#)[^)]*\)")


def self_contained(page: str) -> str:
    """An HTML page with the files of Panel that it links to as data URLs."""
    return ELSEWHERE.sub(lambda found: _data_url(found.group(1) or found.group(2), found.group(3)), page)


def _data_url(extension: str, file: str) -> str:
    path = DIST / file
    if extension != "panel":  # linked only because its extension was imported; our pages use none of its models
        return f"data:{mimetypes.guess_type(file)[0]},"
    if not path.is_file():
        return "data:,"
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    content = path.read_bytes()
    if path.suffix == ".css":  # relative urls cannot be resolved from a data URL, so they are emptied
        content = RELATIVE.sub(b"url(data:,)", content)
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
