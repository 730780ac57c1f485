"""Every view on models that are only partly opened: it says what a block has instead, sends real numbers, and never raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.partly_open import ODD, partly_open
from tests.views.declared_flow import FLOW
from tests.views.sent import sent
from tests.views.test_every_array import VIEWS, problems
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState
from txpanel.toolkit.instead import instead_words
from txpanel.toolkit.part_words import blocks_named
from txpanel.tracing import open_trace
from txpanel.views.attention.view import AttentionView
from txpanel.views.flow import data
from txpanel.views.flow.table import tables
from txpanel.views.flow.view import FlowView
from txpanel.views.flow.window import Window
from txpanel.views.flow.words import no_heads
from txpanel.views.kv_cache.data import kept, step_is_counted
from txpanel.views.kv_cache.view import KVCacheView
from txpanel.views.mlp.view import MLPView
from txpanel.views.residual.data import stream
from txpanel.views.residual.view import ResidualView
from txpanel.views.residual.words import first_writes
from txpanel.views.why.data import card
from txpanel.views.why.view import WhyCard

TEXT = "the cat sat"
MODELS = (ODD, "jamba", "mamba", "rwkv", "nemotron_h")
"""Closed attention and MLP of a known family; attention and Mamba by turns; Mamba alone; whole blocks; mixers and MLPs in blocks of their own."""

model = cache(partly_open)


@pytest.fixture(params=MODELS)
def opened(request: pytest.FixtureRequest) -> LanguageModel:
    return model(request.param)


@pytest.fixture
def build() -> Iterator[Callable[..., Any]]:
    views: list[Any] = []

    def make(kind: Any, name: str = ODD, **params: Any) -> Any:
        view = kind(ModelState(model=model(name), text=TEXT, **params))
        view.__panel__()
        views.append(view)
        return view

    yield make
    for view in views:
        view.close()


def said(paragraphs: list[list[tuple[str, str]]]) -> str:
    return " ".join("".join(text for _kind, text in paragraph) for paragraph in paragraphs)


DRAWN = (FlowView, AttentionView, MLPView, ResidualView)
"""Views that look into blocks."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in (ODD, "rwkv") for kind in (*VIEWS, WhyCard)]
    + [(name, kind) for name in ("jamba", "nemotron_h") for kind in DRAWN],
)
def test_no_view_raises_on_any_block(name: str, kind: Any) -> None:
    opened = model(name)
    state = ModelState(model=opened, text=TEXT, head=3)
    view = kind(state)
    view.__panel__()
    for layer in (*range(opened.anatomy.n_layers), 0):
        state.focus(layer=layer, head=3, neuron=7)
        block = opened.anatomy.blocks[layer]
        assert state.head <= max(0, block.n_heads - 1)
        assert state.neuron <= max(0, block.n_neurons - 1)
    state.append()
    assert state.error is None
    view.close()


@pytest.mark.parametrize(("name", "layer"), [(ODD, 0), (ODD, 1), ("jamba", 0), ("rwkv", 0), ("rwkv", 1)])
def test_every_array_of_the_flow_is_what_the_run_says(name: str, layer: int) -> None:
    view = FlowView(ModelState(model=model(name), text=TEXT, layer=layer, head=1, key=3))
    arrays = sent(view)
    assert len(arrays) > 5
    assert problems(view, arrays) == []
    assert FLOW
    view.close()


def test_what_a_closed_part_reads_and_writes_is_drawn_and_nothing_in_between(opened: LanguageModel) -> None:
    trace = opened.trace(TEXT)
    window = Window.around(len(trace.tokens), 0)
    for layer, block in enumerate(opened.anatomy.blocks):
        found = data.block_payload(trace, layer, window)
        for part, about in found["closed"].items():
            if part in ("mixer", "mlp", "block"):
                for name in (about["reads"], about["writes"]):
                    expected = trace.tensor(f"blocks.{layer}.{name}").numpy()
                    assert np.array_equal(found[name]["value"], expected)
                module = opened.model.get_submodule(block.modules[part])
                size = sum(parameter.numel() for parameter in module.parameters())
                assert about["module"].startswith(f"{block.modules[part]} ({type(module).__name__}, {size:,} parameter")
                assert (
                    about["reason"].rstrip(".")
                    == block.opaque[part].strip().rstrip(".")[0].upper() + block.opaque[part].rstrip(".")[1:]
                )
        head = data.head_payload(trace, layer, 0, window)
        assert ("pattern" in head) == block.has_attention
        assert ("z_norm" in found) == block.has_attention
        assert ("mlp_post" in found or "experts" in found) == block.has_mlp
        assert len(data.layer_payload(trace, layer, 8)["label"]) == block.n_heads


def test_norms_of_writes_add_up_to_the_stream(opened: LanguageModel) -> None:
    """What the chart says a block of one part adds is the difference that the untouched model makes to the stream."""
    trace = opened.trace(TEXT)
    added: list[Any] = []

    def seen(_module: Any, args: Any, kwargs: Any, output: Any) -> None:
        before, after = args[0] if args else kwargs["hidden_states"], output[0] if isinstance(output, tuple) else output
        added.append((after - before)[0].detach().norm(dim=-1).numpy())

    hooks = [part.block.register_forward_hook(seen, with_kwargs=True) for part in opened.parts.blocks]
    opened.model(torch.tensor([trace.tokens.ids.tolist()]))
    for hook in hooks:
        hook.remove()
    found = stream(trace)
    assert found is not None
    for layer, block in enumerate(opened.anatomy.blocks):
        wrote = data.write_norms(trace, layer)
        assert ("attn" in wrote) == block.has_mixer or "block" in block.opaque
        assert np.isnan(found.attn[layer]).all() != ("attn" in wrote)
        assert np.isnan(found.mlp[layer]).all() != ("mlp" in wrote)
        for part, lengths in (("attn", found.attn), ("mlp", found.mlp)):
            if part in wrote:
                np.testing.assert_allclose(wrote[part], lengths[layer], rtol=1e-5)
        if len(wrote) == 1:
            np.testing.assert_allclose(next(iter(wrote.values())), added[layer], rtol=1e-4)


def test_attention_and_mlp_say_what_is_there_and_go_where_they_are(build: Callable[..., Any]) -> None:
    view = build(AttentionView, ODD, layer=0)
    words = view.instead.words
    assert view.instead.panel.visible
    assert not view.cards.visible
    assert words.heading == "The attention of block 1 is not opened"
    assert "OddAttention, 3,072 parameters" in said(words.paragraphs)
    assert words.actions == [["Go to block 2", 1]]
    assert [strip.tensor for strip in view.instead.strips.strips] == ["blocks.0.mixer_in", "blocks.0.mixer_out"]
    words._handle_msg({"go": 1})
    assert (view.state.layer, view.cards.visible, view.instead.panel.visible) == (1, True, False)
    words._handle_msg({"go": 99})
    words._handle_msg({"go": "1"})
    assert view.state.layer == 1

    mlp = build(MLPView, ODD, layer=1)
    assert mlp._instead.words.heading == "The MLP of block 2 is not opened"
    mlp.state.focus(layer=2)
    assert (mlp._card.visible, mlp._instead.panel.visible) == (True, False)


@pytest.mark.parametrize(
    ("name", "part", "heading", "words"),
    [
        ("jamba", "mixer", "Block 1 has no attention", "Here Mamba moves information between tokens."),
        ("mamba", "mlp", "Block 1 has no MLP", "This block has only Mamba and no MLP"),
        ("mamba", "mixer", "Block 1 has no attention", "Attention is not opened in any block of this model"),
        ("rwkv", "mixer", "Block 1 has no attention", "RWKV reads the text in order"),
        ("rwkv", "mlp", "The MLP of block 1 is not opened", "run as a whole"),
    ],
)
def test_the_words_say_what_stands_there(name: str, part: str, heading: str, words: str) -> None:
    found, paragraphs, actions = instead_words(model(name).trace(TEXT), 0, part)
    assert found == heading
    assert words in said(paragraphs)
    assert bool(actions) == any(
        block.has_attention if part == "mixer" else block.has_mlp for block in model(name).anatomy.blocks
    )


def test_an_mlp_alone_is_no_closed_part() -> None:
    trace = model("nemotron_h").trace(TEXT)
    heading, paragraphs, actions = instead_words(trace, 1, "mixer")
    assert heading == "Block 2 has no attention"
    assert "no information moves between tokens" in said(paragraphs)
    assert "Why" not in said(paragraphs)
    assert actions == [["Go to block 3", 2]]
    assert no_heads(trace, 1)["goes"] == ["Go to block 3", 2]
    assert no_heads(trace, 2) == {}


@pytest.mark.parametrize("name", ["jamba", "mamba"])
def test_only_what_is_kept_is_counted(build: Callable[..., Any], name: str) -> None:
    view = build(KVCacheView, name)
    trace = view.state.trace
    assert not step_is_counted(trace)
    assert view.map.costs == {}
    assert kept(trace) == []
    assert view.nothing.visible
    assert "runs each text of this model from the start" in said(view.instead.paragraphs)
    assert view._rows().rows is not None


def test_a_closed_attention_keeps_its_neighbours_keys(build: Callable[..., Any]) -> None:
    """The llama's own blocks have keys and values; the block whose attention nobody can read keeps none, and no number is made up for it."""
    view = build(KVCacheView, ODD)
    held = kept(view.state.trace)
    if not held:  # the model is read anew each time: then nothing is drawn
        assert view.nothing.visible
        return
    assert held[0] is None
    assert [each["kept"] for each in view.map.blocks] == [0, 11, 11]
    assert "no keys and values" in view.map.blocks[0]["label"]


def test_the_card_of_a_closed_cell_names_its_module_and_its_inputs(build: Callable[..., Any]) -> None:
    view = build(WhyCard, ODD)
    view.state.ask("blocks.0.mixer_out", token=2, feature=5)
    (shown,) = view.cards.cards
    assert shown["terms"] == []
    assert shown["check"]["ok"]
    assert shown["check"]["label"] == "run again: same number"
    assert "model.layers.0.self_attn (OddAttention, 3,072 parameters)" in shown["closed"]["said"][0]
    assert [one["label"] for one in shown["closed"]["inputs"]] == ["mixer_in"]
    view._on_message({"do": "input", "card": 0, "at": 0})
    assert view.state.question.name == "blocks.0.mixer_in"
    assert view.state.question.index["token"] == 2
    view._on_message({"do": "input", "card": 0, "at": 5})
    assert view.state.question.name == "blocks.0.mixer_in"


def test_a_module_that_gives_another_number_is_noticed() -> None:
    changed = partly_open(ODD)
    trace = changed.trace(TEXT)
    trace.tensor("blocks.0.mixer_out")  # the block is looked into; afterwards somebody changes it
    with torch.no_grad():
        changed.model.model.layers[0].self_attn.packed.mul_(1.01)
    shown, _vectors, found = card(trace, "blocks.0.mixer_out", {"token": 3, "feature": 1})
    assert found is not None
    assert shown["check"] is None or not shown["check"]["ok"]


def test_what_a_whole_block_adds_is_a_difference() -> None:
    name = next((name for name in ("rwkv", "falcon_h1") if "block" in model(name).anatomy.blocks[0].opaque), None)
    assert name is not None
    shown, _vectors, found = card(model(name).trace(TEXT), "blocks.0.block_out", {"token": 1, "feature": 2})
    assert found is not None
    assert found.opaque is None
    assert shown["check"]["ok"]
    assert len(shown["terms"]) == 2


def test_the_tables_of_the_flow_say_what_is_in_each_block() -> None:
    state = ModelState(model=model("jamba"), text=TEXT, layer=0)
    table = tables(state, Window.around(len(state.trace.tokens), 0), {})
    assert not [head for head in table.columns if head.startswith("attention weights of")]
    writes = table.more[-1]
    assert writes.columns[1] == first_writes(state.trace.anatomy) == "token mixer output"
    assert [row[-1].split(" ")[0] for row in writes.rows] == ["Mamba", "attention", "Mamba", "attention"]


@pytest.mark.parametrize("name", [ODD, "rwkv"])
def test_a_saved_run_shows_the_same(name: str, tmp_path: Path) -> None:
    path, opened = tmp_path / "run.safetensors", model(name)
    before = opened.trace(TEXT)
    before.save(path)
    state = ModelState(trace=open_trace(path))
    for kind in DRAWN:
        view = kind(state)
        view.__panel__()
        for layer in range(opened.anatomy.n_layers):
            state.focus(layer=layer)
        view.close()
    made = "blocks.0.mixer_out" if name == ODD else "blocks.0.resid_post"
    shown, _vectors, found = card(state.trace, made, {"token": 1, "feature": 0})
    assert found is not None
    assert found.value == pytest.approx(float(before.tensor(made)[1, 0]), rel=1e-6)
    assert shown["check"] is None  # nothing was called, and nothing is claimed
    assert "without the model" in shown["closed"]["again"]
    heading, paragraphs, _actions = instead_words(state.trace, 0, "mixer")
    assert (heading, said(paragraphs)) == (lambda words: (words[0], said(words[1])))(instead_words(before, 0, "mixer"))


def test_blocks_are_named_as_people_say_them() -> None:
    assert blocks_named([4]) == "block 5"
    assert blocks_named([0, 1, 2, 3, 8]) == "blocks 1–4, 9"
    assert blocks_named([0, 1, 3]) == "blocks 1, 2, 4"
