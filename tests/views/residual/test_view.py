"""What the residual view sends to the browser is the trace's; the lens ends in the model's own logits."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from tests.families import tiny
from tests.sweeping import first
from txpanel.session.state import ModelState
from txpanel.views.distribution import Distribution
from txpanel.views.residual import view as view_module
from txpanel.views.residual.data import STATISTICS, lens, norms, stream
from txpanel.views.residual.strips import strips
from txpanel.views.residual.view import ResidualView

FAMILIES = [
    "gpt2",
    "llama",
    "gemma3_text",
    "gpt_neox",
    "gptj",
    "bloom",
    "olmo2",
    "opt-350m",
    "mixtral",
    "deepseek_v3",
    "gemma2",
    "granite",
]
TEXT = "the cat sat on"


@pytest.fixture(scope="module", params=FAMILIES)
def trace(request: pytest.FixtureRequest) -> Any:
    return tiny(request.param).trace(TEXT)


def test_norms_and_directions_are_those_of_the_recorded_vectors(trace: Any) -> None:
    found = stream(trace)
    assert found is not None
    for layer in range(3):
        p = f"blocks.{layer}."
        before, attn, mlp = (trace.tensor(p + name).double() for name in ("resid_pre", "attn_out", "mlp_out"))
        middle = trace.tensor(p + "resid_mid").double() if p + "resid_mid" in trace else before
        assert np.allclose(found.size[layer], before.norm(dim=-1), rtol=1e-6)
        assert np.allclose(found.attn[layer], attn.norm(dim=-1))
        assert np.allclose(found.mlp[layer], mlp.norm(dim=-1))
        assert np.allclose(found.attn_cosine[layer], torch.cosine_similarity(attn, before, dim=-1), atol=1e-6)
        assert np.allclose(found.mlp_cosine[layer], torch.cosine_similarity(mlp, middle, dim=-1), atol=1e-6)
    assert np.allclose(found.size[3], trace.tensor("blocks.2.resid_post").double().norm(dim=-1))


def test_statistics_are_the_norms_own(trace: Any) -> None:
    found = stream(trace)
    assert found is not None
    assert list(found.stats) == norms(trace)
    for norm, kinds in found.stats.items():
        for kind in STATISTICS:
            for layer in range(3):
                name = f"blocks.{layer}.{norm}.{kind}"
                if name in trace:
                    assert np.array_equal(kinds[kind][layer], trace.tensor(name).numpy().astype(np.float64))
                else:
                    assert np.isnan(kinds[kind][layer]).all()
    assert set(found.final) == {kind for kind in STATISTICS if f"ln_final.{kind}" in trace}


def test_the_lens_ends_in_the_models_own_logits(trace: Any) -> None:
    last = len(trace.tokens.ids) - 1
    found = lens(trace, last, positions=4)
    assert found is not None
    assert found.positions == (last - 3, last - 2, last - 1, last)
    share = Distribution(trace.logits.values).probabilities
    best = int(trace.logits.values.argmax())
    assert found.ids[-1, -1] == best
    assert found.top[-1, -1] == share[best]
    assert found.listed[-1][0][1] == share.max()
    assert found.rank[-1] == 1
    assert found.bits[-1, -1] == Distribution(trace.logits.values).entropy
    model = trace.model.model
    with torch.inference_mode():  # an independent road: the whole model on the text, all positions
        whole = model(torch.as_tensor(trace.tokens.ids)[None]).logits[0].float()
    assert found.ids[-1].tolist() == whole[list(found.positions)].argmax(-1).tolist()


def test_the_lens_of_every_layer_is_the_traces(trace: Any) -> None:
    found = lens(trace, 5, positions=3)
    assert found is not None
    for layer in range(4):
        for column, position in enumerate(found.positions):
            share = Distribution(trace.lens(layer, position).values).probabilities
            assert found.top[layer, column] == pytest.approx(share.max(), rel=1e-4)
            assert share[found.ids[layer, column]] == pytest.approx(share.max(), rel=1e-4)


def test_entropy_is_in_bits() -> None:
    assert Distribution(np.zeros(8, np.float32)).entropy == pytest.approx(3)
    assert Distribution(np.array([0.0, -np.inf], np.float32)).entropy == 0


def test_strips_are_rows_of_the_trace_and_add_up(trace: Any) -> None:
    made = {s.note: s for s in strips(trace, 1, 3)}
    for strip in made.values():
        assert np.array_equal(strip.values, trace.tensor(strip.tensor)[3].numpy())
    if trace.anatomy.blocks[1].norm_place != "post":
        total = made["resid_pre"].values + made["attn_out"].values + made["mlp_out"].values
        assert np.allclose(total, made["resid_post"].values, rtol=1e-3, atol=1e-3)


def test_both_stop_when_nobody_wants_them(trace: Any) -> None:
    stop = threading.Event()
    stop.set()
    assert stream(trace, stop) is None
    assert lens(trace, 2, stop=stop) is None


def test_progress_is_told_block_by_block(trace: Any) -> None:
    told: list[tuple[int, int]] = []
    stream(trace, tell=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


# -- the view -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", first(3, FAMILIES))
def test_the_view_draws_the_focus(family: str) -> None:
    state = ModelState(model=tiny(family), text=TEXT)
    view = ResidualView(state)
    view.__panel__()
    state.focus(layer=1, query=5)
    found, seen = stream(state.trace), lens(state.trace, 5)
    assert found is not None
    assert seen is not None
    up, down = view._writes.up.data_source.data, view._writes.down.data_source.data
    assert np.array_equal(up["size"], found.attn[:, 5].astype(np.float32))
    assert np.array_equal(down["size"], found.mlp[:, 5].astype(np.float32))
    assert np.allclose(up["top"] ** 2, up["size"], rtol=1e-4)
    assert np.allclose(down["bottom"] ** 2, down["size"], rtol=1e-4)
    assert np.array_equal(view._cosines.curves[0].data_source.data["value"], found.attn_cosine[:, 5].astype(np.float32))
    assert np.array_equal(view._grid.values, seen.top.astype(np.float32))
    assert view._grid.words == seen.strings
    assert np.array_equal(view._sizes.values, found.size.astype(np.float32))
    assert np.array_equal(view._share.curves[0].data_source.data["value"], seen.share.astype(np.float32))
    assert view._writes.here.location == 1
    for shown in view._shown.values():
        assert shown.tools._answer_csv()["text"]
    view.close()


def test_clicks_focus_and_ask() -> None:
    state = ModelState(model=tiny("gpt2"), text=TEXT)
    view = ResidualView(state)
    view.__panel__()
    last = len(state.trace.tokens.ids) - 1
    for kind, layer, norm, name in (
        ("var", 2, "ln1", "blocks.2.ln1.var"), ("var", 2, "ln2", "blocks.2.ln2.var"), ("mean", 3, "ln_final", "ln_final.mean"),
    ):  # fmt: skip
        shown = view._stats[kind]
        (height,) = (
            p.data_source.data["value"][layer] for p in shown.points if p.data_source.data["name"][layer] == norm
        )
        view._stat_tapped(kind, layer, height)
        assert state.layer == min(layer, 2)
        assert (state.question.name, dict(state.question.index)) == (name, {"token": last})
    for row, column, name in ((3, last, "probs"), (3, 6, "lens.3.6.probs"), (1, 4, "lens.1.4.probs")):
        shown = view._grid.values[row, column - view._lens.positions[0]]
        view._lens_tapped(row, column)
        assert (state.layer, state.query) == (min(row, 2), column)
        assert state.question.name == name
        found = state.trace.why(name, **state.question.index)
        assert found.check.ok
        assert found.value == pytest.approx(shown, rel=1e-4)
        assert state.question.index["vocab"] == int(state.trace.lens(row, column).values.argmax())
        at = view._lens.positions[0]
        assert (row, column) in zip(view._grid.lit.data["y"], view._grid.lit.data["x"], strict=True)
        assert column - at == view._lens.ids.shape[1] - 1


@pytest.mark.parametrize("family", ["gpt2", "gptj", "gemma2", "olmo2"])
def test_lengths_cosines_and_shares_are_asked_for_and_are_those_on_screen(family: str) -> None:
    state = ModelState(model=tiny(family), text=TEXT)
    view: Any = ResidualView(state)
    view.__panel__()
    state.focus(query=4)

    def asked(name: str, index: dict[str, int], shown: float) -> None:
        assert state.question is not None
        assert (state.question.name, dict(state.question.index)) == (name, index)
        found = state.trace.why(name, **index)
        assert found.check.ok
        assert found.value == pytest.approx(float(shown), rel=1e-4, abs=1e-6)

    found = view._stream
    for row, part, shown in ((0, "blocks.0.resid_pre", found.size[0, 2]), (3, "blocks.2.resid_post", found.size[3, 2])):
        view._size_tapped(row, 2)
        assert (state.layer, state.query) == (min(row, 2), 2)
        asked(f"{part}.norm", {"token": 2}, shown)
        assert (row, 2) in zip(view._sizes.lit.data["y"], view._sizes.lit.data["x"], strict=True)
    for part, height, size, turn in (
        ("attn_out", 0.2, found.attn, found.attn_cosine),
        ("mlp_out", -0.2, found.mlp, found.mlp_cosine),
    ):
        view._write_tapped(1, height)
        assert state.layer == 1
        asked(f"blocks.1.{part}.norm", {"token": 2}, size[1, 2])
        assert view._writes.lit.data["x"] == [1]
        assert np.square(view._writes.lit.data["y"]) == pytest.approx([size[1, 2]], rel=1e-4)
        view._cosine_tapped(1, float(turn[1, 2]))
        asked(f"blocks.1.{part}.cosine", {"token": 2}, turn[1, 2])
        assert view._cosines.lit.data == {"x": [1], "y": [pytest.approx(float(turn[1, 2]), rel=1e-4)]}
        assert view._writes.lit.data["x"] == []
    choice = int(state.trace.lens(3, 2).values.argmax())
    for layer in (1, 3):
        view._share_tapped(layer, 0.0)
        asked(f"lens.{layer}.2.probs", {"vocab": choice}, view._lens.share[layer])
        assert view._share.lit.data["x"] == [layer]
    state.ask("blocks.1.ln1.scale" if "blocks.1.ln1.scale" in state.trace else "blocks.1.attn_norm.scale", token=2)
    assert view._stats["scale"].lit.data["x"] == view._stats["var"].lit.data["x"] == [1]  # the scale, and its variance
    state.focus(layer=1)
    row = next(i for i, strip in enumerate(view._strips.strips) if strip.tensor == "blocks.1.attn_out")
    view._strips._handle_msg({"row": row, "index": -1})
    asked("blocks.1.attn_out.norm", {"token": 2}, found.attn[1, 2])
    assert -1 in view._strips.lights[row]
    view.close()


def test_the_view_stands_before_anything_has_run() -> None:
    view = ResidualView(ModelState())
    view.__panel__()
    assert view._strips.rows == []
    assert view._shown["writes"].tools._answer_table()["rows"] == []


def test_nothing_is_drawn_before_there_are_numbers() -> None:
    """Pictures stand while their numbers are computed: empty, without a made-up scale."""
    view: Any = ResidualView(ModelState())
    view.__panel__()
    pictures = (view._sizes, view._grid, view._writes, view._cosines, view._share)
    for figure in (picture.figure for picture in pictures):
        assert not figure.renderers[0].visible
        assert not any(axis.visible for axis in figure.axis)
    view.state.param.update(model=tiny("llama"))
    view.state.text = TEXT
    assert view._writes.figure.axis[0].visible
    assert view._writes.up.visible
    view.close()


def test_a_lens_is_worked_out_once_for_all_who_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(trace: Any, position: int, **how: Any) -> Any:
        asked.append(position)
        return lens(trace, position, **how)

    monkeypatch.setattr(view_module, "lens", counted)
    model = tiny("llama")
    states = [ModelState(model=model, text="the once seen text") for _each in range(2)]
    views = [ResidualView(state) for state in states]
    for view in views:
        view.__panel__()
    first = states[0].query
    assert asked == [first]
    seen = lens(states[1].trace, first)
    assert seen is not None
    assert np.array_equal(views[1]._grid.values, seen.top.astype(np.float32))
    states[1].focus(query=0)
    states[0].focus(query=0)
    states[0].focus(query=first)
    assert asked == [first, 0]


def test_figures_below_the_window_are_made_when_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rest: list[Any] = []
    monkeypatch.setattr(view_module, "one_by_one", lambda _column, builders, _said, _guard: rest.extend(builders))
    state = ModelState(model=tiny("llama"), text=TEXT)
    view = ResidualView(state)
    view.__panel__()
    assert view._grid is view._share is view._sizes is None
    assert not view._stats
    state.focus(layer=1, query=2)
    for build in rest:
        build()
    assert view._stream is not None
    assert view._lens is not None
    assert np.array_equal(view._sizes.values, view._stream.size.astype(np.float32))
    assert np.array_equal(view._grid.values, view._lens.top.astype(np.float32))
    assert np.array_equal(view._share.curves[0].data_source.data["value"], view._lens.share.astype(np.float32))
    assert view._share.here.location == 1
    assert view._stats["var"].curves[0].data_source.data["value"].size
