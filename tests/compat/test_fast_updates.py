"""The short way of a change says the same as Panel's own, and looks for nothing."""

from __future__ import annotations

from typing import Any

import panel as pn
import param
import pytest
from bokeh.core.has_props import HasProps
from bokeh.document import Document
from panel import custom
from panel.custom import Child, JSComponent
from panel.reactive import Reactive

from txpanel.compat import fast_updates


class Part(JSComponent):
    """One of our own kind: a number, a list, and another component inside."""

    count = param.Integer(default=0)
    words = param.List(default=[])
    inside = Child()
    _esm = "export function render({model}) { return model.get_child('inside') }"


@pytest.fixture
def as_panel_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze, properties = custom.freeze_doc, Reactive._update_properties
    monkeypatch.setattr(custom, "freeze_doc", getattr(freeze, "_txpanel_mended", freeze))
    monkeypatch.setattr(Reactive, "_update_properties", getattr(properties, "__wrapped__", properties))


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names for which Bokeh composed a sentence."""
    found: list[str] = []
    own = HasProps._raise_attribute_error_with_matches

    def spy(self: Any, name: str, properties: Any) -> None:
        found.append(name)
        own(self, name, properties)

    monkeypatch.setattr(HasProps, "_raise_attribute_error_with_matches", spy)
    return found


def _sheet(sheet: Any) -> Any:
    return (
        sheet
        if isinstance(sheet, str)
        else {k: x for k, x in sheet.properties_with_values().items() if k in ("css", "url")}
    )


def _sheet(sheet: Any) -> Any:
    if isinstance(sheet, str):
        return sheet
    return {name: value for name, value in sheet.properties_with_values().items() if name in ("css", "url")}


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


@pytest.mark.usefixtures("as_panel_has_it")
def test_both_ways_say_the_same_and_one_of_them_looks_for_nothing(missed: list[str]) -> None:
    long = said()
    assert missed  # when there is nothing to be missed, Panel has mended it: drop `lighter`
    missed.clear()
    fast_updates.mend()
    fast_updates.mend()
    assert said() == long
    assert missed == []
