"""For authors of views: a real, tiny run to test with, and a check of everything that a page expects of a view.

from txpanel.testing import check_view

def test_my_view():
check_view(MyView)
"""

from __future__ import annotations

import gc
import re
import weakref
from typing import TYPE_CHECKING, Any

from txpanel.session.state import ModelState

if TYPE_CHECKING:
    from txpanel.views.base import View

__all__ = ["check_view", "nano_state"]

TEXT, OTHER_TEXT = "hfcadbge", "cab"
BASE = ("View", "Viewer", "Parameterized")
ID = re.compile(r"[a-z][a-z0-9-]*")
REQUEST = re.compile(r"""(?:from|import|import\(|fetch\(|url\()\s*["'`]?(https?://[^"'`\s)]+)""")


def nano_state(text: str = TEXT, **params: Any) -> ModelState:
    """A state with the nano model, which comes with txpanel and loads at once, and its run on a text.

    Args:
        text: to run it on.
        params: further parameters of the state, such as ``layer=1``.
    """
    # late: torch and Panel, for those who only import a name of this module
    from txpanel.session.shared import shared_model

    return ModelState(model=shared_model("nano"), text=text, **params)


def check_view(view_class: type[View]) -> None:
    """Check that a view keeps the rules: all that a page does with it is done once.

    It is built without a run and with one, given another run, led through all blocks and tokens, made dark, put out of
    sight and back, and closed. It needs no browser.

    Raises:
        AssertionError: a rule is broken; the text says which. Also whatever the view raises by itself.
    """
    _check_class(view_class)
    _check_empty(view_class)
    state = nano_state()
    view = view_class(state)
    _check_requests(view)
    _use(view, state)
    _check_closing(view_class)


def _check_class(view_class: type[View]) -> None:
    # late: torch and Panel, for those who only import a name of this module
    from txpanel.views.base import API_VERSION, View

    assert isinstance(view_class, type), f"{view_class!r} is no class."
    assert issubclass(view_class, View), f"{view_class.__name__} must derive from txpanel.View."
    name = view_class.__name__
    assert ID.fullmatch(view_class.id), (
        f"{name}.id is {view_class.id!r}; it must be lower case words joined by hyphens."
    )
    assert view_class.title.strip(), f"{name}.title must be set: it stands above the view."
    assert view_class.__doc__, f"{name} needs a docstring."
    version = view_class.api_version
    assert version == API_VERSION, f"{name} is written for version {version} of the interface, this is {API_VERSION}."
    bare = [
        parameter
        for parameter, value in view_class.param.objects("existing").items()
        if value.owner.__name__ not in BASE and not (value.doc or "").strip() and not parameter.startswith("_")
    ]
    assert not bare, f"These parameters of {name} need a doc: {', '.join(sorted(bare))}."


def _check_empty(view_class: type[View]) -> None:
    """The page stands before the model is there."""
    state = ModelState()
    view = view_class(state)
    _render(view)
    state.text = TEXT
    state.model = nano_state().model
    assert state.trace is not None
    view.close()


def _render(view: View) -> list[Any]:
    """All Bokeh models of the view as a page would get them; the page itself is gone when this returns."""
    import panel as pn  # late: torch and Panel, for those who only import a name of this module

    from txpanel.compat.forgotten_root import models_of

    return models_of(pn.panel(view.__panel__()))


def _check_requests(view: View) -> None:
    """Nothing may be fetched from elsewhere: neither by stylesheets nor by modules."""
    for model in _render(view):
        code = str(getattr(model, "esm", "")) + str(getattr(model, "css", ""))
        sheets = [model, *getattr(model, "stylesheets", [])]
        urls = [str(sheet.url) for sheet in sheets if type(sheet).__name__ == "ImportedStyleSheet"]
        maps = str(getattr(model, "importmap", "") or "")
        found = (
            REQUEST.findall(code) + [url for url in urls if url.startswith("http")] + re.findall(r"https?://\S+", maps)
        )
        own = [url for url in found if "cdn.holoviz.org" in url]  # of Panel itself; its server replaces them by its own
        rest = sorted(set(found) - set(own))
        assert not rest, f"{type(view).__name__} fetches {', '.join(rest)}; put what it needs into the package."
        kind = type(model).__name__
        ours = str(getattr(model, "code", "")).startswith("// tx:")  # of txpanel.toolkit.figure_code
        assert ours or not kind.startswith(("CustomJS", "ReactiveHTML")), (
            f"{type(view).__name__} has JavaScript as a text ({kind}), which the page of a server does not run: put it into the "
            "module of a component, and use txpanel.toolkit.card.flow instead of pn.FlexBox."
        )


def _use(view: View, state: ModelState) -> None:
    """What a person does, and a page."""
    state.text = OTHER_TEXT
    state.append()
    for layer in range(state.trace.anatomy.n_layers):
        state.focus(layer=layer, head=99, query=layer, key=0, neuron=layer)
    state.param.update(temperature=0.5, top_k=3, seed=2)
    state.ask("logits", vocab=0)
    view.active = False
    state.text = TEXT
    view.active = True
    view.dark = not view.dark
    state.text = "a"
    assert state.error is None, state.error
    state.text = ""  # the run is taken away again
    state.text = TEXT
    assert state.error is None, state.error
    view.close()


def _check_closing(view_class: type[View]) -> None:
    """A session that ended must be forgotten, or the server grows with every visitor."""
    state = nano_state()
    before = _watchers(state)
    view = view_class(state)
    _render(view)
    view.close()
    name = view_class.__name__
    assert _watchers(state) == before, f"{name} still watches the state after close(). Use follow() and watch()."
    seen = weakref.ref(view)
    del view
    gc.collect()
    assert seen() is None, f"Something keeps {name} alive after close(): a global, a cache, or a watcher of its own."


def _watchers(state: ModelState) -> int:
    return sum(len(found) for what in state.param.watchers.values() for found in what.values())
