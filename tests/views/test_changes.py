"""What a change costs, counted: how often Bokeh looks through all models of the page (0.1 s each time on ours)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
import pytest
from bokeh.document import Document
from bokeh.document.events import ColumnDataChangedEvent
from bokeh.models import ColumnDataSource
from bokeh.protocol import Protocol

from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState
from txpanel.views.attention.view import AttentionView
from txpanel.views.base import View
from txpanel.views.embedding.view import EmbeddingView
from txpanel.views.mlp.view import MLPView
from txpanel.views.residual.view import ResidualView
from txpanel.views.softmax.view import SoftmaxView

TEXT = "CBABBC="
VIEWS = (AttentionView, EmbeddingView, MLPView, ResidualView, SoftmaxView)
CHANGES: tuple[dict[str, Any], ...] = ({"head": 1}, {"query": 2}, {"layer": 1}, {"text": "CBABBA="}, {"text": "CB"})


@pytest.mark.parametrize("view", VIEWS)
def test_another_head_token_block_or_text_replaces_no_model(
    view: type[View], nano: LanguageModel, doc: Document, looks: list[int]
) -> None:
    shown = view(ModelState(model=nano, text=TEXT))
    pn.panel(shown).server_doc(doc)
    for change in CHANGES:
        looks.clear()
        shown.state.param.update(**change)
        assert looks == [], f"{view.__name__} replaces a model when {change} comes"
    shown.close()


@pytest.mark.parametrize("view", VIEWS)
def test_another_head_sends_no_content_again_that_is_there(
    view: type[View], nano: LanguageModel, doc: Document
) -> None:
    """Texts in cells, frames, chosen tokens: what is as it was is not sent, and its figure not painted for it."""
    shown = view(ModelState(model=nano, text=TEXT))
    pn.panel(shown).server_doc(doc)
    for head in (1, 0):
        before = {model.id: contents(model) for model in doc.models if isinstance(model, ColumnDataSource)}
        events: list[Any] = []
        doc.on_change(events.append)
        shown.state.focus(head=head)
        doc.remove_on_change(events.append)
        again = [event.model for event in events if isinstance(event, ColumnDataChangedEvent)]
        assert bool(again) == (view is AttentionView)  # the others show no single head
        assert [model for model in again if contents(model) == before[model.id]] == []
    shown.close()


def contents(source: ColumnDataSource) -> dict[str, Any]:
    """A source's columns, to be compared."""
    return {name: [np.asarray(one).tolist() for one in column] for name, column in source.data.items()}


def sent_bytes(events: list[Any]) -> int:
    """What a websocket carries for these changes: the message's texts, and its arrays as they are."""
    message = Protocol().create("PATCH-DOC", events)
    texts = (message.header_json, message.metadata_json, message.content_json)
    return sum(len(text) for text in texts) + sum(len(buffer.to_bytes()) for buffer in message.buffers)


def test_a_map_of_128_tokens_takes_at_most_80_kilobytes(tiny: Callable[[str], LanguageModel], doc: Document) -> None:
    shown: Any = AttentionView(ModelState(model=tiny("llama"), text="CBAB" * 32))
    pn.panel(shown).server_doc(doc)
    assert len(shown.state.trace.tokens.ids) == 128
    events: list[Any] = []
    doc.on_change(events.append)
    shown.state.focus(head=1)
    maps = {part: heat.figure.references() for part, heat in shown.maps.heats.items()}
    for part, models in maps.items():
        about = [event for event in events if event.model in models]
        assert 128 * 128 * 4 <= sent_bytes(about) <= 80_000, part  # each number whole, as float32
    shown.close()
