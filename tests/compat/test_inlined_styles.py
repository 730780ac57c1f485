"""A view in a notebook has the same style sheets in it as Panel puts there, and Bokeh looks through its models once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import panel as pn
import pytest
from panel.io.state import set_curdoc
from panel.viewable import Viewable

from txpanel.compat.inlined_styles import shown
from txpanel.page import theme
from txpanel.testing import nano_state
from txpanel.views import KVCacheView

assert theme.pmui, "with it Panel has a design, which wraps what is shown in a layout of its own"
IDS = re.compile(r"p\d+|(?<=[a-z])\d{5}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}")


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As after ``pn.extension(inline=True)``, without its megabytes of scripts."""
    before = set(pn.state._views)
    with set_curdoc(
        None
    ):  # a notebook has no document of its own; with one that another test has left, `inline` would be that document's alone
        monkeypatch.setattr(pn.config, "inline", True)
        monkeypatch.setattr(pn.extension, "_loaded", True)
        yield
    for ref in set(pn.state._views) - before:
        del pn.state._views[ref]


def layout() -> pn.Column:
    return pn.Column(*(pn.Row(pn.pane.Markdown(f"part {n}"), pn.pane.Str("text")) for n in range(5)))


def test_panel_still_looks_through_all_models_for_each(notebook: None, looks: list[int]) -> None:
    """When this fails, Panel has mended it: drop `inlined_styles`."""
    layout()._repr_mimebundle_()
    own = len(looks)
    looks.clear()
    shown(layout())
    assert own > 2 * len(looks)


def test_it_shows_what_panel_shows(notebook: None) -> None:
    def text(bundle: Any) -> str:
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return IDS.sub("", data["text/html"])

    layout()._repr_mimebundle_()  # the first one has the page's address with it
    assert text(shown(layout())) == text(layout()._repr_mimebundle_())
    assert "ImportedStyleSheet" not in text(shown(layout()))


def test_views_are_shown_by_it_and_nothing_of_it_stays(notebook: None, looks: list[int]) -> None:
    view = KVCacheView(nano_state("CBABBC="))
    hooks = list(Viewable._preprocessing_hooks)
    looks.clear()
    assert "text/html" in view._repr_mimebundle_()[0]
    assert len(looks) <= 6
    assert hooks == Viewable._preprocessing_hooks
    view.close()
