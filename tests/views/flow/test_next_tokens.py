"""The next tokens beside the lane: the model's own and those with the settings, in Python, and the browser's while a slider is dragged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser_modules import run
from tests.decoding.test_stages import some_settings
from txpanel import sampling
from txpanel.decoding.stages import for_browser
from txpanel.errors import NoTokenLeft
from txpanel.models.language_model import LanguageModel
from txpanel.sampling import Settings, uniform
from txpanel.session.state import ModelState
from txpanel.views.flow.next_tokens import LISTED, came, drawn, next_payload, odds_payload, sample_at

JS = Path(__file__).parents[2] / "js" / "next.js"
TEXT = "the cat sat on the cat"


def state_of(model: LanguageModel, **params: Any) -> ModelState:
    return ModelState(model=model, text=TEXT, **params)


@pytest.mark.parametrize("seed", range(12))
def test_shares_are_the_sampling_pipelines(seed: int, tiny: Callable[[str], LanguageModel]) -> None:
    """Each listed share is what `txpanel.sampling.pipeline` gives after all stages, whatever they are; the model's own are untouched."""
    settings = some_settings(seed) | {"seed": seed}
    state = state_of(tiny("gpt2"), **settings)
    trace = state.trace
    try:
        expected = sampling.pipeline(trace.logits, **settings, ids=trace.tokens.ids.tolist())
    except NoTokenLeft:
        assert sample_at(state) is None
        return
    found = next_payload(trace, state.query, drawn(state), sample_at(state))
    ids = found["ids"]
    np.testing.assert_allclose(found["share"], expected.probabilities[ids], rtol=1e-6)
    np.testing.assert_allclose(found["probability"], expected.stages[0].probabilities[ids], rtol=1e-6)
    assert found["share"].sum() + found["rest_share"] == pytest.approx(1, abs=1e-6)
    assert found["rest_left"] + np.count_nonzero(found["share"]) == expected.stages[-2].kept
    assert ids[found["sampled"]] == expected.token
    assert found["settings"] == {name: getattr(expected.settings, name) for name in sampling.FIELDS} | {
        "uniform": expected.draw.uniform
    }


def test_what_is_cut_off_stays_in_the_list_behind_what_is_left(tiny: Callable[[str], LanguageModel]) -> None:
    state = state_of(tiny("gpt2"), top_k=3)
    found = next_payload(state.trace, state.query, drawn(state), sample_at(state))
    assert np.count_nonzero(found["share"]) == 3
    assert (found["share"][:3] > 0).all()
    assert len(found["ids"]) == LISTED
    assert found["rest_left"] == 0
    assert found["rest_share"] == 0
    assert found["ids"].tolist() == np.argsort(-state.trace.logits.values, kind="stable")[:LISTED].tolist()


def test_another_token_than_the_last_has_its_own_row_and_no_draw(tiny: Callable[[str], LanguageModel]) -> None:
    settings = {"temperature": 0.5, "repetition_penalty": 1.3}
    state = state_of(tiny("gpt2"), **settings)
    state.focus(query=2)
    found = next_payload(state.trace, 2, drawn(state), sample_at(state))
    ids = state.trace.tokens.ids[:3].tolist()
    expected = sampling.pipeline(state.trace.logits_at(2), **settings, ids=ids).probabilities
    np.testing.assert_allclose(found["share"], expected[found["ids"]], rtol=1e-6)
    assert found["sampled"] == -1


def test_the_browser_moves_them_as_python_does(tiny: Callable[[str], LanguageModel]) -> None:
    """From one settings to any others: the list that the browser works out is the one that the server then sends."""
    model = tiny("gpt2")
    first = state_of(model)
    trace, position = first.trace, first.query
    cases, expected = [], []
    for n in range(60):
        try:
            sample = sampling.pipeline(trace.logits, **some_settings(n), seed=n, ids=trace.tokens.ids.tolist())
        except NoTokenLeft:
            continue
        began = sampling.pipeline(trace.logits, temperature=0.9, seed=n)
        sent = next_payload(trace, position, began.token, began) | {"stamp": 1}
        odds = odds_payload(trace, position) | {"stamp": 1}
        settings = {name: value for name, value in asdict(sample.settings).items() if name in sampling.FIELDS}
        cases.append({"sent": _plain(sent), "odds": _plain(odds), "settings": settings})
        expected.append(next_payload(trace, position, sample.token, sample))
    found = json.loads(run(JS, given={"declared": for_browser(), "cases": cases}))
    for got, want in zip(found, expected, strict=True):
        assert got["ids"] == want["ids"].tolist()
        assert got["strings"] == want["strings"]
        assert (got["sampled"], got["rest_left"]) == (want["sampled"], want["rest_left"])
        assert got["draw"] == pytest.approx(want["draw"], abs=1e-6)
        np.testing.assert_allclose(got["share"], want["share"], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(got["probability"], want["probability"], rtol=1e-6)
        np.testing.assert_allclose([got["rest"], got["rest_share"]], [want["rest"], want["rest_share"]], atol=1e-6)
    assert len(found) > 40


def test_without_the_logits_the_browser_shows_what_it_was_sent(tiny: Callable[[str], LanguageModel]) -> None:
    state = state_of(tiny("gpt2"))
    sent = _plain(next_payload(state.trace, state.query) | {"stamp": 1})
    odds = _plain(odds_payload(state.trace, state.query - 1) | {"stamp": 1})  # of another token
    settings = asdict(Settings(temperature=0.3)) | {"uniform": uniform(0)}
    given = {"declared": for_browser(), "cases": [{"sent": sent, "odds": odds, "settings": settings}]}
    assert json.loads(run(JS, given=given))[0]["share"] == sent["share"]


def test_a_seed_without_its_random_number_is_not_shown_beside_the_number_of_another(
    tiny: Callable[[str], LanguageModel],
) -> None:
    """A seed and then a slider are changed before the server answers: the sentence says which seed gave the number that it names."""
    state = state_of(tiny("gpt2"), seed=3)
    sent = _plain(next_payload(state.trace, state.query, state.sampled.token, state.sampled) | {"stamp": 1})
    odds = _plain(odds_payload(state.trace, state.query) | {"stamp": 1})
    settings = asdict(Settings(temperature=0.3)) | {"seed": 9}
    given = {"declared": for_browser(), "cases": [{"sent": sent, "odds": odds, "settings": settings}]}
    (found,) = json.loads(run(JS, given=given))
    assert found["share"] != sent["share"]
    assert (found["settings"]["seed"], found["settings"]["uniform"]) == (3, uniform(3))


def test_how_the_token_after_the_chosen_one_came_there(tiny: Callable[[str], LanguageModel]) -> None:
    """Of the prompt, drawn, chosen by hand, greedy; at the end nothing has come, and the sentence is about the draw that is shown."""
    state = state_of(tiny("gpt2"))
    last = state.query
    assert came(state) == {}
    state.generate(1)
    first = state.tree.node(1)
    assert first.draw is not None
    state.append(5)
    state.param.update(temperature=0)
    state.generate(1)
    assert came(state) == {}
    how = {}
    for query in range(last - 1, state.query):
        state.focus(query=query)
        how[query - last] = came(state)
    assert [how[k]["how"] for k in (-1, 0, 1, 2)] == ["text", "drawn", "hand", "greedy"]
    assert how[-1]["token"] == state.trace.tokens.strings[last]
    assert how[0] | {"how": "", "token": ""} == {
        "how": "",
        "token": "",
        "seed": first.draw.seed,
        "uniform": first.draw.uniform,
        "low": first.draw.low,
        "high": first.draw.high,
    }
    state.go(1)  # back on the line: what comes next was chosen
    assert came(state)["how"] == "hand"


WHY = Path(__file__).parents[2] / "js" / "why_drawn.js"


@pytest.mark.parametrize(
    ("next_tokens", "text"),
    [
        ({"draw": None, "sampled": -1, "came": {}}, None),
        ({"came": {"how": "text", "token": " to"}, "sampled": -1}, "came_text: ␣to"),
        ({"came": {"how": "hand", "token": "B"}, "sampled": 0}, "came_by_hand: B"),
        (
            {"came": {"how": "drawn", "token": "C", "seed": 3, "uniform": 0.5, "low": 0, "high": 1}},
            "came_drawn: C seed 3: 0 < 0.500 < 1",
        ),
        ({"came": {"how": "drawn", "token": "A"}}, "draw: A seed 7: 0.412 < 0.631 < 0.659"),  # the same falls still
        ({"came": {"how": "greedy", "token": "A"}}, "came_greedy: A"),
        ({"came": {"how": "greedy", "token": "A"}, "settings": {"temperature": 0}}, "draw_greedy: A"),
        ({"draw": {"low": 0.63076, "high": 0.6311, "kept": 9}}, "draw: A seed 7: 0.6308 < 0.6310 < 0.6311"),
        (
            {"draw": {"low": 0.5, "high": 1, "kept": 9}, "settings": {"temperature": 1, "seed": 7, "uniform": 0.9999}},
            "draw: A seed 7: 0.5000 < 0.9999 < 1",
        ),
        (
            {"draw": {"low": 0, "high": 0.5, "kept": 9}, "settings": {"temperature": 1, "seed": 7, "uniform": 0.0004}},
            "draw: A seed 7: 0 < 0.0004 < 0.5000",
        ),
        ({"draw": {"low": 0, "high": 1, "kept": 1}}, "draw_only: A"),
        ({"settings": {"temperature": 0}}, "draw_greedy: A"),
        ({"strings": [" an extraordinarily long token"]}, "draw: ␣an extraordina… seed 7: 0.412 < 0.631 < 0.659"),
    ],
)
def test_the_sentence_says_why_the_next_token_is_the_one_that_it_is(
    next_tokens: dict[str, Any], text: str | None
) -> None:
    usual = {
        "strings": ["A"], "sampled": 0, "came": {}, "draw": {"low": 0.4124, "high": 0.6587, "kept": 5},
        "settings": {"temperature": 0.7, "seed": 7, "uniform": 0.63096},
    }  # fmt: skip
    assert json.loads(run(WHY, given=usual | next_tokens)) == text


def _plain(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in payload.items()}
