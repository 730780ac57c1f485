"""The sampling view: what it sends to the browser, and what it does with what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.sampling import pipeline
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
    return pipeline(state.trace.logits, state.temperature, state.top_k, state.top_p, state.min_p, state.seed)


def agrees(view: SamplingView) -> None:
    sample, bench = expected(view), view.bench
    assert bench.answer["token"] == sample.token
    assert bench.answer["kept"] == [
        sample.stage(name).kept for name in ("logits", "temperature", "top_k", "top_p", "min_p")
    ]
    assert bench.settings["uniform"] == sample.draw.uniform
    assert bench.settings["seed"] == view.state.seed


def test_all_logits_travel_and_the_likeliest_are_named(view: SamplingView) -> None:
    logits = view.state.trace.logits.values
    np.testing.assert_array_equal(view.bench.logits, logits)
    assert view.bench.logits.dtype == np.float32
    best = np.argsort(-logits, kind="stable")
    assert view.bench.names[:20] == list(view.state.model.tokens(best[:20].tolist()).strings)
    agrees(view)


def test_a_moved_slider_runs_no_model(view: SamplingView, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, version = view.state.trace, view.bench.version
    monkeypatch.setattr(view.state.model.model, "forward", lambda *_a, **_k: pytest.fail("the model ran"))
    for values in ({"temperature": 1.7}, {"top_k": 3}, {"top_p": 0.4}, {"min_p": 0.2}, {"temperature": 0}):
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
    sample = expected(view)
    rows = [list(row) for row in view._rows().rows]
    assert [row[1] for row in rows] == sample.order.tolist()
    np.testing.assert_allclose([row[-1] for row in rows], sample.probabilities[sample.order])


def test_without_a_text_there_is_nothing_to_draw(tiny: Callable[[str], LanguageModel]) -> None:
    view = SamplingView(ModelState(model=tiny("llama")))
    view.__panel__()
    assert len(view.bench.logits) == 0
    view._heard("append", {"token": 1})
    view.close()
