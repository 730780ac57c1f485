"""The browser side of the flow: plain ES modules, joined into the one string that Panel's JSComponent loads.

Panel gives a component one module, and an import between modules would need a server beside the page; so the modules are put one after the
other in the order of their imports, and ``import`` lines and the word ``export`` are taken out. All of them share one scope: a name is
declared in one module only, which `bundle` checks.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import param

from txpanel.toolkit.component import BASE_CSS, SHARED, Component, joined, shared_source

__all__ = ["FlowPicture", "bundle"]

FOLDER = Path(__file__).parent
BEFORE = ("compat/local_layout.js", "compat/paint_queue.js")
"""What makes Bokeh's figures cheaper, for the whole page; here, because the flow is there before any figure."""
MODULES = (
    "core",
    "theme",
    "layout",
    "motion",
    "strips",
    "lanes",
    "attention",
    "mlp",
    "blocks",
    "overlay",
    "hover",
    "keys",
    "grid",
    "phone",
    "window",
    "light",
    "dom",
    "export",
    "main",
)
"""In the order in which they are joined: a module stands behind those it needs when it is loaded."""

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const|function|class)", re.MULTILINE)
_NAME = re.compile(r"^(?:export )?(?:const|let|function|class) (?:(\w+)|\{([^}]*)\})", re.MULTILINE)


@cache
def bundle() -> str:
    """All modules as one, ``render`` being its only export.

    Raises:
        ValueError: two modules declare the same name.
    """
    seen: dict[str, str] = {}
    parts = []
    for name in MODULES:
        source = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
        for match in _NAME.finditer(source):
            for word in re.findall(r"\w+", match[1] or match[2]):
                if word in seen:
                    raise ValueError(f"{name}.js and {seen[word]}.js both declare {word}")
                seen[word] = name
        parts.append(f"// --- {name}.js\n{_EXPORT.sub('', _IMPORT.sub('', source))}")
    return "\n".join(parts) + "\nexport default { render };\n"


class FlowPicture(Component):
    """The picture itself. Its parameters are what `txpanel.views.flow.data` builds; nothing else reaches the browser."""

    texts = param.Dict(
        default={}, doc="All words on screen, already translated; {name} places are filled in the browser."
    )
    anatomy = param.Dict(default={}, doc="layers, heads (at most in a block), width, vocab.")
    tokens = param.Dict(default={}, doc="`data.token_payload` of the window.")
    block = param.Dict(default={}, doc="`data.block_payload` of the chosen block.")
    head = param.Dict(default={}, doc="`data.head_payload` of the chosen head.")
    next = param.Dict(default={}, doc="`data.next_payload` of the chosen position.")
    small = param.Dict(default={}, doc="`data.layer_payload` of the chosen block: thumbnails and labels.")
    writes = param.Dict(default={}, doc="Norms of what each block wrote to the chosen token: attn, mlp float32 [L].")
    grid_part = param.Dict(default={}, doc="`data.layer_payload` of one block for the overview of all heads.")
    query = param.Integer(default=0, doc="The chosen token.")
    key = param.Integer(default=0, doc="The chosen key.")
    lit = param.List(default=[], doc="Cells that the open card is about, the one in question first: name and at.")
    opened = param.String(default="", doc="The view that is open below, by its id.")
    openable = param.Dict(
        default={}, doc="Tensor name without block prefix -> id of the view that a click opens; others open nothing."
    )
    busy = param.String(default="", doc="What is being computed, in words; empty when nothing is.")

    _esm = shared_source() + joined(BEFORE) + bundle()
    _parts = (*SHARED, *BEFORE, *(f"views/flow/{name}.js" for name in MODULES))
    _stylesheets = [BASE_CSS + (FOLDER / "flow.css").read_text(encoding="utf-8")]  # noqa: RUF012  (Panel's own way)

    def __init__(self, **params: Any) -> None:
        self.on_message: Any = None
        super().__init__(**params)

    def _handle_msg(self, msg: Any) -> None:
        if self.on_message is not None:
            self.on_message(msg)
