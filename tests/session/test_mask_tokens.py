"""A session with a model that predicts masked tokens: it predicts the chosen token, puts the drawn one into a mask, and does not generate."""

from __future__ import annotations

import numpy as np
import pytest

from tests.families import masked_tokenizer
from tests.sweep.configs import MASKED, model_of
from txpanel.models.language_model import LanguageModel
from txpanel.models.masked_tokens import no_continuation
from txpanel.session.state import ModelState
from txpanel.views.flow import data
from txpanel.views.flow.window import Window

TEXT = "the c<mask>t s<mask>t"


@pytest.fixture(scope="module")
def bert() -> LanguageModel:
    return LanguageModel.wrap(model_of("bert" + MASKED), masked_tokenizer(), name="bert")


def test_the_first_mask_token_is_selected_and_the_prediction_follows_to_another(bert: LanguageModel) -> None:
    state = ModelState(model=bert, text=TEXT)
    one, other = state.trace.gaps
    assert (state.query, state.trace.answer) == (one, one)
    drawn = state.sampled.stages[0].logits
    state.focus(query=other)
    assert (state.query, state.trace.answer) == (other, other)
    assert np.array_equal(state.sampled.stages[0].logits, state.trace.logits.values)
    assert not np.array_equal(drawn, state.sampled.stages[0].logits)
    state.focus(query=2)  # no gap: one looks from there, and the answer stays
    assert (state.query, state.trace.answer) == (2, other)


def test_without_a_mask_token_the_prediction_is_for_the_chosen_token(bert: LanguageModel) -> None:
    state = ModelState(model=bert, text="abcd")
    assert state.query == state.trace.answer == 4
    state.focus(query=2)
    assert state.trace.answer == 2
    state.text = "abcde"  # whoever looked from the answer still does
    assert state.query == state.trace.answer == 5


def test_a_token_replaces_the_mask_token(bert: LanguageModel) -> None:
    state = ModelState(model=bert, text=TEXT)
    state.append(bert.encode("a")[1])
    assert state.text == "the cat s<mask>t"
    assert state.query == state.trace.answer == state.trace.gaps[0]
    state.undo()
    assert state.text == TEXT
    state.append()
    assert state.text.count("<mask>") == 1


def test_an_encoder_does_not_generate(bert: LanguageModel) -> None:
    state = ModelState(model=bert, text=TEXT)
    before = state.trace
    state.generate(2)
    assert state.error == no_continuation()
    assert state.trace is before
    assert not state.tree.nodes


def test_each_row_on_screen_and_beside_it_adds_up_to_one(bert: LanguageModel) -> None:
    trace = bert.trace("the cat sat on the mat and <mask> is all")
    total = len(trace.tokens)
    for start, count in ((0, total), (0, 5), (4, 6), (total - 3, 3)):
        found = data.head_weights(trace, 1, 2, Window(start, count, total))
        rows = np.nan_to_num(found["pattern"]).sum(1) + np.nan_to_num(found["first"]) + np.nan_to_num(found["earlier"])
        assert np.allclose(rows, 1, atol=1e-5), (start, count)
