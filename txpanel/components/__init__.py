"""Browser-side pieces: plain ES modules (no build step, no CDN) behind Panel's JSComponent.

A component is a class and a file. The file is an ordinary module that exports ``render({model, el, view})``; in front
of it stands ``shared.js``, so that it can use ``tx`` (elements, numbers, colours, theme). Colours are CSS custom
properties ``--tx-<meaning>`` (see `txpanel.views.palette`) and follow light and dark by themselves.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from panel.custom import JSComponent

from txpanel.views import palette

__all__ = ["BASE_CSS", "Component", "shared_source"]

FOLDER = Path(__file__).parent

BASE_CSS = """
:host{font-family:Roboto,"Helvetica Neue",Arial,sans-serif;font-size:13px;line-height:1.5;color:var(--tx-text);
font-variant-numeric:tabular-nums;-webkit-font-smoothing:antialiased}
*{box-sizing:border-box}
:focus-visible{outline:2px solid var(--tx-focus);outline-offset:2px;border-radius:4px}
@media (prefers-reduced-motion:reduce){*{transition:none!important;animation:none!important}}
"""
"""What all components look like before they look like themselves."""


@cache
def shared_source() -> str:
    """The JavaScript that stands in front of every component: the palette's values and ``tx``."""
    ramps = {
        "stops": palette.RAMPS,
        "toLms": palette.TO_LMS.tolist(),
        "toLab": palette.TO_LAB.tolist(),
        "fromLms": np.linalg.inv(palette.TO_LMS).tolist(),
        "fromLab": np.linalg.inv(palette.TO_LAB).tolist(),
    }
    constants = f"const TX_CSS = {json.dumps(palette.css_variables(':root'))}\nconst TX_RAMPS = {json.dumps(ramps)}\n"
    return constants + (FOLDER / "shared.js").read_text(encoding="utf-8")


RESERVED = (
    "Axis",
    "Legend",
    "ColorBar",
    "Title",
    "Grid",
    "Figure",
    "Toolbar",
    "Tooltip",
    "Terminal",
    "ECharts",
    "Split",
)
"""Endings by which panel-material-ui's page takes a model for Bokeh's own and sets properties that a component lacks:
the whole page then stays white."""


class Component(JSComponent):
    """Base of all browser-side pieces; a subclass names its file in `_module`.

    Example:
        >>> class Strip(Component):
        ...     _module = "strip.js"
        ...     values = param.Array(default=np.zeros(0, np.uint8))

    Array parameters must default to empty: defaults travel to every session of the server.
    """

    _module: ClassVar[str | Path] = ""
    """The ES module: a file of ``txpanel/components``, or (for plugins) an absolute path."""

    _before: ClassVar[tuple[str, ...]] = ()
    """Files of ``txpanel/components`` that stand in front of the module and that it uses."""

    _styles: ClassVar[str | Path] = ""
    """Its style sheet beside it, if there is one; `BASE_CSS` comes first."""

    _stylesheets: ClassVar[list[str]] = [BASE_CSS]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if cls.__name__.endswith(RESERVED) or cls.__name__ == "Rect":
            raise TypeError(f"{cls.__name__}: choose a name with another ending, panel-material-ui would restyle it")
        if "_styles" in cls.__dict__:
            cls._stylesheets = [BASE_CSS + (FOLDER / cls._styles).read_text(encoding="utf-8")]
        if "_module" in cls.__dict__:
            files = [FOLDER / name for name in (*cls._before, cls._module)]
            cls._esm = shared_source() + "".join(path.read_text(encoding="utf-8") for path in files)
        super().__init_subclass__(**kwargs)
