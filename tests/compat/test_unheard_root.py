"""A page that is written to a file has no listener, so nothing is sent for it."""

from __future__ import annotations

import warnings

import panel as pn
import pytest
from bokeh.document import Document
from panel import reactive
from panel.io.model import add_to_doc
from panel.io.save import Comm
from panel.pane import base

from txpanel.compat.unheard_root import unheard


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    """The documents for which Panel had something to send."""
    found: list[Document] = []
    for module in (reactive, base):
        monkeypatch.setattr(module, "push", lambda doc, _comm, *_more, **_named: found.append(doc))
    return found


def changed(marked: bool) -> Document:
    """A page as `page.offline.save` builds it, of which something changed afterwards."""
    said = pn.pane.HTML("light")
    page, doc = pn.Column(said), Document()
    root = page.get_root(doc, Comm())
    if marked:
        unheard(root)
    add_to_doc(root, doc, hold=True)
    page.styles = {"color-scheme": "dark"}
    said.object = "dark"
    page._cleanup(root)
    return doc


def test_panel_still_sends_the_changes_of_a_page_that_nobody_reads(sent: list[Document]) -> None:
    """When this fails, Panel marks such a page by itself: drop `unheard_root`."""
    doc = changed(marked=False)
    assert sent == [doc, doc]


def test_a_marked_page_changes_and_nothing_is_sent(sent: list[Document]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doc = changed(marked=True)
    assert sent == []
    # the layout's own model: a design may put it into another one
    assert {"color-scheme": "dark"} in [getattr(model, "styles", None) for model in doc.models]
    assert "dark" in [getattr(model, "text", None) for model in doc.models]
