"""Our browser code as one file, ``txpanel.js`` (``scripts/bundle`` makes it), and how it gets into a page.

On a server: by an address with the hash of its content, which the browser keeps for good. In a notebook and in a saved
page: inside, once for a document; each component waits for it.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bokeh.embed.bundle import extension_dirs
from panel.custom import JSComponent
from panel.io.state import state

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["FOLDER", "address", "awaited", "carrier", "digest", "preamble", "source"]

FOLDER = Path(__file__).parent / "served"
FILE = "txpanel.js"

extension_dirs["txpanel"] = FOLDER  # what Bokeh's server gives out at static/extensions/txpanel/


@cache
def source() -> str:
    """The whole file."""
    return (FOLDER / FILE).read_text(encoding="utf-8")


@cache
def digest(text: str = "") -> str:
    """A short name of a text; of the bundle, if there is none."""
    return hashlib.sha256((text or source()).encode()).hexdigest()[:16]


def address() -> str:
    """Where a page of this server finds the file."""
    return f"{state.rel_path or '.'}/static/extensions/txpanel/{FILE}?v={digest()}"


@cache
def _promise() -> str:
    name = f'((globalThis.txpanel ??= {{}})["{digest()}"] ??= Promise.withResolvers())'
    return f"await {name}.promise"


@cache
def awaited() -> str:
    """JavaScript of a module that exports all components; it waits until the document's `carrier` has brought the bundle."""
    return f"export default ({_promise()}).components\n"


def preamble(*, served: bool) -> str:
    """What stands in front of the module of another package's component, so that it can use ``tx``."""
    if served:
        return f'const {{tx}} = await importShim(new URL("{address()}", document.baseURI).href)\n'
    return f"const {{tx}} = {_promise()}\n"


class Carried(JSComponent):
    """Draws nothing: its Bokeh model brings the bundle into a document."""


def carrier(doc: Document | None) -> Any:
    """The model that brings the bundle into a document: the same one for all of its components."""
    made = getattr(doc, "_txpanel_carrier", None)
    if made is None:
        made = Carried._bokeh_model(
            class_name="carried",
            esm=source(),
            bundle=digest(),
            data=Carried._data_model(),
        )
        if doc is not None:
            doc._txpanel_carrier = made
    return made
