"""What the MLP view sends to the browser is the trace's; its curve is the model's own; its writes add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.families import tiny
from txpanel.session.state import ModelState
from txpanel.views.mlp.data import (
    activate,
    column_sizes,
    curve,
    neurons,
    output_name,
    promoted,
    routing,
    strongest,
)
from txpanel.views.mlp.strips import inner_strips, mixture_strips, write_strips
from txpanel.views.mlp.view import MLPView

FAMILIES = [
    "gpt2",
    "llama",
    "gemma3_text",
    "gpt_neox",
    "gptj",
    "bloom",
    "mixtral",
    "gpt_oss",
    "deepseek_v3",
    "olmo2",
    "granite",
    "mpt",
]
TEXT = "the cat sat"


@pytest.fixture(scope="module", params=FAMILIES)
def trace(request: pytest.FixtureRequest) -> Any:
    return tiny(request.param).trace(TEXT)


def test_neurons_are_the_recorded_ones(trace: Any) -> None:
    for layer in range(3):
        found = neurons(trace, layer, 4)
        assert np.array_equal(found.x, trace.tensor(found.x_name)[found.at].numpy())
        assert np.array_equal(found.post, trace.tensor(f"blocks.{layer}.mlp_post")[found.at].numpy())
        assert (found.up is not None) == trace.anatomy.blocks[layer].gated


def test_the_points_lie_on_the_models_own_curve(trace: Any) -> None:
    found = neurons(trace, 1, 4)
    act = activate(trace, 1, found.x)
    assert act is not None
    product = act if found.up is None else act * found.up
    if trace.anatomy.blocks[1].gate_kind == "plain":
        assert np.allclose(product, found.post, rtol=1e-4, atol=1e-5)
    line = curve(trace, 1, found.x)
    assert line is not None
    assert line[0].min() <= found.x.min()
    assert line[0].max() >= found.x.max()
    assert np.array_equal(line[1], activate(trace, 1, line[0]))


@pytest.mark.parametrize(("family", "function"), [
    ("gpt2", lambda x: torch.nn.functional.gelu(x, approximate="tanh")), ("llama", torch.nn.functional.silu),
    ("gemma3_text", lambda x: torch.nn.functional.gelu(x, approximate="tanh")), ("gpt_neox", torch.nn.functional.gelu), ("opt", torch.relu),
    ("gpt_oss", lambda x: x.clamp(max=7) * torch.sigmoid(1.702 * x.clamp(max=7))),
])  # fmt: skip
def test_the_curve_is_the_published_function(family: str, function: Any) -> None:
    trace = tiny(family).trace(TEXT)
    x = np.linspace(-6, 6, 101, dtype=np.float32)
    assert np.allclose(activate(trace, 0, x), function(torch.from_numpy(x)).numpy(), atol=1e-5)


def test_the_strongest_neurons_write_most(trace: Any) -> None:
    found = neurons(trace, 1, 3)
    writers = strongest(trace, 1, found, k=6)
    down = trace.model.parts.blocks[1].maps["down"].matrix(found.expert)
    sizes = (down * torch.from_numpy(found.post)).norm(dim=0)
    best = sizes.topk(6)
    assert [w.neuron for w in writers] == best.indices.tolist()
    assert np.allclose([w.size for w in writers], best.values, rtol=1e-4)
    for writer in writers:
        assert np.array_equal(writer.direction, down[:, writer.neuron].numpy())
        assert writer.post == found.post[writer.neuron]
    assert np.allclose(column_sizes(trace.model, 1, found.expert), down.norm(dim=0), rtol=1e-5)


def test_the_writes_add_up_to_the_down_projection(trace: Any) -> None:
    found = neurons(trace, 1, 3)
    made = write_strips(trace, 1, found, strongest(trace, 1, found))
    name = output_name(trace, 1)
    at = next(i for i, s in enumerate(made) if s.tensor == name and not s.derived)
    total = np.sum([s.values.astype(np.float64) for s in made[:at]], axis=0)
    assert np.allclose(total, made[at].values, rtol=1e-3, atol=1e-4)
    assert np.array_equal(made[at].values, trace.tensor(name)[found.at].numpy())
    if found.expert is None:
        assert np.array_equal(made[-1].values, trace.tensor("blocks.1.mlp_out")[3].numpy())
        assert made[-1].strong


def test_inner_strips_are_rows_of_the_trace(trace: Any) -> None:
    found = neurons(trace, 2, 3)
    for strip in inner_strips(trace, 2, found):
        if not strip.derived:
            assert np.array_equal(strip.values, trace.tensor(strip.tensor)[tuple(strip.index.values())].numpy())


def test_promoted_tokens_are_a_product_with_the_models_unembedding() -> None:
    model = tiny("llama")
    writes = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    gain, matrix = model.model.model.norm.weight.detach(), model.model.lm_head.weight.detach()
    logits = (torch.from_numpy(writes) * gain) @ matrix.T
    for row, (up, down) in enumerate(promoted(model, 1, writes, k=4)):
        high, low = logits[row].topk(4), (-logits[row]).topk(4)
        assert [i for _t, _v, i in up] == high.indices.tolist()
        assert [t for t, _v, _i in up] == [model.tokens([int(i)]).strings[0] for i in high.indices]
        assert np.allclose([v for _t, v, _i in up], high.values, rtol=1e-4)
        assert np.allclose([v for _t, v, _i in down], -low.values, rtol=1e-4)


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss", "deepseek_v3", "qwen3_moe"])
def test_experts_add_up_to_what_is_added(family: str) -> None:
    trace = tiny(family).trace(TEXT)
    route = routing(trace, 2, 3)
    assert route is not None
    assert np.array_equal(route.logits, trace.tensor("blocks.2.router")[3].numpy())
    assert np.array_equal(route.chosen, trace.tensor("blocks.2.expert_index")[3].numpy())
    made = mixture_strips(trace, 2, 3)
    total = np.sum([s.values.astype(np.float64) for s in made[:-1]], axis=0)
    assert np.allclose(total, made[-1].values, rtol=1e-3, atol=1e-4)
    assert np.array_equal(made[-1].values, trace.tensor("blocks.2.mlp_out")[3].numpy())
    for slot in range(len(route.chosen)):
        assert neurons(trace, 2, 3, slot).expert == route.chosen[slot]


def test_a_single_mlp_has_no_router(trace: Any) -> None:
    single = trace.anatomy.blocks[0].experts is None
    assert (routing(trace, 0, 1) is None) == single
    assert (mixture_strips(trace, 0, 1) == []) == single


# -- the view -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_view_draws_the_focus(family: str) -> None:
    state = ModelState(model=tiny(family), text=TEXT)
    view = MLPView(state)
    view.__panel__()
    state.focus(layer=2, query=5)
    found = neurons(state.trace, 2, 5)
    points = view._curve.points.data_source.data
    assert np.array_equal(points["into"], found.x)
    assert np.array_equal(points["out"], activate(state.trace, 2, found.x))
    assert [row["neuron"] for row in view._list.neurons] == [w.neuron for w in strongest(state.trace, 2, found)]
    assert all(row["promotes"] and row["resists"] for row in view._list.neurons)
    assert view._shown["router"].visible == (state.trace.anatomy.blocks[2].experts is not None)
    for shown in view._shown.values():
        assert shown.tools._answer_csv()["text"]
    view.close()


def test_a_click_on_a_neuron_or_a_point_asks_why() -> None:
    state = ModelState(model=tiny("llama"), text=TEXT, layer=1)
    view = MLPView(state)
    view.__panel__()
    first = view._list.neurons[0]["neuron"]
    last = len(state.trace.tokens.ids) - 1
    for part, name in (("x", "mlp_gate"), ("up", "mlp_pre"), ("post", "mlp_post")):
        view._list._handle_msg({"neuron": first, "part": part})
        assert state.question is not None
        assert (state.question.name, dict(state.question.index)) == (
            f"blocks.1.{name}",
            {"token": last, "neuron": first},
        )
    view._list._handle_msg({"neuron": first, "part": "focus"})
    assert state.neuron == first == view._list.chosen
    view._list._handle_msg({"neuron": -4, "part": "x"})
    view._list._handle_msg({"token": -1})
    view._list._handle_msg("nonsense")
    assert state.question.name == "blocks.1.mlp_post"
    token = view._list.neurons[0]["promotes"][0][2]
    view._list._handle_msg({"token": token})
    assert (state.question.name, dict(state.question.index)) == ("logits", {"vocab": token})
    found = neurons(state.trace, 1, last)
    event = type("Tap", (), {"x": float(found.x[7]), "y": float(view._act[7])})
    view._curve._tapped(event, view._ask_neuron)
    assert state.neuron == 7
    assert state.question is not None
    assert state.question.index["neuron"] == 7


def test_another_expert_can_be_opened() -> None:
    state = ModelState(model=tiny("mixtral"), text=TEXT, layer=1)
    view = MLPView(state)
    view.__panel__()
    route = routing(state.trace, 1, state.query)
    assert route is not None
    assert view._found is not None
    assert view._found.expert == route.chosen[0]
    view._expert_picked(int(route.chosen[1]))
    assert view._found.expert == route.chosen[1]
    first, last = view._writers[0], state.query
    assert view._list.sizes
    view._list._handle_msg({"neuron": first.neuron, "part": "size"})
    question: Any = state.question
    where = {"token": last, "slot": 1, "neuron": first.neuron}
    assert (question.name, dict(question.index)) == ("blocks.1.mlp_post.write", where)
    found = state.trace.why(question.name, **question.index)
    assert found.check.ok
    assert found.value == pytest.approx(first.size, rel=1e-5)
    assert [first.neuron, "size"] in view._list.lights
    assert [first.neuron, "post"] in view._list.lights  # what it is made of
    view._expert_picked(int(route.chosen[0]))
    assert [first.neuron, "size"] not in view._list.lights  # that was the other expert's
    view._expert_picked(int(route.chosen[1]))
    assert state.question is not None
    assert dict(state.question.index) == {
        "token": state.query,
        "expert": int(route.chosen[1]),
    }


def test_the_view_stands_before_anything_has_run() -> None:
    view = MLPView(ModelState())
    view.__panel__()
    assert view._inner.rows == []
    assert view._shown["curve"].tools._answer_table()["rows"] == []
