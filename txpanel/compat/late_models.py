"""Components that were imported after a page was painted: the browser has to be told what they are.

Bokeh sends the definition of every component class that exists when a document is first sent. Our page is sent before torch
and the views are imported, so their components come later, and Panel tells only the first session about those.

Versions: Panel 1.9.4 to 1.10.0, Bokeh 3.9 to 3.10.
Reason: correctness; the second session that sees such a component shows nothing in its place.
Upstream: holoviz/panel, panel/custom.py, `ReactiveESM._get_properties`: ``_defs`` by document, not once per process.
Test: tests/compat/test_late_models.py::test_panel_still_tells_one_session_only
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from panel.custom import JSComponent, ReactiveESM
from panel.io.document import unlocked

__all__ = ["knows_all", "teach"]

_known: WeakKeyDictionary[Any, set[type]] = WeakKeyDictionary()


def knows_all(document: Any) -> None:
    """Call while a document is made: what exists now will be sent with it."""
    _known[document] = set(_components())


def teach(document: Any, carrier: JSComponent) -> None:
    """Sends the definitions that a document lacks; before any of those components is put into it.

    Args:
        document: to which `knows_all` was applied; others are left alone.
        carrier: a component that is in the document already.
    """
    known = _known.get(document)
    if known is None:
        return
    late = [component for component in _components() if component not in known]
    models = [model for model, _parent in carrier._models.values() if model.document is document]
    if late and models:
        known.update(late)
        definitions = models[0].lookup("_defs")  # set through its descriptor: plain assignment would send no event
        with unlocked():  # Panel sends new children at once, and this has to be there before them
            definitions.__set__(models[0], [component._data_model for component in late])


def _components(root: Any = ReactiveESM) -> Iterator[Any]:
    for component in root.__subclasses__():
        yield component
        yield from _components(component)
