"""What is on screen first, as data in the served page: the browser draws it before Bokeh runs (``first_picture.js``).

The data are the parameters of the session's own components, so the first picture shows what the live page will show, or there is none. A page
holds them as JSON that no browser takes for markup.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from panel.custom import JSComponent

from txpanel.toolkit import bundle
from txpanel.toolkit.component import Component

__all__ = ["Piece", "encoded", "with_first_picture"]

ADDRESS = re.compile(r'<script[^>]* src="([^"]+)"')
BASE = frozenset(JSComponent.param)
SCRIPTS = 5000
"""Milliseconds after which the page's scripts run even if nothing was drawn."""

CSS = """
#tx-first{position:fixed;inset:0;z-index:40;overflow:hidden scroll;background:var(--tx-background);color:var(--tx-text)}
#tx-first .part{display:block;box-sizing:border-box} #loader:not(.error){display:none!important}
"""

LOADER = """(() => {
  const word = document.currentScript.nonce
  let begun = false
  const run = async () => {
    if (begun) return
    begun = true
    for (const old of document.getElementById("tx-scripts").content.querySelectorAll("script")) {
      const script = document.createElement("script")
      for (const {name, value} of old.attributes) if (name !== "nonce") script.setAttribute(name, value)
      script.nonce = word
      script.async = false
      script.textContent = old.textContent
      const come = script.src && new Promise((done) => { script.onload = script.onerror = done })
      document.head.append(script)
      await come
    }
  }
  globalThis.txDrawn = () => requestAnimationFrame(() => setTimeout(run))
  setTimeout(run, PATIENCE)
})()"""
"""Runs the page's scripts, in their order, once the first picture is painted."""


@dataclass(frozen=True)
class Piece:
    """A component that is drawn first.

    Attributes:
        component: with the parameters that it has now. place: class of the box in `Stage` that it stands in.
    """

    component: Component
    place: str = ""


def encoded(value: Any) -> Any:
    """A parameter's value as JSON can have it; arrays by their bytes.

    Raises:
        TypeError, ValueError: JSON cannot have it.
    """
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"$bytes": data, "dtype": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return encoded(value.item())
    if isinstance(value, dict):
        return {str(name): encoded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(type(value).__name__)


def _part(piece: Piece) -> dict[str, Any]:
    component = piece.component
    names = [name for name in component.param if name not in BASE]
    margin = component.margin if isinstance(component.margin, tuple) else (component.margin or 0,)
    return {
        "key": component._key,
        "place": piece.place,
        "css": component._stylesheets,
        "styles": {"margin": " ".join(f"{side}px" for side in margin), **(component.styles or {})},
        "values": {name: encoded(getattr(component, name)) for name in names},
    }


def with_first_picture(
    page: str, scripts: Iterable[str], *, stage: str, css: str, pieces: Sequence[Piece], aside: Any = None
) -> str:
    """A page that shows pieces first.

    Args:
        page: HTML, as Panel would have it, without `scripts`.
        scripts: of the page, which run after the first picture has been painted.
        stage: the boxes that the pieces stand in. css: their look.
        pieces: from top to bottom. aside: data for the bar that says that the page is not live yet (``whileItStands``).

    Raises:
        TypeError, ValueError: a parameter is not what JSON can have.
    """
    drawn = {"parts": [_part(piece) for piece in pieces], "aside": aside}
    data = json.dumps(drawn, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    scripts = "".join(scripts)
    # what draws the picture comes before the megabytes that make it live: on a slow line they would take its share
    early = f'<link rel="modulepreload" href="{bundle.address()}" fetchpriority="high">'
    early += "".join(
        f'<link rel="preload" as="script" href="{address}" fetchpriority="low">' for address in ADDRESS.findall(scripts)
    )
    first = (
        f'<style>{CSS}{css}</style><div id="tx-first">{stage}</div>'
        f'<script type="application/json" id="tx-first-data">{data}</script>'
        f"<script>{LOADER.replace('PATIENCE', str(SCRIPTS))}</script>"
        f'<script type="module" src="{bundle.address()}"></script>'
        f'<template id="tx-scripts">{scripts}</template>'
    )
    head, body, rest = page.partition("<body>")
    return f"{head.replace('</title>', f'</title>{early}', 1)}{body}{first}{rest}"
