"""Browser-side pieces: plain ES modules (no build step, no CDN) behind Panel's JSComponent.

A component is a class and a file. The file is an ordinary module that exports ``render({model, el, view})``; in front
of it stands ``shared.js``, so that it can use ``tx`` (elements, numbers, colours, theme). Colours are CSS custom
properties ``--tx-<meaning>`` (see `txpanel.toolkit.palette`) and follow light and dark by themselves.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from panel.custom import JSComponent
from panel.io.resources import component_resource_path
from panel.io.state import state

from txpanel.toolkit import palette

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["BASE_CSS", "Component", "Teller", "palette_source", "shared_source"]

FOLDER = Path(__file__).parents[1]
SHARED = ("toolkit/palette.js", "toolkit/shared.js")

BASE_CSS = """
:host{font-family:Roboto,"Helvetica Neue",Arial,sans-serif;font-size:13px;line-height:1.5;color:var(--tx-text);
font-variant-numeric:tabular-nums;-webkit-font-smoothing:antialiased}
*{box-sizing:border-box}
:focus-visible{outline:2px solid var(--tx-focus);outline-offset:2px;border-radius:4px}
.tx-blank{font-style:normal;font-weight:400;position:relative;top:-.16em;opacity:.65}
@media (prefers-reduced-motion:reduce){*{transition:none!important;animation:none!important}}
"""
"""What all components look like before they look like themselves."""


@cache
def palette_source() -> str:
    """The colours of `txpanel.toolkit.palette` as JavaScript: what ``palette.js`` holds (``scripts/palette`` writes it)."""
    ramps = {
        "stops": palette.RAMPS,
        "toLms": palette.TO_LMS.tolist(),
        "toLab": palette.TO_LAB.tolist(),
        # rounded: further digits of an inverse differ from machine to machine
        "fromLms": np.linalg.inv(palette.TO_LMS).round(12).tolist(),
        "fromLab": np.linalg.inv(palette.TO_LAB).round(12).tolist(),
    }
    head = "// Written by scripts/palette from txpanel/toolkit/palette.py.\n"
    return f"{head}const TX_CSS = {json.dumps(palette.css_variables(':root'))}\nconst TX_RAMPS = {json.dumps(ramps)}\n"


@cache
def shared_source() -> str:
    """The JavaScript that stands in front of every component: the palette's values and ``tx``."""
    return joined(SHARED)


def joined(names: tuple[str, ...]) -> str:
    """Files of the package, one after the other; their paths start in ``txpanel/``."""
    return "".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def beside(cls: type, name: str | Path) -> Path:
    """A file of a class's own folder."""
    return Path(str(sys.modules[cls.__module__].__file__)).parent / name


def named(path: Path) -> str:
    """A file of the package by its path in there; another one by its whole path."""
    return path.relative_to(FOLDER).as_posix() if path.is_relative_to(FOLDER) else str(path)


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
    """The ES module: a file beside the class, or an absolute path."""

    _before: ClassVar[tuple[str, ...]] = ()
    """Files of the package, from ``txpanel/`` on, that stand in front of the module and that it uses."""

    _styles: ClassVar[str | Path] = ""
    """Its style sheet beside it, if there is one; `BASE_CSS` comes first."""

    _stylesheets: ClassVar[list[str]] = [BASE_CSS]

    _parts: ClassVar[tuple[str, ...]] = ()
    """The files that make up `_esm`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if cls.__name__.endswith(RESERVED) or cls.__name__ == "Rect":
            raise TypeError(f"{cls.__name__}: choose a name with another ending, panel-material-ui would restyle it")
        if "_styles" in cls.__dict__:
            cls._stylesheets = [BASE_CSS + beside(cls, cls._styles).read_text(encoding="utf-8")]
        if "_module" in cls.__dict__:
            cls._parts = (*SHARED, *cls._before, named(beside(cls, cls._module)))
            cls._esm = joined(cls._parts)
        super().__init_subclass__(**kwargs)

    def _get_properties(self, doc: Document | None) -> dict[str, Any]:
        """On a server the browser gets the addresses of the files, and keeps what it has fetched for all components of all pages.

        In a notebook and in a saved page there is nobody to fetch from: the source travels with each component.
        """
        properties = super()._get_properties(doc)
        source = str(properties["esm"])
        if self._parts and doc is not None and doc.session_context is not None and is_ours(self._parts):
            source = properties["esm"] = by_address(self._parts)
        # Panel would pass the source through its own compiler for every single component, and know modules apart by their length only
        properties["bundle"] = f"{type(self).__name__}-{digest(source)}"
        return properties


class Teller(Component):
    """A component that tells what a person does: ``on_message(kind, data)`` hears each message of the browser."""

    def __init__(self, on_message: Callable[[str, dict[str, Any]], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(str(data.get("kind")), data)


class Files:
    """What Panel's server gives out for components: ``components/txpanel/Files/_js/<file>``, these and no others."""

    __module__ = "txpanel"
    _js: ClassVar[list[str]] = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js"))


sys.modules["txpanel"].Files = Files  # type: ignore[attr-defined]


def is_ours(parts: tuple[str, ...]) -> bool:
    """Whether all parts are files of this folder; those of plugins are elsewhere."""
    return set(parts) <= set(Files._js)


@cache
def digest(source: str) -> str:
    """A short name of a text."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def by_address(parts: tuple[str, ...]) -> str:
    """A module that fetches files, each once for a page, and runs them as the one module that they make together.

    Imports between them and all exports but ``render`` are taken out, as in `txpanel.views.flow.component.bundle`.
    """
    base = "" if state.rel_path else "./"
    addresses = [f"{base}{component_resource_path(Files, '_js', name)}?v={digest(joined((name,)))}" for name in parts]
    return LOADER.replace("PARTS", json.dumps(addresses))


LOADER = """
const kept = (globalThis.txFiles ??= {})
const text = async (address) => {
  const answer = await fetch(address)
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`)
  return answer.text()
}
const plain = (source) => source.replace(/^import [^;]*;\\n/gm, "").replace(/^export (?=const|function|class)/gm, "")
const sources = await Promise.all(PARTS.map((address) => (kept[address] ??= text(address))))
const whole = new Blob([...sources.map(plain), "\\nexport {render}"], {type: "text/javascript"})
const drawn = await import(URL.createObjectURL(whole))
// Bokeh takes what came from the server for something new, and its first message would carry all of it back
const render = (given) => {
  given.view?.model?.document?._new_models?.delete(given.view.model)
  return drawn.render(given)
}
export {render}
"""
