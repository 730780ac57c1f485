"""A page with changes of all kinds: what they do to its models, to compare ours with the library's own way."""

from __future__ import annotations

from typing import Any

import panel as pn
import param
from bokeh.document import Document
from panel.custom import Child, JSComponent

__all__ = ["said"]


class Part(JSComponent):
    """One of our own kind: a number, a list, and another component inside."""

    count = param.Integer(default=0)
    words = param.List(default=[])
    inside = Child()
    _esm = "export function render({model}) { return model.get_child('inside') }"


def said() -> list[Any]:
    """What changes of all kinds do to the models in the document, and how often the document looks through them."""
    part, text = Part(inside=pn.pane.Str("a")), pn.pane.Markdown("one")
    doc, looks = Document(), list[int]()
    doc.add_root(pn.Column(part, text).get_root(doc))
    push = doc.models._push_freeze
    doc.models._push_freeze = lambda: (looks.append(1), push())[1]  # type: ignore[method-assign]
    model, shown = doc.roots[0].children
    found: list[Any] = []
    changes: list[tuple[Any, dict[str, Any]]] = [
        (part, {"count": 3}), (part, {"words": ["a", {"b": 1}]}), (part, {"inside": pn.pane.Str("b")}), (part, {"visible": False}),
        (part, {"stylesheets": [":host{color:red}"]}), (text, {"object": "two"}), (text, {"stylesheets": ["p{color:red}"]}), (text, {"width": 40}),
    ]  # fmt: skip
    for viewable, change in changes:
        viewable.param.update(**change)
        data = model.data
        sheets = [[_sheet(sheet) for sheet in one.stylesheets] for one in (model, shown)]
        inside = type(data.inside).__name__
        found.append([data.count, data.words, inside, model.visible, shown.text, shown.width, sheets, len(looks)])
    return found


def _sheet(sheet: Any) -> Any:
    if isinstance(sheet, str):
        return sheet
    return {name: value for name, value in sheet.properties_with_values().items() if name in ("css", "url")}
