"""Where an image stands, the page says so: no row of the token table, and the module that made the vector."""

from __future__ import annotations

import pytest

import txpanel
from tests.families import tiny_tokenizer
from tests.seeing import seeing
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.trace import Trace
from txpanel.views.embedding.data import table_row
from txpanel.views.embedding.strips import strips
from txpanel.views.embedding.words import lead
from txpanel.views.why.data import card

IMAGE, TEXT = 4, 8


@pytest.fixture(scope="module")
def trace() -> Trace:
    module, inputs = seeing("smolvlm")
    return LanguageModel.wrap(module, tiny_tokenizer()).trace(inputs=inputs)


def said(paragraphs: object) -> str:
    return str(paragraphs)


def test_its_vector_is_no_row_of_the_table(trace: Trace) -> None:
    here, there = strips(trace, IMAGE), strips(trace, TEXT)
    assert [strip.tensor for strip in here] == ["embed", "blocks.0.resid_pre"]
    assert "model.connector" in here[0].note
    assert trace.model is not None
    row = table_row(trace.model, int(trace.tokens.ids[TEXT]))
    assert row is not None
    assert there[0].tensor == row[0]


def test_the_words_are_of_an_image(trace: Trace) -> None:
    assert "model.connector" in said(lead(trace, IMAGE))
    assert "<image> 2 of 4" in said(lead(trace, IMAGE))
    assert "not opened" in said(lead(trace, IMAGE))
    assert "model.connector" not in said(lead(trace, TEXT))


def test_the_card_names_the_module_and_the_pixels(trace: Trace) -> None:
    made = card(trace, "embed", {"token": IMAGE, "feature": 3})[0]
    assert "model.connector" in said(made["closed"]["said"])
    assert made["closed"]["inputs"][0]["name"] == "inputs.pixel_values"
    assert card(trace, "embed", {"token": TEXT, "feature": 3})[0]["closed"] is None
    pixel = dict.fromkeys(trace.dims("inputs.pixel_values"), 0)
    assert card(trace, "inputs.pixel_values", pixel)[0]["exact"]


def test_every_view_draws_it(trace: Trace) -> None:
    state = txpanel.ModelState(trace=trace)
    state.focus(query=IMAGE)
    for name in dir(txpanel.views):
        if name.endswith("View") and name != "View":
            view = getattr(txpanel.views, name)(state)
            view.__panel__()
            view.close()
    for place in (IMAGE, TEXT):
        state.ask("embed", token=place, feature=0)
        assert state.question is not None
