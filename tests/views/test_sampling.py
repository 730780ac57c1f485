"""The sampling view: what it sends to the browser, and what it does with what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.sampling import PRESETS, sample, uniform
from txpanel.state import ModelState
from txpanel.views.sampling import SamplingView


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
        view._heard("set", {**values, "kind": "set"})
        agrees(view)
    assert view.state.trace is trace
    assert view.bench.version == version  # the logits are not sent again


def test_settings_from_elsewhere_arrive(view: SamplingView) -> None:
    view.state.param.update(temperature=1.3, top_p=0.7, seed=11)
    agrees(view)
    assert view.bench.settings["temperature"] == 1.3


def test_another_seed_draws_another_number(view: SamplingView) -> None:
    before = view.bench.settings["uniform"]
    view._heard("seed", {"seed": 4})
    assert view.state.seed == 4
    assert view.bench.settings["uniform"] != before
    agrees(view)


def test_the_drawn_token_is_appended(view: SamplingView) -> None:
    token = view.bench.answer["token"]
    before = view.state.trace.tokens.ids.tolist()
    view._heard("append", {"token": token})
    assert view.state.trace.tokens.ids.tolist() == [*before, token]
    np.testing.assert_array_equal(view.bench.logits, view.state.trace.logits.values)
    agrees(view)


def test_a_logit_is_asked_for(view: SamplingView) -> None:
    view._heard("why", {"token": 7})
    assert (view.state.question.name, dict(view.state.question.index)) == ("logits", {"vocab": 7})


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
    view._heard(kind, data)
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
    drawn_from = list(table.columns).index("drawn from")
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
    assert view.bench.answer["start"] == start
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
    view._heard("append", {"token": 1})
    view.close()
