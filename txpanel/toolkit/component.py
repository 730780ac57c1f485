"""Browser-side pieces: plain ES modules behind Panel's JSComponent.

A component is a class and a file. The file is an ordinary module that exports ``render({model, el, view})`` and imports
what it uses. ``scripts/bundle`` joins all of them into one file, which servers, notebooks and saved pages run. Colours
are CSS custom properties ``--tx-<meaning>`` (see `txpanel.toolkit.palette`) and follow light and dark by themselves.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import param
from panel.custom import JSComponent

from txpanel.messages import ENGLISH, language
from txpanel.toolkit import bundle, palette
from txpanel.toolkit.incoming import heard

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["BASE_CSS", "Component", "Teller", "palette_source"]

FOLDER = Path(__file__).parents[1]

BASE_CSS = """
:host{font-family:FONTS;font-size:13px;line-height:1.5;color:var(--tx-text)!important;
font-variant-numeric:tabular-nums;-webkit-font-smoothing:antialiased}
*{box-sizing:border-box}
.tx-needs{opacity:.45;cursor:not-allowed!important}
:focus-visible{outline:2px solid var(--tx-focus);outline-offset:2px;border-radius:4px}
.tx-blank{font-style:normal;font-weight:400;position:relative;top:-.16em;opacity:.65}
@media (prefers-reduced-motion:reduce){*{transition:none!important;animation:none!important}}
:where(:lang(ja)){line-break:strict;word-break:auto-phrase;overflow-wrap:break-word}
""".replace("FONTS", palette.FONTS)
"""Style sheet of all components, before their own. Those say ``:where(:host){display:block}``: what is not visible Bokeh hides by
a rule of ``:host``, which a plain one of ours would outweigh."""


@cache
def palette_source() -> str:
    """The colours of `txpanel.toolkit.palette` as JavaScript: what ``palette.js`` holds (``scripts/palette`` writes it).

    Of each colour map, light and dark, the 256 colours as base64 of their bytes.
    """
    ramps = {kind: [_bytes(palette.ramp(kind, dark)) for dark in (False, True)] for kind in palette.RAMPS}
    return (
        "// Written by scripts/palette from txpanel/toolkit/palette.py.\n"
        f"export const CSS = {json.dumps(palette.css_variables(':root'))}\n"
        f"export const RAMPS = {json.dumps(ramps)}\n"
    )


def _bytes(colours: tuple[str, ...]) -> str:
    return base64.b64encode(bytes.fromhex("".join(colours).replace("#", ""))).decode("ascii")


def beside(cls: type, name: str | Path) -> Path:
    """A file of a class's own folder."""
    return Path(str(sys.modules[cls.__module__].__file__)).parent / name


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
"""Endings of class names that panel-material-ui takes for Bokeh's own models; it sets properties that a component lacks, and the
whole page stays white."""


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

    _key: ClassVar[str] = ""
    """By which name the bundle has the module; empty: it is another package's, and its source travels with the component."""

    _styles: ClassVar[str | Path] = ""
    """Its style sheet beside it, if there is one; `BASE_CSS` comes first."""

    _stylesheets: ClassVar[list[str]] = [BASE_CSS]

    _bundle_path: ClassVar[None] = None
    _bundle_css: ClassVar[list[str]] = []
    """Panel would look for files by the names of classes and modules, at every component."""

    _browser_sets: ClassVar[tuple[str, ...]] = ()
    """Parameters that its module may set. A browser's changes of all others are ignored."""

    language = param.String(
        default="", doc="Language code of its texts, as in HTML; empty: English, as everything around it."
    )

    def __init__(self, **params: Any) -> None:
        spoken = language()
        super().__init__(**({} if spoken == ENGLISH else {"language": spoken.replace("_", "-")}) | params)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "_handle_msg" in cls.__dict__:
            cls._handle_msg = heard(cls.__dict__["_handle_msg"])
        if cls.__name__.endswith(RESERVED) or cls.__name__ == "Rect":
            raise TypeError(f"{cls.__name__}: choose a name with another ending, panel-material-ui would restyle it")
        if "_styles" in cls.__dict__:
            cls._stylesheets = [BASE_CSS + beside(cls, cls._styles).read_text(encoding="utf-8")]
        if "_module" in cls.__dict__:
            path = beside(cls, cls._module)
            ours = path.is_relative_to(FOLDER)
            cls._key = path.relative_to(FOLDER).with_suffix("").as_posix() if ours else ""
            cls._esm = bundle.awaited() if ours else path.read_text(encoding="utf-8")
        super().__init_subclass__(**kwargs)

    @property
    def _linked_properties(self) -> tuple[str, ...]:
        linked = super()._linked_properties
        return tuple(name for name in linked if name in self._browser_sets) if self._key else linked

    def _get_properties(self, doc: Document | None) -> dict[str, Any]:
        """On a server all components share one address. A notebook and a saved page have no server: the bundle is in the page, once."""
        properties = super()._get_properties(doc)
        served = doc is not None and doc.session_context is not None
        if self._key:
            properties["class_name"] = self._key  # Panel takes that export of a bundle
            properties["esm"] = bundle.address() if served else self._esm
            properties["bundle"] = "url" if served else f"txpanel-{bundle.digest()}"
        elif self._module:
            source = bundle.preamble(served=served) + str(properties["esm"])
            # by its name alone Panel would know modules apart by their length only, and compile each of them
            properties.update(esm=source, bundle=f"{type(self).__name__}-{bundle.digest(source)}")
        if self._module and not served:
            properties["tags"] = [*properties.get("tags", ()), bundle.carrier(doc)]
        return properties


class Teller(Component):
    """A component that reports what a person does: ``on_message(kind, data)`` is called for each message of the browser."""

    def __init__(self, on_message: Callable[[str, dict[str, Any]], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def _handle_msg(self, data: Any) -> None:
        if self._on_message is not None and isinstance(data, dict):
            self._on_message(str(data.get("kind")), data)
