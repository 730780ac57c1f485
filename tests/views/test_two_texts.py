"""The page of an encoder-decoder: what is drawn is the model's, what is not says so."""

from __future__ import annotations

import numpy as np
import pytest

from tests.encoder_decoders import tiny_pair
from txpanel.session.state import ModelState
from txpanel.views.attention import AttentionView
from txpanel.views.embedding import EmbeddingView
from txpanel.views.flow import FlowView
from txpanel.views.kv_cache import KVCacheView
from txpanel.views.mlp import MLPView
from txpanel.views.residual import ResidualView
from txpanel.views.residual.data import stream
from txpanel.views.residual.strips import strips
from txpanel.views.sampling import SamplingView
from txpanel.views.softmax import SoftmaxView

TEXT = "hello wörld"


def opened(name: str) -> ModelState:
    state = ModelState(model=tiny_pair(name), text=TEXT)
    state.generate(3)
    return state


@pytest.mark.parametrize("name", ["t5", "bart", "pegasus"])
def test_the_text_stays_what_was_typed_and_what_is_written_is_the_decoder_s(name: str) -> None:
    state = opened(name)
    assert state.error is None
    assert state.text == TEXT
    assert state.trace.source.text == TEXT
    assert len(state.trace.tokens) == 4
    assert [state.tree.node(n).token for n in state.tree.line] == state.trace.tokens.ids[1:].tolist()
    state.go(1)
    assert len(state.trace.tokens) == 2
    assert state.text == TEXT
    state.append(40)
    assert state.trace.tokens.ids.tolist()[-1] == 40
    state.text = "another"
    assert state.trace.source.text == "another"
    assert len(state.trace.tokens) == 1


@pytest.mark.parametrize(
    "view", [AttentionView, EmbeddingView, FlowView, KVCacheView, MLPView, ResidualView, SamplingView, SoftmaxView]
)
def test_every_view_opens(view: type) -> None:
    shown = view(opened("t5"))
    assert shown.__panel__() is not None


def test_the_flow_says_why_it_is_not_drawn() -> None:
    view = FlowView(opened("bart"))
    view.__panel__()
    assert view.not_drawn.visible
    assert not view.picture.visible
    assert not view.picture.block
    assert "not drawn" in view.instead.heading


def test_cross_attention_is_the_trace_s_and_a_click_asks_why() -> None:
    state = opened("bart")
    view = AttentionView(state)
    view.__panel__()
    state.focus(layer=1, head=2)
    card = view.source
    assert card.panel.visible
    expected = state.trace.tensor("blocks.1.cross_pattern")[2].numpy()
    assert np.allclose(card.values["cross_pattern"], expected)
    assert list(card.heats["cross_pattern"].columns.labels) == state.trace.source.tokens.strings
    card._tap("cross_pattern", 2, 5)
    assert state.question.name == "blocks.1.cross_pattern"
    assert state.question.index == {"head": 2, "query": 2, "key": 5}
    assert state.query == 2
    assert state.trace.why(state.question.name, **state.question.index).check.ok


def test_the_stream_counts_what_cross_attention_writes() -> None:
    state = opened("pegasus")
    found = strips(state.trace, 1, 2)
    rows = {one.tensor.split(".")[-1]: one.values for one in found}
    assert np.allclose(rows["resid_mid"] + rows["cross_out"], rows["resid_mid_cross"], atol=1e-4)
    assert np.allclose(rows["resid_mid_cross"] + rows["mlp_out"], rows["resid_post"], atol=1e-4)
    wrote, onto = rows["mlp_out"], rows["resid_mid_cross"]
    cosine = float(wrote @ onto / np.linalg.norm(wrote) / np.linalg.norm(onto))
    measured = stream(state.trace)
    assert measured is not None
    assert measured.mlp_cosine[1, 2] == pytest.approx(cosine, abs=1e-5)
