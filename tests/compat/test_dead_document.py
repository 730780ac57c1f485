"""When a session has ended, nothing is done any more for the models of its page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document
from panel.io.document import _destroy_document

from txpanel.compat.dead_document import let_go


class Watched(pn.Column):
    """Says how often Panel has changed its models."""

    changed = 0

    def _update_model(self, *given: Any, **named: Any) -> None:
        self.changed += 1
        super()._update_model(*given, **named)


def shown(document: Document) -> Watched:
    layout = Watched("x", "y")
    document.add_root(layout.get_root(document))
    return layout


@pytest.fixture
def document() -> Iterator[Document]:
    made = Document()
    yield made
    let_go(made)


@pytest.fixture
def ended(document: Document, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A layout of a session that has ended."""
    monkeypatch.setattr(type(pn.state), "schedule_task", lambda *_given, **_named: None)  # wants a server's loop
    layout = shown(document)
    document.destroy = partial(_destroy_document, document)  # as Panel's server has it
    document.destroy(None)
    return layout


def test_panel_still_changes_the_models_of_a_document_that_is_no_more(ended: Watched) -> None:
    """When this fails, Panel leaves them alone by itself: drop `dead_document`."""
    with suppress(AttributeError):  # Panel 1.10
        ended.clear()
    assert ended.changed == 1


def test_a_document_that_was_let_go_is_left_alone(document: Document, ended: Watched) -> None:
    let_go(document)
    let_go(document)
    ended.clear()
    assert ended.changed == 0
    assert ended.objects == []


def test_other_pages_go_on(document: Document) -> None:
    mine, other = Document(), document
    layouts = [shown(mine), shown(other)]
    let_go(mine)
    for layout in layouts:
        layout.clear()
    assert [layout.changed for layout in layouts] == [0, 1]
