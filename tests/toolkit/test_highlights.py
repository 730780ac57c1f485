"""The cell that the open "why" card is about, and those of its operands, light up in every picture that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState
from txpanel.toolkit.bars import CLEAR
from txpanel.views.attention.view import AttentionView
from txpanel.views.base import View
from txpanel.views.mlp.view import MLPView
from txpanel.views.residual.view import ResidualView
from txpanel.views.softmax.view import SoftmaxView

TEXT = "CBABBC="
Make = Callable[..., Any]


@pytest.fixture
def make(nano: LanguageModel) -> Iterator[Make]:
    made: list[View] = []

    def view(kind: type[View], **params: Any) -> Any:
        shown = kind(ModelState(model=nano, text=TEXT, **params))
        shown.__panel__()
        made.append(shown)
        return shown

    yield view
    for one in made:
        one.close()


def lit(heat: Any) -> set[tuple[int, int]]:
    """Row and column of the cells that are framed."""
    return set(zip(heat.lit.data["y"], heat.lit.data["x"], strict=True))


def test_a_weight_lights_itself_its_score_and_its_bars(make: Make) -> None:
    view = make(AttentionView, head=1)
    view.state.focus(query=5, key=2)
    view.state.ask("blocks.0.pattern", head=1, query=5, key=2)
    assert lit(view.maps.heats["pattern"]) == lit(view.maps.heats["masked"]) == {(5, 2)}
    assert (
        lit(view.maps.heats["scores"]) == set()
    )  # its operand is the masked score; the score before is one step further
    (top, left) = view.all_heads.mosaic.corners[1]
    assert lit(view.all_heads.heat) == {(top + 5, left + 2)}
    for bars, tensor in ((view.sides.look_at, "[1, 5, 2]"), (view.sides.looked_at, "[1, 5, 2]")):
        shining = [
            t for t, line in zip(bars.source.data["tensor"], bars.source.data["line"], strict=True) if line != CLEAR
        ]
        assert shining == [f"blocks.0.pattern{tensor}"]


def test_a_score_lights_the_numbers_of_query_and_key(make: Make) -> None:
    view = make(AttentionView, head=1)
    view.state.ask("blocks.0.scores", head=1, query=5, key=2)
    found = view.state.trace.why("blocks.0.scores", head=1, query=5, key=2)
    largest = {term.sources[0].index["dim"] for term in found.terms[:8]}
    assert lit(view.qkv.heats["q"]) == {(5, dim) for dim in largest}
    assert lit(view.qkv.heats["k"]) == {(2, dim) for dim in largest}
    assert lit(view.qkv.heats["v"]) == set()
    view.state.ask("blocks.0.z", head=1, token=5, dim=3)
    assert lit(view.z.heats["z"]) == {(5, 3)}
    assert lit(view.qkv.heats["v"]) == {(token, 3) for token in range(6)}
    assert lit(view.maps.heats["pattern"]) == {(5, token) for token in range(6)}
    view.state.ask("blocks.0.result", head=2, token=view.state.query, feature=3)
    shares = view.shares.bars.source.data
    assert [line != CLEAR for line in shares["line"]] == [False, False, True]


def test_lights_follow_head_block_and_the_end_of_the_question(make: Make) -> None:
    view = make(AttentionView, head=1)
    view.state.ask("blocks.0.pattern", head=1, query=5, key=2)
    for elsewhere in ({"head": 0}, {"head": 1, "layer": 1}):
        view.state.focus(**elsewhere)
        assert lit(view.maps.heats["pattern"]) == set()
    view.state.focus(layer=0, head=1)
    assert lit(view.maps.heats["pattern"]) == {(5, 2)}
    view.state.dismiss()
    assert lit(view.maps.heats["pattern"]) == lit(view.all_heads.heat) == set()


def test_logits_neurons_and_lanes_light_too(make: Make) -> None:
    softmax = make(SoftmaxView)
    best = softmax.table.rows[0]["id"]
    softmax.state.ask("logits", vocab=best)
    assert softmax.table.lights == [[best, "logits"]]
    softmax.position = 2  # the distribution of another token: another number
    assert softmax.table.lights == []
    mlp = make(MLPView)
    neuron = mlp._list.neurons[0]["neuron"]
    mlp.state.ask("blocks.0.mlp_post", token=mlp.state.query, neuron=neuron)
    assert [neuron, "post"] in mlp._list.lights
    assert [neuron, "x"] in mlp._list.lights  # what its activation is made of
    residual = make(ResidualView)
    residual._blocks.wait()
    residual.state.ask("blocks.1.resid_pre", token=4, feature=2)
    assert (1, 4) in lit(residual._sizes)
