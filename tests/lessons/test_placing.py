"""A moment at a step's place: clamped as the state does it, drawn anew with its settings, and nothing of the session changed."""

from __future__ import annotations

import numpy as np
import pytest

from txpanel.lessons.expressions import parse
from txpanel.lessons.goals import goal
from txpanel.lessons.lesson import Look
from txpanel.lessons.placing import example, placed
from txpanel.lessons.situation import Situation, situation_of
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState

TEXT = "CABCAB="


@pytest.fixture
def state(nano: LanguageModel) -> ModelState:
    return ModelState(model=nano, text=TEXT)


def now(state: ModelState) -> Situation:
    found = situation_of(state)
    assert found is not None
    return found


def test_a_place_is_clamped_as_the_state_does_it(state: ModelState) -> None:
    here = now(state)
    look = Look(
        places=(("layer", 99.0), ("head", 99.0), ("query", parse("before(last)")), ("key", parse("token.id(99)")))
    )
    found = placed(look, here)
    state.focus(layer=99, head=99, query=5)
    assert (found.layer, found.head, found.query, found.key) == (state.layer, state.head, state.query, here.key)
    assert (here.layer, here.head, here.query) == (0, 0, 6)
    assert placed(Look(), here) is here


def test_settings_draw_anew(state: ModelState) -> None:
    here = now(state)
    found = placed(Look(settings=(("temperature", 2.0), ("top_k", 2.0))), here)
    state.param.update(temperature=2.0, top_k=2)
    assert found.sample is not None
    assert state.sampled is not None
    np.testing.assert_array_equal(found.sample.probabilities, state.sampled.probabilities)
    assert here.settings["temperature"] == 1.0


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("temperature", "above 1.2", lambda here: here.settings["temperature"] > 1.2),
        ("temperature", "below 0.3", lambda here: 0 < here.settings["temperature"] < 0.3),
        ("temperature", "is 0", lambda here: here.settings["temperature"] == 0),
        ("temperature", "changed", lambda here: here.settings["temperature"] != 1),
        ("top_k", "above 3", lambda here: here.settings["top_k"] > 3),
        ("seed", "changed", lambda here: here.settings["seed"] == 1),
        ("head", "changed", lambda here: here.head == 1),
        ("layer", "above 0", lambda here: here.layer == 1),
        ("query", "below 3", lambda here: here.query == 2),
        ("key", "is 2", lambda here: here.key == 2),
    ],
)
def test_what_is_to_be_done_can_be_shown(state: ModelState, name: str, text: str, wanted: object) -> None:
    found = example((goal(name, text),), now(state))
    assert found is not None
    assert wanted(found[0])  # type: ignore[operator]
    assert len(found[1]) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("text", "changed"), ("generated", "above 2"), ("asked", "changed"), ("layer", "above 7"), ("head", "is 99")],
)
def test_what_takes_another_run_cannot(state: ModelState, name: str, text: str) -> None:
    assert example((goal(name, text),), now(state)) is None
