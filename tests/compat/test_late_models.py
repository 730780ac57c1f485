"""A component that was imported after a page was sent is known to that page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import panel as pn
import param
from bokeh.document import Document
from panel.custom import JSComponent
from panel.io.state import set_curdoc

from txpanel.compat.late_models import knows_all, teach


class Carrier(JSComponent):
    """Stands in the page from the beginning."""

    _esm = "export function render() {}"


def _later() -> type[JSComponent]:
    """A component class that is made now."""
    return type("Later", (JSComponent,), {"_esm": "export function render() {}", "count": param.Integer(default=0)})


def _defs(component: JSComponent, document: Document) -> list[str]:
    """What a component's model says about classes, when it is made for a document."""
    return [model.__name__ for model in component._get_properties(document)["_defs"]]


def test_panel_still_tells_one_session_only() -> None:
    """When this fails, Panel tells each document: drop `late_models`."""
    first, second = Document(), Document()
    context = SimpleNamespace(server_context=object(), destroyed=False, session=None)
    first._session_context = lambda: context  # type: ignore[assignment,return-value]
    pn.state._connected[first] = True
    with set_curdoc(first):
        made = _later()
    assert [name[:5] for name in _defs(made(), first)] == ["Later"]
    assert _defs(made(), second) == []


def test_a_document_is_told_what_it_lacks_once() -> None:
    document, carrier = Document(), Carrier()
    knows_all(document)
    root: Any = carrier.get_root(document)
    document.add_root(root)
    told: list[list[type]] = []
    document.on_change(lambda event: told.append(event.new) if event.attr == "_defs" else None)
    made = _later()
    teach(document, carrier)
    teach(document, carrier)
    assert [made._data_model in one for one in told] == [True]


def test_other_documents_are_left_alone() -> None:
    document, carrier = Document(), Carrier()
    root: Any = carrier.get_root(document)
    document.add_root(root)
    told: list[Any] = []
    document.on_change(told.append)
    _later()
    teach(document, carrier)
    assert told == []
