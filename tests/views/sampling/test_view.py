"""The sampling view: what it sends to the browser, and what it does with what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from txpanel.decoding.beams import beam_search
from txpanel.models.language_model import LanguageModel
from txpanel.sampling import PRESETS, STAGES, sample, uniform
from txpanel.session.state import ModelState
from txpanel.views.sampling.view import SamplingView


@pytest.fixture
def view(tiny: Callable[[str], LanguageModel]) -> Iterator[SamplingView]:
    made = SamplingView(
        ModelState(model=tiny("llama"), text="the cat sat", temperature=0.8, top_k=50, top_p=0.9, seed=3)
    )
    made.__panel__()
    yield made
    made.close()


def expected(view: SamplingView) -> Any:
    state = view.state
    return sample(state.trace.logits, state.settings, state.trace.tokens.ids)


def agrees(view: SamplingView) -> None:
    found, bench = expected(view), view.bench
    assert bench.answer["token"] == found.token
    assert bench.answer["kept"] == [stage.kept for stage in found.stages]
    assert bench.settings["uniform"] == found.draw.uniform == uniform(view.state.seed)
    assert bench.settings["seed"] == view.state.seed


def test_the_models_own_preset_names_what_it_leaves_out(view: SamplingView, monkeypatch: pytest.MonkeyPatch) -> None:
    config = GenerationConfig(do_sample=True, temperature=0.6, suppress_tokens=[5, 7], eos_token_id=2)
    monkeypatch.setattr(view.state.model.model, "generation_config", config)
    view.state.text = "the cat sat on"
    own = view.bench.presets[-1]
    assert (own["key"], own["values"]["temperature"]) == ("own", 0.6)
    assert own["left_out"] == ["suppress_tokens = [5, 7]: tokens that are never generated"]
    assert "without the settings named below" in own["title"]
    assert all(not preset["left_out"] for preset in view.bench.presets[:-1])


def test_all_logits_travel_and_the_likeliest_are_named(view: SamplingView) -> None:
    logits = view.state.trace.logits.values
    np.testing.assert_array_equal(view.bench.logits, logits)
    assert view.bench.logits.dtype == np.float32
    best = np.argsort(-logits, kind="stable")
    named = dict(view.bench.names)
    assert [named[token] for token in best[:20].tolist()] == list(view.state.model.tokens(best[:20].tolist()).strings)
    assert view.bench.text["ids"] == view.state.trace.tokens.ids.tolist()
    assert "".join(view.bench.text["names"]) == view.state.text
    assert view.bench.uniforms.tolist() == [uniform(seed) for seed in range(1000)]
    agrees(view)


def test_a_moved_slider_runs_no_model(view: SamplingView, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, version = view.state.trace, view.bench.version
    monkeypatch.setattr(view.state.model.model, "forward", lambda *_a, **_k: pytest.fail("the model ran"))
    for values in (
        {"temperature": 1.7}, {"top_k": 3}, {"top_p": 0.4}, {"min_p": 0.2}, {"repetition_penalty": 1.3},
        {"no_repeat_ngram_size": 2}, {"typical_p": 0.5}, {"temperature": 0},
    ):  # fmt: skip
        view._on_message("set", {**values, "kind": "set"})
        agrees(view)
    assert view.state.trace is trace
    assert view.bench.version == version  # the logits are not sent again


def test_settings_from_elsewhere_arrive(view: SamplingView) -> None:
    view.state.param.update(temperature=1.3, top_p=0.7, seed=11)
    agrees(view)
    assert view.bench.settings["temperature"] == 1.3


def test_another_seed_draws_another_number(view: SamplingView) -> None:
    before = view.bench.settings["uniform"]
    view._on_message("seed", {"seed": 4})
    assert view.state.seed == 4
    assert view.bench.settings["uniform"] != before
    agrees(view)


def test_the_drawn_token_is_appended(view: SamplingView) -> None:
    token = view.bench.answer["token"]
    before = view.state.trace.tokens.ids.tolist()
    view._on_message("append", {"token": token})
    assert view.state.trace.tokens.ids.tolist() == [*before, token]
    np.testing.assert_array_equal(view.bench.logits, view.state.trace.logits.values)
    agrees(view)


def test_a_click_on_a_logit_opens_its_card(view: SamplingView) -> None:
    view._on_message("why", {"token": 7})
    assert (view.state.question.name, dict(view.state.question.index)) == ("logits", {"vocab": 7})


def test_a_probability_the_others_and_the_uncertainty_are_asked_for(view: SamplingView) -> None:
    trace = view.state.trace
    probabilities = torch.from_numpy(trace.logits.values).double().softmax(-1).numpy()
    order = (-probabilities).argsort(kind="stable")
    listed = [*order[:12].tolist(), int(order[100]), int(order[50])]
    for message, name, value in (
        ({"tensor": "probs", "token": 7}, "probs", probabilities[7]),
        ({"tensor": "probs.entropy"}, "probs.entropy", -(probabilities * np.log2(probabilities)).sum()),
        ({"tensor": "others", "listed": listed[:12]}, "probs.others.12", 1 - probabilities[listed[:12]].sum()),
        (
            {"tensor": "others", "listed": listed},
            f"probs.others.12.{min(listed[12:])}.{max(listed[12:])}",
            1 - probabilities[listed].sum(),
        ),
    ):
        view._on_message("why", message)
        question = view.state.question
        assert question.name == name
        found = trace.why(question.name, **question.index)
        assert found.check.ok
        assert found.value == pytest.approx(value, rel=1e-4)
        assert [message.get("token", -1), message["tensor"]] in view.bench.lights
    view.state.dismiss()
    assert view.bench.lights == []
    view._on_message("why", {"tensor": "probs", "token": 7})
    assert [7, "logits"] in view.bench.lights  # what it is made of
    before = view.state.question
    for nonsense in (
        {"tensor": "tokens", "token": 7},
        {"tensor": "probs", "token": "x"},
        {"tensor": "others", "listed": 3},
        {"tensor": "others"},
    ):
        view._on_message("why", nonsense)
    assert view.state.question is before


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("set", {"temperature": "hot", "top_k": None, "top_p": float("nan"), "min_p": True}),
        ("set", {"temperature": -5.0, "top_k": -3, "top_p": 7, "min_p": 9}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": "x"}),
        ("append", {"token": 10**9}),
        ("append", {}),
        ("launch", {}),
    ],
)
def test_nonsense_from_the_browser_changes_nothing_impossible(
    view: SamplingView, kind: str, data: dict[str, Any]
) -> None:
    ids = view.state.trace.tokens.ids.tolist()
    view._on_message(kind, data)
    assert view.state.trace.tokens.ids.tolist() == ids
    assert 0 <= view.state.top_p <= 1
    assert view.state.temperature >= 0
    agrees(view)


def test_the_table_holds_every_token_that_is_left(view: SamplingView) -> None:
    found = expected(view)
    table = view._rows()
    rows = [list(row) for row in table.rows]
    left = rows[: len(found.order)]
    assert [row[1] for row in left] == found.order.tolist()
    drawn_from = list(table.columns).index("with your settings")
    np.testing.assert_allclose([row[drawn_from] for row in left], found.probabilities[found.order])
    gone = rows[len(found.order) :]
    assert {row[-1] for row in gone} == {"top-k", "top-p"}
    assert all(row[-1] == "" for row in left)
    assert all(row[drawn_from] == 0 for row in gone)


def test_where_typical_p_takes_off_the_likeliest(view: SamplingView) -> None:
    view.state.param.update(top_k=0, top_p=1.0, typical_p=0.2, temperature=0.6)
    found = expected(view)
    order = np.argsort(-view.state.trace.logits.values, kind="stable")
    start = int(np.flatnonzero(order == found.order[0])[0])
    assert start > 0
    at = STAGES.index("typical_p")
    assert view.bench.answer["starts"] == [0] * at + [start] * (len(STAGES) - at)
    agrees(view)


def test_no_token_left_is_said(view: SamplingView) -> None:
    view.state.repetition_penalty = 1e-39
    assert "repetition_penalty" in view.bench.answer["none"]
    assert "token" not in view.bench.answer
    view.state.repetition_penalty = 1.0
    agrees(view)


def test_presets_are_offered_and_the_models_own_is_what_generate_does(view: SamplingView) -> None:
    offered = {one["key"]: one["values"] for one in view.bench.presets}
    assert set(offered) == {*PRESETS, "own"}
    assert offered["greedy"]["temperature"] == 0
    assert offered["own"]["temperature"] == 0  # its generation_config says nothing: generate is greedy then


def test_without_a_text_there_is_nothing_to_draw(tiny: Callable[[str], LanguageModel]) -> None:
    view = SamplingView(ModelState(model=tiny("llama")))
    view.__panel__()
    assert len(view.bench.logits) == 0
    view._on_message("append", {"token": 1})
    view.close()


# beam search ----------------------------------------------------------------------------------------------------------


def test_a_search_runs_on_request_and_draws_its_tree(view: SamplingView) -> None:
    beams = view.beams
    assert beams.tree.tree == {}
    beams._on_message("search", {"beams": 3, "tokens": 5, "penalty": 0.5})
    expected_ = beam_search(view.state.model, view.state.trace.tokens.ids.tolist(), 3, 5, length_penalty=0.5)
    assert beams.found == expected_
    sent = beams.tree.tree
    assert [one["score"] for one in sent["hypotheses"]] == [one.score for one in expected_.hypotheses]
    assert sent["hypotheses"][0]["name"] == "".join(view.state.model.tokens(expected_.hypotheses[0].tokens).strings)
    assert [node[3] for node in sent["nodes"]] == [node.log_probability for node in expected_.nodes]
    assert beams.tree.status == {}
    rows = [list(row) for row in beams._rows().rows]
    assert [row[2] for row in rows] == [node.token for node in expected_.nodes]
    assert {row[6] for row in rows} == {"continued", "dropped", "finished"}
    view.state.append()  # another text: the tree was that of the one before
    assert beams.tree.tree == {}
    assert beams.found is None
    assert not list(beams._rows().rows)
    view.state.go(0)
    assert beams.tree.tree == sent  # and is there again


def test_a_beam_becomes_a_branch(view: SamplingView) -> None:
    view.beams._on_message("search", {"beams": 3, "tokens": 4, "penalty": 1})
    first, second = view.beams.found.hypotheses[:2]
    begin = view.state.trace.tokens.ids.tolist()
    for one in (first, second):
        view.beams._on_message("take", {"node": one.node})
        tree = view.state.tree
        assert view.state.trace.tokens.ids.tolist() == begin + list(one.tokens)
        chances = [view.beams._last[1].nodes[node.id].log_probability for node in view.beams._last[1].path(one.node)]
        assert tree.log_probability(tree.leaf) == pytest.approx(sum(chances), rel=1e-4)
        view.state.go(0)
    assert len(view.state.tree.leaves) == 2
    view.state.undo()  # the places are no changes: a taken beam is one
    assert len(view.state.tree.leaves) == 1
    for nonsense in ({}, {"node": -1}, {"node": 10**6}, {"node": "x"}):
        view.beams._on_message("take", nonsense)
    assert len(view.state.tree.leaves) == 1


def test_a_search_follows_the_penalties_and_says_what_is_wrong(view: SamplingView) -> None:
    view.state.no_repeat_ngram_size = 1
    view.beams._on_message("search", {"beams": 2, "tokens": 6, "penalty": 1})
    best = view.beams.found.hypotheses[0].tokens
    assert len(set(best)) == len(best)
    assert not set(best) & set(view.state.trace.tokens.ids.tolist())
    view.beams._on_message("search", {"beams": 2, "tokens": 32, "penalty": 1})
    view.state.text = "x" * (view.state.model.max_tokens - 3)
    view.beams._on_message("search", {"beams": 2, "tokens": 8, "penalty": 1})
    assert "Ask for fewer" in view.beams.tree.status["text"]


@pytest.mark.parametrize(
    "data", [{}, {"beams": "x", "tokens": 3, "penalty": 1}, {"beams": 3, "tokens": float("nan"), "penalty": 1}]
)
def test_nonsense_is_not_searched(view: SamplingView, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view.state.model.model, "forward", lambda *_a, **_k: pytest.fail("the model ran"))
    view.beams._on_message("search", data)
    view.beams._on_message("launch", {"beams": 2, "tokens": 3, "penalty": 1})
    assert view.beams.tree.tree == {}


def test_a_search_is_stopped_within_a_step(view: SamplingView, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    real = view.beams._say

    def listen(text: str, *, busy: bool = False) -> None:
        real(text, busy=busy)
        told.append(text)
        if text == "Step 2 of 30":
            view.beams._on_message("stop", {})

    monkeypatch.setattr(view.beams, "_say", listen)
    view.beams._on_message("search", {"beams": 2, "tokens": 30, "penalty": 1})
    assert told == ["Searching", "Step 1 of 30", "Step 2 of 30"]
    assert view.beams.tree.status == {"text": "Stopped."}
    assert view.beams.tree.tree == {}
